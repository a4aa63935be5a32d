"""``netprobe-agent run`` as a process: what cannot be asked is one line each, and everything else goes on."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from netprobe.model.check import Check, Layer, Plan, Probe, Target, TargetKind, check_id
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.wire.measured_json import decode_measured

pytestmark = pytest.mark.lab

AGENT = AgentId.parse("prod/w1/pod")
PROGRAM = (sys.executable, "-c", "from netprobe_agent.main import main; main()", "run")
INTERVAL_NS = 500_000_000


@pytest.fixture
def listening() -> Iterator[int]:
    """A port on loopback that takes connections."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server.getsockname()[1]


def make_check(probe: Probe, address: str = "127.0.0.1", *, count: int = 1, name: str = "") -> Check:
    target = Target(TargetKind.OUTSIDE, address, name)
    asked = replace(probe, timeout_ns=2_000_000_000)
    return Check(check_id(AGENT, target, asked), AGENT, target, asked, Layer.OUTSIDE, count)


def run_agent(folder: Path, checks: list[Check], *words: str) -> tuple[list[str], dict[int, OutcomeKind]]:
    """What it said on standard error, and how each check that it asked came out."""
    plan = folder / "plan.json"
    plan.write_bytes(msgspec.json.encode(Plan(AGENT, 1, tuple(checks), INTERVAL_NS, b"a key".ljust(32))))
    done = subprocess.run(
        (*PROGRAM, "--plan", str(plan), "--port", "0", "--intervals", "1", *words),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    (measured,) = (decode_measured(line) for line in done.stdout.splitlines())
    return done.stderr.splitlines(), {window.check: window.outcomes[0][0] for window in measured.windows}


def test_each_check_that_cannot_be_asked_is_one_line_and_the_others_go_on(
    tmp_path: Path, listening: int
) -> None:
    sound = [make_check(Probe("tcp", listening)), make_check(Probe("tcp", listening), name="the last")]
    bad = {
        "probe kind 'telepathy'": make_check(Probe("telepathy")),
        "port 0 is not within": make_check(Probe("tcp", 0)),
        "port 70000 is not within": make_check(Probe("udp", 70_000)),
        "'nowhere.example' is not an IP address": make_check(Probe("icmp"), "nowhere.example"),
        "count 0 is less than 1": make_check(Probe("tcp", listening), "127.0.0.3", count=0),
        "over the agent's budget of 10000 probes per second": make_check(
            Probe("tcp", listening), "127.0.0.4", count=6_000
        ),
    }
    said, outcomes = run_agent(tmp_path, [sound[0], *bad.values(), sound[1]])
    assert len(said) == len(bad)
    for line, (words, check) in zip(said, bad.items(), strict=True):
        assert line.startswith(f"netprobe-agent: check {check.id}: ")
        assert words in line
    assert [outcomes[check.id] for check in sound] == [OutcomeKind.REACHED] * 2
    asked_never = [check.id for check in bad.values() if check.count]
    assert {outcomes[check] for check in asked_never} == {OutcomeKind.NOT_MEASURED}


def test_a_target_outside_the_allow_list_is_one_line_and_is_never_asked(
    tmp_path: Path, listening: int
) -> None:
    sound = make_check(Probe("tcp", listening))
    outside = make_check(Probe("tcp", listening), "127.0.0.9")
    said, outcomes = run_agent(tmp_path, [outside, sound], "--allow", "127.0.0.0/29")
    assert said == [f"netprobe-agent: check {outside.id}: 127.0.0.9 is not on the allow-list"]
    assert outcomes == {sound.id: OutcomeKind.REACHED}
