"""``netprobe show``: from a bundle, offline, with exit codes that scripts can trust."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from netprobe.bus.keys import new_user, write_seed
from netprobe.cli.main import cli
from netprobe.errors import InputError
from netprobe.store.bundle import write_bundle
from tests import fleets


def run(*words: str | Path, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], env={"COLUMNS": "80", **(env or {})})


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "evidence", fleets.tunnel_down())
    return tmp_path / "evidence"


@pytest.mark.parametrize("view", ["topology", "matrix", "agents", "coverage", "findings", "weak-points"])
def test_a_table_leads_with_the_verdict_and_exits_1_when_broken(view: str, bundle: Path) -> None:
    result = run("show", view, "--from", bundle)
    assert result.output.startswith("1 finding: tunnel prod ↔ staging is down")
    assert result.exit_code == 1


def test_nothing_broken_exits_0(tmp_path: Path) -> None:
    write_bundle(tmp_path / "evidence", fleets.healthy())
    assert run("show", "--from", tmp_path / "evidence").exit_code == 0


@pytest.mark.parametrize("view", ["topology", "matrix", "agents", "coverage", "findings", "weak-points"])
def test_json_and_yaml_say_the_same(view: str, bundle: Path) -> None:
    as_json = json.loads(run("show", view, "-o", "json", "--from", bundle).output)
    as_yaml = yaml.safe_load(run("show", view, "-o", "yaml", "--from", bundle).output)
    assert as_json == as_yaml
    assert as_json["schema"] == f"netprobe/{view}"


def test_the_matrix_can_be_asked_by_cluster_and_plane(bundle: Path) -> None:
    text = run("show", "matrix", "--by", "cluster", "--plane", "pod", "-o", "json", "--from", bundle).output
    document = json.loads(text)
    assert (document["level"], document["plane"], len(document["pairs"])) == ("cluster", "pod", 9)


def test_an_unreadable_bundle_is_the_question_that_could_not_be_asked(tmp_path: Path) -> None:
    result = run("show", "--from", tmp_path / "nowhere")
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == f"{tmp_path}/nowhere: is not an evidence bundle: no such directory"


def test_a_bus_needs_a_key() -> None:
    result = run("show", "--bus", "nats://127.0.0.1:4222")
    assert str(result.exception) == "--bus needs --seed FILE, your operator key"


def test_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    result = run("show", "--bus", "nats://127.0.0.1:4222", "--seed", tmp_path / "absent.seed")
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith(f"{tmp_path}/absent.seed: cannot be read")


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    seed = tmp_path / "operator.seed"
    write_seed(seed, new_user()[0])
    seed.chmod(0o644)
    result = run("show", "--bus", "nats://127.0.0.1:4222", "--seed", seed)
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == f"{seed}: others may read it (mode 0644); run chmod 600"


def test_a_bus_in_plain_text_beyond_this_machine_is_not_asked(tmp_path: Path) -> None:
    seed = tmp_path / "operator.seed"
    write_seed(seed, new_user()[0])
    result = run("show", "--bus", "nats://192.0.2.1:4222", "--seed", seed)
    assert isinstance(result.exception, InputError)
    assert "would be plain text beyond this machine: use tls://192.0.2.1:4222" in str(result.exception)
