"""The whole line on real packets: faults go in, names come out, and nothing is found that is not there."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Iterator

import pytest

from netprobe.bus.ask import ask_snapshot
from netprobe.cli.catalogue import CATALOGUE
from netprobe.cli.rehearsal import Fault, LabInjector, Rehearsal
from netprobe.lab.access import find_access
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.lab.faults.registry import KINDS
from netprobe.model.finding import Cause
from netprobe.model.state import PathState

INTERVAL_NS = 1_000_000_000
SETTLE_S = 60.0
pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def name() -> Iterator[str]:
    name = f"line-{os.getpid()}"
    start_lab(Start(name, interval_ns=INTERVAL_NS, end_with_pid=os.getpid()), say=print)
    yield name
    take_down(name)


@pytest.fixture
def rehearsal(name: str) -> Rehearsal:
    ask = functools.partial(ask_snapshot, find_access(name))
    return Rehearsal(ask, LabInjector(LabClient(name)), INTERVAL_NS)


def test_the_catalogue_holds_every_kind_of_fault() -> None:
    assert {fault.kind for pair in CATALOGUE for fault in pair} == set(KINDS)


@pytest.mark.parametrize("fault", [pair[0] for pair in CATALOGUE], ids=lambda fault: fault.kind)
async def test_a_fault_is_named_right_and_nothing_else_is_found(rehearsal: Rehearsal, fault: Fault) -> None:
    await rehearsal.wait_until_healthy(timeout_s=SETTLE_S)
    verdict = await rehearsal.play(fault)
    await rehearsal.wait_until_healthy(timeout_s=SETTLE_S)
    assert verdict.named_right, verdict.finding
    assert not rehearsal.scorer.false_findings


@pytest.mark.parametrize("kind", ["agent-frozen", "agent-killed"])
async def test_a_sick_agent_is_never_shown_as_a_broken_network(rehearsal: Rehearsal, kind: str) -> None:
    await rehearsal.wait_until_healthy(timeout_s=SETTLE_S)
    agent = "staging-eu-central-1/w1/pod"
    fault_id, _ = await rehearsal.injector.add(kind, {"agent": agent})
    try:
        causes = set()
        for _ in range(20):
            snapshot = await rehearsal.ask()
            causes |= {finding.cause for finding in snapshot.findings}
            states = {path.check: path.state for path in snapshot.paths}
            assert PathState.DOWN not in states.values()
            await asyncio.sleep(0.5)
        involved = [c for c in snapshot.checks if agent in (str(c.source), c.target.name)]
        unknown = [check for check in involved if states[check.id] is PathState.UNKNOWN]
    finally:
        await rehearsal.injector.remove(fault_id)
    assert causes == {Cause.AGENT_SICK}
    own = [check for check in involved if str(check.source) == agent]
    assert own, "the agent had questions of its own"
    assert set(own) <= set(unknown)
