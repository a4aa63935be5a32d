"""Every labelled fault, alone: named exactly right and in time, and nothing else is ever said."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from random import Random
from typing import Any

import pytest

from netprobe.model.status import AgentState, PathState
from tests.scenarios.player import (
    at,
    default_fleet,
    play,
    strike,
)

FAULTS: list[dict[str, str]] = tomllib.loads((Path(__file__).parent / "faults.toml").read_text())["fault"]
IN_TIME_S = 4.0 + 0.25
"""Three intervals and one window, and the tick in which the scenario reads."""


def name_of(fault: dict[str, str]) -> str:
    return " ".join(fault.values())


@pytest.mark.parametrize(("number", "fault"), list(enumerate(FAULTS)), ids=[name_of(f) for f in FAULTS])
def test_named_right_in_time_and_nothing_else(number: int, fault: dict[str, Any]) -> None:
    fraction = Random(number).random()
    parameters = {key: value for key, value in fault.items() if key != "kind"}
    broken = at(strike(fault["kind"], **parameters), 8 + fraction, end_s=15.3 + fraction)
    outcome = play([broken], seed=number, intervals=26)
    assert outcome.false == {}
    assert outcome.named_after_s.get(broken.name, 99.0) <= IN_TIME_S
    assert outcome.left_open == ()


def test_a_healthy_fleet_has_no_finding_from_its_first_second_on() -> None:
    outcome = play([], seed=5, intervals=60, keep=True)
    assert outcome.false == {}
    _, last = outcome.conclusions[-1]
    assert {status.state for status in last.paths} == {PathState.UP}
    assert {status.state for status in last.agents} == {AgentState.ALIVE}


def test_a_frozen_agent_makes_paths_unknown_and_never_down_for_long() -> None:
    agent = "prod-us-west-1/w1/pod"
    frozen = at(strike("agent-frozen", agent=agent), 8.4, end_s=20)
    outcome = play([frozen], seed=3, intervals=18, keep=True)
    _, said = outcome.conclusions[-1]
    _, fleet = default_fleet()
    asking = {
        c.id for plan in fleet.plans for c in plan.checks if c.target.name == agent and c.probe.kind == "udp"
    }
    states = {status.state for status in said.paths if status.check in asking}
    assert states == {PathState.UNKNOWN}
    assert {status.state for status in said.agents if str(status.agent) == agent} == {AgentState.SILENT}


def test_what_lies_behind_a_dead_node_is_hidden() -> None:
    down = at(strike("node-down", node="staging-eu-central-1/w1"), 8.4, end_s=30)
    outcome = play([down], seed=3, intervals=16, keep=True)
    finding = outcome.conclusions[-1][1].findings[0]
    assert "pod-in(staging-eu-central-1/w1)" in map(str, finding.hidden)
    assert "service-proxy(staging-eu-central-1/w1)" in map(str, finding.hidden)


def test_a_one_way_fault_shows_what_arrived_and_accuses_only_that_way() -> None:
    prod, dev = "prod-us-west-1", "dev-on-premise"
    one_way = at(strike("tunnel-one-way", source=prod, target=dev), 8.4, end_s=30)
    outcome = play([one_way], seed=3, intervals=16, keep=True)
    _, said = outcome.conclusions[-1]
    (finding,) = said.findings
    assert f"tunnel({dev}→{prod})" not in map(str, finding.hidden)
    told = {
        way: [int(word) for word in re.findall(r"\d+", str(each.text))]
        for each in finding.evidence_for
        for way in ("out", "back")
        if str(each.text).startswith(f"over it on the way {way}: ")
    }
    out, back = told["out"], told["back"]
    assert out[0] == 0 < out[1], "with the part on the way out nothing arrives"
    assert back[0] == back[1] == back[3] > 0 == back[2], (
        "with it on the way back all arrives, nothing returns"
    )
    _, fleet = default_fleet()
    udp = {
        check.id: check.source.cluster
        for plan in fleet.plans
        for check in plan.checks
        if check.probe.kind == "udp"
        and not check.probe.size
        and check.target.node is not None
        and {check.source.cluster, check.target.node.cluster} == {prod, dev}
    }
    lost = {(udp[p.check], bool(p.lost_out), bool(p.lost_back)) for p in said.paths if p.check in udp}
    assert lost == {(prod, True, False), (dev, False, True)}
