"""Prometheus metrics, read back by Prometheus' own parser and checked by promtool."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from prometheus_client.samples import Sample

from netprobe.model.collector_health import AuthStats, CollectorHealth
from netprobe.model.finding import Cause
from netprobe.model.snapshot import Counters, Snapshot
from netprobe.model.status import AgentState, PathState
from netprobe.render.documents.prometheus import MOST_FINDINGS, encode_metrics, target_of
from tests import fleets

PROMTOOL = shutil.which("promtool")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
VITALS = CollectorHealth(
    version="0.1.0", pid=1, started_ns=1, epoch=7, interval_ns=10_000_000_000, agents_planned=14,
    last_report_ns=5_000_000_000, analysis_errors=2, inventories_refused=0,
    windows_rejected_by_reason={"unknown check": 3}, counters=Counters(windows_stored=1_000),
    auth=AuthStats(5, 1, {"expired": 4}, 0, {}),
)  # fmt: skip


def samples(snapshot: Snapshot | None, vitals: CollectorHealth = VITALS) -> dict[str, list[Sample]]:
    body, content_type = encode_metrics(snapshot, vitals)
    assert content_type.startswith("text/plain")
    found: dict[str, list[Sample]] = {}
    for family in read_text(body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def by_label(samples_of_family: Iterable[Sample], *labels: str) -> dict[tuple[str, ...], float]:
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in samples_of_family}


def test_every_check_is_counted_once_by_clusters_and_state() -> None:
    snapshot = fleets.EVERY["tunnel-down"]()
    paths = by_label(samples(snapshot)["netprobe_paths"], "source", "target", "state")
    assert sum(paths.values()) == len(snapshot.checks)
    states = {path.check: path.state for path in snapshot.paths}
    down = {
        (check.source.cluster, target_of(check))
        for check in snapshot.checks
        if states[check.id] is PathState.DOWN
    }
    assert down
    assert {pair[:2] for pair, value in paths.items() if pair[2] == "down" and value} == down
    assert {key[2] for key in paths} == set(PathState), "a state without members is exported as 0"


def test_findings_are_counted_by_cause_and_named_as_long_as_they_last() -> None:
    snapshot = fleets.EVERY["several"]()
    metrics = samples(snapshot)
    counts = by_label(metrics["netprobe_findings"], "cause")
    assert set(counts) == {(cause,) for cause in Cause}
    assert sum(counts.values()) == len(snapshot.findings)
    each = by_label(metrics["netprobe_finding_confidence"], "finding")
    assert each == {(finding.id,): finding.confidence for finding in snapshot.findings}
    lossy = replace(snapshot.findings[0], cause=Cause.TUNNEL_LOSSY, loss=0.1)
    first, then = (
        samples(replace(snapshot, findings=(replace(lossy, loss=loss),)))["netprobe_finding_confidence"]
        for loss in (0.1, 0.2)
    )
    assert first == then, "a changing figure must not start a new series"


def test_labels_stay_bounded_however_much_is_broken() -> None:
    snapshot = fleets.EVERY["several"]()
    many = tuple(replace(snapshot.findings[0], id=f"f{number}") for number in range(3 * MOST_FINDINGS))
    metrics = samples(replace(snapshot, findings=many))
    assert len(metrics["netprobe_finding_confidence"]) == MOST_FINDINGS
    assert sum(sample.value for sample in metrics["netprobe_findings"]) == len(many)
    large = fleets.snapshot_of(fleets.large_inventory(6))
    clusters = len(large.inventory.clusters)
    ours = [
        sample for name, found in samples(large).items() if name.startswith("netprobe_") for sample in found
    ]
    scaling = [sample for sample in ours if "cluster" in sample.labels or "source" in sample.labels]
    assert len(scaling) <= 4 * clusters * (clusters + 1) + 9 * clusters
    assert not any(
        node.name in str(sample.labels) for sample in scaling for node in large.inventory.clusters[0].nodes
    )


def test_agents_and_apis_are_counted_separately() -> None:
    snapshot = fleets.agent_sick()
    metrics = samples(snapshot)
    agents = by_label(metrics["netprobe_agents"], "cluster", "plane", "state")
    alive = sum(status.state is AgentState.ALIVE for status in snapshot.agents)
    assert sum(value for key, value in agents.items() if key[2] == "alive") == alive
    assert sum(agents.values()) == len(snapshot.agents)
    first, *others = snapshot.inventory.clusters
    away = replace(
        snapshot, inventory=replace(snapshot.inventory, clusters=(replace(first, away="x"), *others))
    )
    apis = by_label(samples(away)["netprobe_cluster_api_up"], "cluster")
    assert [name for (name,), value in apis.items() if not value] == [first.name]


def test_collector_metrics_exist_before_the_first_analysis() -> None:
    metrics = samples(None)
    assert "netprobe_paths" not in metrics
    assert metrics["netprobe_windows_stored_total"][0].value == 1_000
    assert by_label(metrics["netprobe_windows_rejected_total"], "reason") == {("unknown check",): 3}
    assert by_label(metrics["netprobe_tokens_refused_total"], "reason") == {("expired",): 4}
    assert metrics["netprobe_collector_info"][0].labels == {"version": "0.1.0"}
    assert "process_resident_memory_bytes" in metrics
    assert "netprobe_tokens_refused_total" not in samples(None, replace(VITALS, auth=None))
    assert "netprobe_last_report_timestamp_seconds" not in samples(None, replace(VITALS, last_report_ns=None))


def test_openmetrics_is_served_on_request() -> None:
    body, content_type = encode_metrics(fleets.EVERY["several"](), VITALS, accept=OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    names = {family.name for family in read_openmetrics(body.decode())}
    assert {"netprobe_paths", "netprobe_windows_stored"} <= names


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_accepts_the_metrics() -> None:
    body, _ = encode_metrics(fleets.EVERY["several"](), VITALS)
    ran = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=body, capture_output=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stdout.decode() + ran.stderr.decode()) == (0, "")


@pytest.mark.parametrize("version", ['"1.0.0"', "latest", "1.x", "", "1.0.0.0.0", "-1"])
@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
def test_an_odd_accept_header_never_costs_the_metrics(kind: str, version: str) -> None:
    body, content_type = encode_metrics(None, VITALS, accept=f"{kind};version={version}")
    assert body
    assert content_type.partition(";")[0] in ("text/plain", "application/openmetrics-text")
