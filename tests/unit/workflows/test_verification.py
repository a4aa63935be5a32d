"""Looks through any asker: ports first, then the drops that matter; an absent agent is not believed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from netprobe.analysis.intent.retry import MOST_LOOKS, STARVED
from netprobe.model.check import Check, Expectation
from netprobe.model.intent import (
    Cell,
    CellResult,
    CellVerdict,
    Intent,
    LocateDrops,
    PortSpec,
    Protocol,
)
from netprobe.model.names import AgentId
from netprobe.model.outcome import Reached
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, AgentStatus
from netprobe.model.verdict import PortVerdict, Transport, Verdict
from netprobe.probes.drops import DropHop, DropLocation, suspects_of, write_drops
from netprobe.probes.ports import PortTargets, port_targets_of, write_values
from netprobe.probes.wording import describe_reason
from netprobe.wire.messages import CheckAnswer, Declined, OutcomeDetail, Reply
from netprobe.workflows.verification import verify_cells
from tests import fleets

SNAPSHOT = fleets.healthy()
ME, YOU, *_ = SNAPSHOT.inventory.iter_agents()
WEB, SHUT, ECHO = PortSpec(Protocol.TCP, 80), PortSpec(Protocol.TCP, 81), PortSpec(Protocol.ICMP)


DEAD = Reason(ReasonCode.SILENT_HOST)


@dataclass
class AskedWire:
    """Answers: echoes come back, port 80 is open, everything else is dropped behind the first hop."""

    asked: list[str] = field(default_factory=list)
    is_away: bool = False
    stands_still: int = 0
    """For so many questions its far end says nothing."""
    limit: int | None = None
    """Ports above 81 are rejected, so many of them with each question."""

    async def ask(self, source: AgentId, checks: Sequence[Check]) -> tuple[Reply, ...]:
        return tuple(self._answer(source, check) for check in checks)

    def _answer(self, source: AgentId, check: Check) -> Reply:
        self.asked.append(check.probe.kind)
        if self.is_away:
            return Declined(source, Prose("no agent answers on the bus"))
        values = self._walk(check) if check.probe.kind == "drops" else self._ports(check)
        return CheckAnswer(source, check.id, (Reached(1),), (OutcomeDetail(values=values),))

    def _ports(self, check: Check) -> tuple[str, ...]:
        (asked,) = port_targets_of(check)
        if self.asked.count("ports") <= self.stands_still:
            doors = [(Transport.ICMP, 0), *((Transport.TCP, port) for port in asked.of(Transport.TCP))]
            return write_values(
                PortVerdict(
                    asked.address, transport, port, Verdict.UNKNOWN, reason=Reason(ReasonCode.SILENT_HOST)
                )
                for transport, port in doors
            )
        if self.limit is not None:
            return write_values(_reject(asked, self.limit))
        return write_values([
            PortVerdict(asked.address, Transport.ICMP, 0, Verdict.OPEN),
            *(
                PortVerdict(
                    asked.address, Transport.TCP, port, Verdict.OPEN if port == 80 else Verdict.FILTERED
                )
                for port in asked.of(Transport.TCP)
            ),
        ])  # fmt: skip

    @staticmethod
    def _walk(check: Check) -> tuple[str, ...]:
        return write_drops(
            DropLocation(one.address, transport, port, DropHop(1, "10.9.0.1"), DropHop(2, "10.9.0.2"))
            for one in suspects_of(check)
            for transport, port in one.ports
        )


def _reject(asked: PortTargets, limit: int) -> Iterator[PortVerdict]:
    for number, port in enumerate(asked.of(Transport.TCP)):
        if port > 81 and number < limit:
            yield PortVerdict(asked.address, Transport.TCP, port, Verdict.REJECTED, "10.9.0.1", 3, 13)
        else:
            yield PortVerdict(asked.address, Transport.TCP, port, Verdict.FILTERED)


def look(
    wire: AskedWire,
    expected: str,
    *,
    locate: LocateDrops = LocateDrops.DIFFERING,
    snapshot: Snapshot = SNAPSHOT,
) -> dict[PortSpec, CellResult]:
    address = SNAPSHOT.inventory.clusters[0].nodes[0].pod_addresses[0]
    cells = [
        Cell(ME, str(YOU), address, door, Expectation("allow" if door == ECHO else expected), "r")
        for door in (ECHO, WEB, SHUT)
    ]
    judged = asyncio.run(verify_cells(wire, cells, intent=Intent(), snapshot=snapshot, locate=locate))
    return {one.cell.door: one for one in judged}


def test_a_broken_door_is_walked_to_its_hop() -> None:
    wire = AskedWire()
    told = look(wire, "allow")
    assert wire.asked == ["ports", "ports", "drops"]  # a silence is asked about twice
    assert (told[WEB].verdict, told[SHUT].verdict) == (CellVerdict.AS_INTENDED, CellVerdict.BROKEN)
    assert told[SHUT].between == ("10.9.0.1", "10.9.0.2")
    assert "between hop 1 (10.9.0.1) and hop 2 (10.9.0.2)" in str(told[SHUT].reason)


@pytest.mark.parametrize(
    ("locate", "asked"),
    [
        (LocateDrops.DIFFERING, ["ports"]),
        (LocateDrops.NONE, ["ports"]),
        (LocateDrops.ALL, ["ports", "drops"]),
    ],
)
def test_a_proven_denial_is_walked_only_if_all_are(locate: LocateDrops, asked: list[str]) -> None:
    wire = AskedWire()
    told = look(wire, "deny", locate=locate)
    assert (told[WEB].verdict, told[SHUT].verdict) == (CellVerdict.LEAK, CellVerdict.AS_INTENDED)
    assert wire.asked == asked


def limited(wire: AskedWire, ports: range) -> dict[int, str]:
    """Why each port is broken, where silence is not the reason."""
    address = SNAPSHOT.inventory.clusters[0].nodes[0].pod_addresses[0]
    cells = [
        Cell(ME, str(YOU), address, PortSpec(Protocol.TCP, port), Expectation.ALLOW, "r") for port in ports
    ]
    judged = asyncio.run(
        verify_cells(wire, cells, intent=Intent(), snapshot=SNAPSHOT, locate=LocateDrops.NONE)
    )  # fmt: skip
    return {one.cell.door.port: str(one.reason) for one in judged}


def test_who_rejects_only_so_much_is_asked_again_until_nothing_speaks_late() -> None:
    wire = AskedWire(limit=4)
    told = limited(wire, range(82, 92))
    assert set(told.values()) == {"rejected by 10.9.0.1"}
    assert wire.asked == ["ports"] * 3  # four, four and two of ten


def test_who_rejects_too_slowly_is_given_up_and_nothing_is_called_a_drop() -> None:
    wire = AskedWire(limit=1)
    told = limited(wire, range(82, 132))
    assert len(wire.asked) == 1 + MOST_LOOKS
    assert Counter(told.values()) == {
        "rejected by 10.9.0.1": 1 + MOST_LOOKS,
        str(describe_reason(STARVED)): 49 - MOST_LOOKS,
    }


def test_an_agent_that_is_not_connected_leaves_its_cells_unproven() -> None:
    silent = replace(
        SNAPSHOT, agents=(AgentStatus(ME, AgentState.SILENT, reason=Prose("last reported 60 s ago")),)
    )
    told = look(AskedWire(is_away=True), "allow", snapshot=silent)
    assert {one.verdict for one in told.values()} == {CellVerdict.UNPROVEN}
    assert str(told[WEB].reason) == (
        f"the agent {ME} is silent: last reported 60 s ago; not asked: no agent answers on the bus"
    )


def test_a_far_end_that_stood_still_for_a_moment_is_asked_again_and_breaks_nothing() -> None:
    wire = AskedWire(stands_still=1)
    told = look(wire, "allow")
    assert {door: str(told[door].verdict) for door in (ECHO, WEB)} == {
        ECHO: "as intended",
        WEB: "as intended",
    }
    assert wire.asked[:2] == ["ports", "ports"]
    assert {one.verdict for one in look(AskedWire(stands_still=99), "allow").values()} == {CellVerdict.BROKEN}
