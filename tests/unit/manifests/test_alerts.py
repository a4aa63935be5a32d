"""The alerts, played by promtool: each fires when it must, with words that are true, and is silent else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from netprobe.render.documents.prometheus import encode_metrics
from netprobe.wire.manifests import find_manifests
from tests import fleets
from tests.unit.render.documents.test_prometheus import VITALS

PROMTOOL = shutil.which("promtool")
PLAYED = Path(__file__).with_name("alerts.yaml")
RULES = find_manifests() / "components" / "prometheus-rule" / "rules.yaml"

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")


def spec() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(RULES.read_text())
    assert found["kind"] == "PrometheusRule"
    told: dict[str, Any] = found["spec"]
    return told


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in spec()["groups"] for rule in group["rules"]}


def run_promtool(*words: str) -> None:
    ran = subprocess.run([str(PROMTOOL), *words], capture_output=True, text=True, check=False, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_every_alert_fires_when_it_must_and_is_silent_else(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(json.dumps(spec()))
    played = yaml.safe_load(PLAYED.read_text()) | {"rule_files": ["rules.json"]}
    (tmp_path / "played.json").write_text(json.dumps(played))
    run_promtool("check", "rules", str(tmp_path / "rules.json"))
    run_promtool("test", "rules", str(tmp_path / "played.json"))


def test_no_alert_is_left_unplayed() -> None:
    fired: dict[str, set[bool]] = {name: set() for name in alerts()}
    for story in yaml.safe_load(PLAYED.read_text())["tests"]:
        for moment in story["alert_rule_test"]:
            fired[moment["alertname"]].add(bool(moment["exp_alerts"]))
    assert fired == {name: {True, False} for name in fired}


def test_alerts_ask_for_metrics_and_labels_that_the_collector_tells() -> None:
    body, _ = encode_metrics(fleets.EVERY["several"](), VITALS)
    told = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    for name, alert in alerts().items():
        asked = re.findall(r"\b(netprobe_\w+)(?:\{([^}]*)\})?", alert["expr"])
        assert asked, name
        for metric, selected in asked:
            labels = set(re.findall(r"(\w+)(?:=|!)", selected))
            assert labels <= told[metric], (name, metric)


def test_every_alert_says_what_and_how_grave() -> None:
    for name, alert in alerts().items():
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}, name
        assert set(alert["annotations"]) == {"summary", "description"}, name
