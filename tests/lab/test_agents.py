"""The whole line in a lab: agents and collector run, are seen, killed, frozen and mended."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator

import pytest

from netprobe.bus.operator import ask_snapshot
from netprobe.bus.server import find_program
from netprobe.errors import NetprobeError, SystemRefusedError
from netprobe.lab.access import find_access
from netprobe.lab.client import Start, start_lab, take_down
from netprobe.lab.protocol import ProcessStatus
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState
from tests.lab.conftest import PATIENCE, Lab, eventually

pytestmark = pytest.mark.quiet

SICK = "prod-us-west-1/w1/pod"
NEIGHBOUR = "prod-us-west-1/w2/pod"


@pytest.fixture(scope="module")
def full_lab() -> Iterator[Lab]:
    try:
        find_program()
    except SystemRefusedError as error:
        pytest.skip(str(error))
    name = f"f-{os.getpid()}"
    start_lab(Start(name), say=print)
    try:
        yield Lab(name)
    finally:
        take_down(name)


def process(lab: Lab, name: str) -> ProcessStatus:
    return next(one for one in lab.client.status().processes if one.name == name)


def snapshot_where(lab: Lab, condition: object) -> Snapshot:
    """The first snapshot of which *condition* holds, or the last one asked for."""
    assert callable(condition)
    found: Snapshot | None = None
    for _ in range(PATIENCE):
        try:
            found = asyncio.run(ask_snapshot(find_access(lab.name)))
        except NetprobeError:
            found = None
        if found is not None and condition(found):
            break
        time.sleep(0.5)
    assert found is not None
    return found


def alive(snapshot: Snapshot) -> set[str]:
    return {status.agent for status in snapshot.agents if status.state is AgentState.ALIVE}


def test_every_agent_reports_to_the_collector(full_lab: Lab) -> None:
    assert {one.state for one in full_lab.client.status().processes} == {"running"}
    assert len(alive(snapshot_where(full_lab, lambda snapshot: len(alive(snapshot)) == 14))) == 14


def test_a_killed_agent_stays_away_until_it_is_mended(full_lab: Lab) -> None:
    address = full_lab.plan.host(SICK).address("eth0", 4)
    before = process(full_lab, SICK)
    full_lab.client.add_fault("agent-killed", {"agent": SICK})
    try:
        told = full_lab.ask(NEIGHBOUR, f"ping {address}", f"tcp {address} 9771")
        killed = process(full_lab, SICK)
    finally:
        full_lab.client.remove_fault("all")
    assert told == ["answered 2/2", "refused"]
    assert (killed.state, killed.exit_code) == ("stopped", -9)
    after = process(full_lab, SICK)
    assert after.state == "running"
    assert after.pid != before.pid
    eventually(full_lab, NEIGHBOUR, [f"connect {address} 9771"], ["connected"])
    assert SICK in alive(snapshot_where(full_lab, lambda snapshot: SICK in alive(snapshot)))


def test_a_frozen_agent_is_answered_for_by_the_kernel_only(full_lab: Lab) -> None:
    address = full_lab.plan.host(SICK).address("eth0", 4)
    eventually(full_lab, NEIGHBOUR, [f"connect {address} 9771"], ["connected"])
    before = process(full_lab, SICK)
    full_lab.client.add_fault("agent-frozen", {"agent": SICK})
    try:
        # The connection stands (or it would be refused at once), and nobody says anything.
        told = full_lab.ask(NEIGHBOUR, f"ping {address}", f"udp {address} 9771", f"connect {address} 9771")
        assert told == ["answered 2/2", "silent", "connected"]
        seen = snapshot_where(full_lab, lambda snapshot: SICK not in alive(snapshot))
        assert SICK not in alive(seen)
    finally:
        full_lab.client.remove_fault("all")
    assert process(full_lab, SICK) == before
    assert SICK in alive(snapshot_where(full_lab, lambda snapshot: SICK in alive(snapshot)))
