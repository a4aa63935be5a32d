"""The whole line in a lab: agents and collector run, are seen, killed, frozen and mended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from netprobe.bus.operator import ask_snapshot
from netprobe.errors import NetprobeError
from netprobe.lab.access import find_access
from netprobe.lab.protocol import ProcessStatus
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState
from tests.lab.conftest import FullLab, Lab, wait_for_answers
from tests.patience import wait_until

pytestmark = pytest.mark.quiet

SICK = "prod-us-west-1/w1/pod"
NEIGHBOUR = "prod-us-west-1/w2/pod"


def process(lab: Lab, name: str) -> ProcessStatus:
    return next(one for one in lab.client.status().processes if one.name == name)


def wait_for_snapshot(lab: Lab, condition: Callable[[Snapshot], bool]) -> Snapshot:
    """The first snapshot of which *condition* holds."""

    def ask() -> Snapshot | None:
        try:
            found = asyncio.run(ask_snapshot(find_access(lab.name)))
        except NetprobeError:
            return None
        return found if condition(found) else None

    snapshot = wait_until("the collector says so", ask, every_s=0.5)
    assert snapshot is not None
    return snapshot


def alive(snapshot: Snapshot) -> set[str]:
    return {str(status.agent) for status in snapshot.agents if status.state is AgentState.ALIVE}


def test_every_agent_reports_to_the_collector(healthy_lab: FullLab) -> None:
    assert {one.state for one in healthy_lab.client.status().processes} == {"running"}
    assert len(alive(wait_for_snapshot(healthy_lab, lambda snapshot: len(alive(snapshot)) == 14))) == 14


def test_a_killed_agent_stays_away_until_it_is_mended(healthy_lab: FullLab) -> None:
    address = healthy_lab.plan.host(SICK).address("eth0", 4)
    before = process(healthy_lab, SICK)
    healthy_lab.client.add_fault("agent-killed", {"agent": SICK})
    try:
        told = healthy_lab.ask(NEIGHBOUR, f"ping {address}", f"tcp {address} 9771")
        killed = process(healthy_lab, SICK)
    finally:
        healthy_lab.client.remove_fault("all")
    assert told == ["answered 2/2", "refused"]
    assert (killed.state, killed.exit_code) == ("stopped", -9)
    after = process(healthy_lab, SICK)
    assert after.state == "running"
    assert after.pid != before.pid
    wait_for_answers(healthy_lab, NEIGHBOUR, [f"connect {address} 9771"], ["connected"])
    assert SICK in alive(wait_for_snapshot(healthy_lab, lambda snapshot: SICK in alive(snapshot)))


def test_a_frozen_agent_is_answered_for_by_the_kernel_only(healthy_lab: FullLab) -> None:
    address = healthy_lab.plan.host(SICK).address("eth0", 4)
    wait_for_answers(healthy_lab, NEIGHBOUR, [f"connect {address} 9771"], ["connected"])
    before = process(healthy_lab, SICK)
    healthy_lab.client.add_fault("agent-frozen", {"agent": SICK})
    try:
        # The connection stands (or it would be refused at once), and neither side sends anything.
        told = healthy_lab.ask(NEIGHBOUR, f"ping {address}", f"udp {address} 9771", f"connect {address} 9771")
        assert told == ["answered 2/2", "silent", "connected"]
        seen = wait_for_snapshot(healthy_lab, lambda snapshot: SICK not in alive(snapshot))
        assert SICK not in alive(seen)
    finally:
        healthy_lab.client.remove_fault("all")
    assert process(healthy_lab, SICK) == before
    assert SICK in alive(wait_for_snapshot(healthy_lab, lambda snapshot: SICK in alive(snapshot)))
