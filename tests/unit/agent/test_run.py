"""``netprobe-agent run`` with invalid checks in its plan: one error each, and all other checks run."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from netprobe.engine.plan_validation import find_unaskable
from netprobe.errors import InputError
from netprobe.model.check import Check, Plan, Probe, TargetKind
from netprobe.model.names import AgentId
from netprobe.model.window import Measured
from netprobe_agent.questions import parse_allowed
from netprobe_agent.run import read_plan, restrict, run
from tests.unit.probes.questions import ASKER, make_check

INTERVAL_NS = 300_000_000
GOOD = make_check(Probe("tcp", port=9, timeout_ns=900_000_000), address="127.0.0.1", kind=TargetKind.OUTSIDE)


def plan_of(*checks: Check, agent: AgentId = ASKER) -> Plan:
    return Plan(agent, 1, checks, INTERVAL_NS, b"a key for one test".ljust(32))


BAD = {
    "unknown probe kind": (make_check(Probe("telepathy")), "probe.kind: unknown probe kind 'telepathy'"),
    "port 0": (make_check(Probe("tcp", port=0)), "probe.port: port 0 is not within 1–65535"),
    "port 70000": (make_check(Probe("udp", port=70_000)), "probe.port: port 70000 is not within 1–65535"),
    "a name for an address": (
        make_check(Probe("icmp"), address="absent.invalid"),
        "target.address: 'absent.invalid' is not an IP address",
    ),
}


async def test_each_bad_check_is_one_line_and_the_others_go_on() -> None:
    complaints = io.StringIO()
    measured: list[Measured] = []
    plan = plan_of(GOOD, *(check for check, _ in BAD.values()))
    await run(plan, port=0, intervals=4, write=measured.append, errors=complaints)
    lines = complaints.getvalue().splitlines()
    assert len(lines) == len(BAD)
    for check, said in BAD.values():
        (line,) = [line for line in lines if f"check {check.id}: " in line]
        assert said in line
    windows = [window for one in measured for window in one.windows]
    assert any(window.measured for window in windows if window.check == GOOD.id)
    bad = {check.id for check, _ in BAD.values()}
    assert {window.check for window in windows if not window.measured} >= bad
    assert not any(window.measured for window in windows if window.check in bad)


def test_a_plan_over_budget_names_every_check_beyond_it_and_keeps_the_first() -> None:
    greedy = [replace(GOOD, id=type(GOOD.id)(number), count=4) for number in (1, 2, 3)]
    reasons = find_unaskable(plan_of(*greedy), max_probes_per_s=20)
    assert reasons == {
        greedy[number].id: "over the agent's budget of 20 probes per second" for number in (1, 2)
    }


def test_a_target_outside_the_allow_list_is_left_out_and_said() -> None:
    inside, outside = GOOD, make_check(Probe("icmp"), address="192.0.2.1")
    kept, refused = restrict(plan_of(inside, outside), parse_allowed(["127.0.0.0/8"]))
    assert kept.checks == (inside,)
    assert refused == [f"check {outside.id}: 192.0.2.1 is not on the allow-list"]


def test_a_plan_cannot_allow_its_own_targets() -> None:
    outside = make_check(Probe("icmp"), address="192.0.2.1")
    plan = replace(plan_of(outside), askable=("0.0.0.0/0",))
    assert restrict(plan, parse_allowed(["127.0.0.0/8"]))[0].checks == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"{", "Input data was truncated", id="cut off"),
        pytest.param(b"\xff", "", id="not JSON"),
        pytest.param(msgspec.json.encode({"agent": 1}), "agent", id="a field of another type"),
        pytest.param(
            msgspec.json.encode(replace(plan_of(), interval_ns=5)), "interval_ns: is less", id="hurry"
        ),
    ],
)
def test_a_plan_that_cannot_be_read_names_its_file(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_plan(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
