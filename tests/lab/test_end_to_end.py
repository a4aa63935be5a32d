"""The whole line on real packets: faults go in, names come out, and nothing is found that is not there."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import subprocess
import sys
import time
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from benchmarks.fault_drill_cases import CATALOGUE
from netprobe.bus.operator import ask_moment
from netprobe.errors import SystemRefusedError
from netprobe.lab.access import find_access
from netprobe.lab.fault_drill import DrillFault, FaultDrill
from netprobe.lab.faults.registry import KINDS
from netprobe.model.finding import Cause
from netprobe.model.status import PathState
from tests.lab.conftest import SETTLE_S, FullLab, drill_in

pytestmark = [pytest.mark.lab, pytest.mark.quiet, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def name(healthy_lab: FullLab) -> str:
    return healthy_lab.name


@pytest.fixture
def drill(name: str) -> FaultDrill:
    return drill_in(name)


def test_the_catalogue_holds_every_kind_of_fault() -> None:
    assert {fault.kind for pair in CATALOGUE for fault in pair} == set(KINDS)


CORE = ("tunnel-down", "node-down")
"""A broken network, a broken node; the other faults of the catalogue are slow together."""


def drill_fault(fault: DrillFault) -> ParameterSet:
    return pytest.param(fault, id=fault.kind, marks=[] if fault.kind in CORE else [pytest.mark.slow])


@pytest.mark.parametrize("fault", [drill_fault(pair[0]) for pair in CATALOGUE])
async def test_a_fault_is_named_right_and_nothing_else_is_found(drill: FaultDrill, fault: DrillFault) -> None:
    await drill.wait_until_healthy(timeout_s=SETTLE_S)
    verdict = await drill.play(fault)
    await drill.wait_until_healthy(timeout_s=SETTLE_S)
    assert verdict.named_right, verdict.finding
    assert not drill.scorer.false_findings


STRAYS = 5
"""So many of 529 paths may be away for a moment on a busy machine; a tunnel carries ten times as many."""


@pytest.mark.slow  # the collector watches a fault come and go
async def test_two_moments_of_the_history_tell_what_broke_in_between(drill: FaultDrill, name: str) -> None:
    await drill.wait_until_healthy(timeout_s=SETTLE_S)
    well_ns = time.time_ns()
    fault = CATALOGUE[0][0]
    identity, _ = await drill.injector.add(fault.kind, fault.parameters)
    try:
        ill_ns = await wait_for_moment(name, Cause.TUNNEL_DOWN)
    finally:
        await drill.injector.remove(identity)
    await drill.wait_until_healthy(timeout_s=SETTLE_S)
    broke = diff(name, at=(well_ns, ill_ns))
    assert broke["refused"]
    assert broke["counts"]["repaired"] <= STRAYS < broke["counts"]["broken"]
    assert broke["findings_begun"]
    back = diff(name, at=(ill_ns, well_ns))
    # A path that was degraded when all was well is broken one way and not repaired backwards.
    assert back["counts"]["repaired"] >= broke["counts"]["broken"] - 3 * STRAYS
    since = diff(name, at=(ill_ns,))
    assert since["counts"]["broken"] <= STRAYS < since["counts"]["repaired"]
    remembered = await ask_moment(find_access(name), ill_ns)
    (again,) = [one for one in remembered.findings if one.cause is Cause.TUNNEL_DOWN]
    assert well_ns < again.first_seen_ns <= ill_ns


async def wait_for_moment(name: str, cause: Cause) -> int:
    """The first moment of which the history says that *cause* was found."""
    async with asyncio.timeout(2 * SETTLE_S):
        while True:
            at_ns = time.time_ns()
            if cause in {one.cause for one in (await ask_moment(find_access(name), at_ns)).findings}:
                return at_ns
            await asyncio.sleep(0.5)


def diff(name: str, *, at: tuple[int, ...]) -> dict[str, Any]:
    """What ``netprobe report diff`` says about moments of the lab's own collector."""
    times = [dt.datetime.fromtimestamp(at_ns / 1e9, dt.UTC).isoformat() for at_ns in at]
    words = ["--lab", name, "-o", "json", *(word for time in times for word in ("--at", time))]
    command = [sys.executable, "-m", "netprobe", "report", "diff", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode in {0, 1}, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


async def test_nobody_remembers_what_was_before_the_lab(name: str) -> None:
    access = find_access(name)
    with pytest.raises(SystemRefusedError, match="no reports are stored for that time"):
        await ask_moment(access, time.time_ns() - 3_600_000_000_000)
    with pytest.raises(SystemRefusedError, match="is in the future"):
        await ask_moment(access, time.time_ns() + 3_600_000_000_000)


@pytest.mark.slow  # ten seconds of watching for each
@pytest.mark.parametrize("kind", ["agent-frozen", "agent-killed"])
async def test_a_sick_agent_is_never_shown_as_a_broken_network(drill: FaultDrill, kind: str) -> None:
    await drill.wait_until_healthy(timeout_s=SETTLE_S)
    agent = "staging-eu-central-1/w1/pod"
    fault_id, _ = await drill.injector.add(kind, {"agent": agent})
    try:
        causes = set()
        for _ in range(20):
            snapshot = await drill.ask()
            causes |= {finding.cause for finding in snapshot.findings}
            states = {path.check: path.state for path in snapshot.paths}
            assert PathState.DOWN not in states.values()
            await asyncio.sleep(0.5)
        involved = [c for c in snapshot.checks if agent in (str(c.source), c.target.name)]
        unknown = [check for check in involved if states[check.id] is PathState.UNKNOWN]
    finally:
        await drill.injector.remove(fault_id)
    assert causes == {Cause.AGENT_SICK}
    own = [check for check in involved if str(check.source) == agent]
    assert own, "the agent had questions of its own"
    assert set(own) <= set(unknown)
