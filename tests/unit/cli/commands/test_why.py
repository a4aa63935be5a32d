"""``netprobe why``: one pair, layer by layer; offline from a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from netprobe.errors import InputError
from netprobe.store.bundle import write_bundle
from tests import fleets
from tests.unit.cli.commands.test_show import run


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("why") / "evidence"
    write_bundle(path, fleets.several())
    return path


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("prod/w1", "staging/w1"),
        ("prod", "dev"),
        ("prod/w1/pod", "prod/w2/pod"),
        ("dev/w1", "dev/netprobe/echo"),
    ],
    ids=lambda name: name,
)
def test_it_reads_well(source: str, target: str, bundle: Path, snapshot: SnapshotAssertion) -> None:
    result = run("why", source, target, "--from", bundle)
    assert "\n".join(line.rstrip() for line in result.output.splitlines()) == snapshot


def test_machines_get_every_layer_in_order(bundle: Path) -> None:
    result = run("why", "prod/w1", "staging/w1", "-o", "json", "--from", bundle)
    document = json.loads(result.output)
    assert (document["schema"], document["state"], result.exit_code) == ("netprobe/why", "down", 1)
    assert document["finding"] == "tunnel-down-1f2e"
    assert [layer["layer"] for layer in document["layers"]] == [
        "agent", "endpoint", "node", "overlay", "gateway", "tunnel", "service", "DNS", "MTU", "policy",
    ]  # fmt: skip


def test_what_works_exits_0(tmp_path: Path) -> None:
    write_bundle(tmp_path / "evidence", fleets.healthy())
    result = run("why", "prod/w1", "dev/w1", "--from", tmp_path / "evidence")
    assert result.exit_code == 0
    assert "prod-us-west-1/w1 reaches dev-on-premise/w1: 210 of 210 probes" in " ".join(result.output.split())


CLUSTERS = "prod-us-west-1, staging-eu-central-1, dev-on-premise"
NODES = "prod-us-west-1/w1, staging-eu-central-1/w1, dev-on-premise/w1"
COMPLAINTS = {
    ("nowhere", "dev"): f"nothing is called 'nowhere'; clusters are {CLUSTERS}",
    ("nowhere/w1", "dev"): f"no cluster is called 'nowhere'; there are {CLUSTERS}",
    ("prod/w9", "dev"): "prod-us-west-1 has no node 'w9'; it has gw, w1, w2",
    ("w1", "dev"): f"'w1' is ambiguous: {NODES}",
    ("prod", "dev/netprobe/no"): "dev-on-premise has no service 'netprobe/no'; it has netprobe/echo",
    ("prod//", "dev"): "'prod//' is not a cluster, cluster/node[/plane] or cluster/namespace/service",
    ("dev/netprobe/echo", "prod"): "dev-on-premise/netprobe/echo is a service and asks nothing; "
    "name an agent, node or cluster",
}


@pytest.mark.parametrize("pair", COMPLAINTS, ids=" ".join)
def test_a_name_that_fits_nothing_is_one_clear_line(pair: tuple[str, str], bundle: Path) -> None:
    result = run("why", *pair, "--from", bundle)
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == COMPLAINTS[pair]


@pytest.mark.parametrize("option", ["--ask", "--patient"])
def test_a_bundle_cannot_be_asked(option: str, bundle: Path) -> None:
    result = run("why", "prod", "dev", option, "--from", bundle)
    assert str(result.exception) == f"{option} needs a live lab or collector; a bundle cannot answer"
