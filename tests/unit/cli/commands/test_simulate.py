"""``netprobe simulate``: labelled faults, a score, and evidence that other commands read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.errors import InputError
from netprobe.simulate.fleet import ClusterJoin, FleetShape, build_inventory
from tests.unit.cli.commands.test_show import run

SMALL = ("simulate", "--clusters", "2", "--nodes", "2", "--intervals", "20")
FAULT = "tunnel-down source=c01 target=c02 start=12 stop=20"


def test_a_fault_is_named_and_the_evidence_is_read_by_show(tmp_path: Path) -> None:
    played = run(*SMALL, "--fault", FAULT, "--evidence", tmp_path / "evidence", "-o", "json")
    told = json.loads(played.output)
    (fault,) = told["faults"]
    assert (fault["named_right"], told["false_findings"], played.exit_code) == (True, [], 0)
    assert fault["components"] == ["tunnel(c01→c02)", "tunnel(c02→c01)"]
    shown = run("show", "findings", "--from", tmp_path / "evidence")
    assert shown.output.startswith("1 finding: tunnel c01 ↔ c02 is down")


def test_what_is_never_named_fails_the_run_and_stands_in_the_table() -> None:
    late = run(*SMALL, "--fault", FAULT.replace("start=12", "start=19.5"))
    assert late.output.startswith("0 of 1 fault named right")
    assert "not named" in late.output
    assert late.exit_code == 1
    assert max(map(len, late.output.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--fault", "flood node=c01/gw1"), "unknown fault 'flood'"),
        (("--fault", "node-down node=c01/w99"), "there is no such node"),
        (("--fault", "tunnel-down source=c01 target=c09"), "there is no such cluster"),
        (("--fault", "tunnel-down source=c01"), "needs the parameter 'target'"),
        (("--fault", "tunnel-down source=c01 target=c02 start=soon"), "'soon' is not a number of intervals"),
        (("--fault", "tunnel-down source=c01 target=c02 start=9 stop=9"), "it starts at interval 9"),
        (("--fault", "tunnel-down source=c01 target=c02 speed=9"), "there is no such parameter"),
        (("--nodes", "0"), "0 is not between 1 and 250"),
        (("--hours", "1"), "give either --intervals, or --hours"),
    ],
    ids=str,
)
def test_bad_input_is_one_clear_line(words: tuple[str, ...], complaint: str) -> None:
    result = run(*SMALL, *words)
    assert isinstance(result.exception, InputError)
    assert complaint in str(result.exception)


@pytest.mark.parametrize(
    ("joined", "links"), [(ClusterJoin.FULL, 15), (ClusterJoin.HUB, 5), (ClusterJoin.PARTIAL, 9)]
)
def test_links_follow_the_asked_shape(joined: ClusterJoin, links: int) -> None:
    inventory = build_inventory(FleetShape(clusters=6, nodes=3, joined=joined, gateways=2))
    assert len(inventory.links) == links
    used = {(link.source, link.source_gateway) for link in inventory.links}
    assert {gateway for _, gateway in used} == {"gw1", "gw2"}
