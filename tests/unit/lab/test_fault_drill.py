"""A fault drill waits for a healthy fleet, times its findings, and gives up after its deadline."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from netprobe.errors import BusAwayError, SystemRefusedError
from netprobe.lab import fault_drill
from netprobe.lab.fault_drill import DrillFault, FaultDrill, describe_unhealthy
from netprobe.model.component import dns
from netprobe.model.finding import Cause, Finding
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, CheckId, ClusterName
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import (
    AgentState,
    AgentStatus,
    PathState,
    PathStatus,
)

INTERVAL_NS = 1_000_000_000
PART = dns(ClusterName("prod"))
LABEL = GroundTruth(Cause.DNS_DOWN, (PART,))
HEALTHY = Snapshot(
    taken_ns=5,
    interval_ns=INTERVAL_NS,
    inventory=Inventory(),
    paths=(PathStatus(CheckId(1), PathState.UP, since_ns=5),),
    agents=(AgentStatus(AgentId.parse("prod/w1/pod"), AgentState.ALIVE),),
)


@dataclass
class ScriptedFleet:
    """A fleet that finds *found* while a fault is in place."""

    found: tuple[Finding, ...]
    broken: bool = False
    removed: list[str] = field(default_factory=list)

    async def ask(self) -> Snapshot:
        return replace(HEALTHY, findings=self.found) if self.broken else HEALTHY

    async def add(self, kind: str, parameters: dict[str, str]) -> tuple[str, GroundTruth]:
        self.broken = True
        return "fault-1", LABEL

    async def remove(self, fault_id: str) -> None:
        self.broken = False
        self.removed.append(fault_id)


def finding(cause: Cause) -> Finding:
    return Finding(id=str(cause), components=(PART,), cause=cause, confidence=0.9, summary=Prose(""))


@pytest.mark.parametrize(
    ("found", "right"),
    [
        pytest.param((finding(Cause.DNS_DOWN),), True, id="named right"),
        pytest.param((finding(Cause.UNKNOWN),), False, id="named wrong"),
        pytest.param((), False, id="not named"),
    ],
)
async def test_a_fault_is_played_and_always_mended(found: tuple[Finding, ...], right: bool) -> None:
    fleet = ScriptedFleet(found)
    drill = FaultDrill(fleet.ask, fleet, interval_ns=50_000_000)
    verdict = await drill.play(DrillFault("dns-down", {"cluster": "prod"}), linger_s=0.1)
    assert verdict.named_right is right
    assert drill.is_flawless is (right and drill.is_in_time(verdict))
    assert fleet.removed == ["fault-1"]
    assert drill.moments["dns-down cluster=prod"].findings == found


async def test_a_lab_that_never_gets_well_is_an_error_that_says_what_is_missing() -> None:
    fleet = ScriptedFleet((finding(Cause.DNS_DOWN),), broken=True)
    drill = FaultDrill(fleet.ask, fleet, INTERVAL_NS)
    with pytest.raises(SystemRefusedError, match="1 findings are open"):
        await drill.wait_until_healthy(timeout_s=0.1)


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        pytest.param(HEALTHY, "", id="healthy"),
        pytest.param(replace(HEALTHY, paths=()), "no reports yet", id="nothing heard"),
        pytest.param(
            replace(HEALTHY, agents=(AgentStatus(AgentId.parse("prod/w1/pod"), AgentState.SILENT),)),
            "1 of 1 agents are not alive, first prod/w1/pod",
            id="agent silent",
        ),
        pytest.param(
            replace(HEALTHY, paths=(PathStatus(CheckId(1), PathState.UNKNOWN, since_ns=5),)),
            "1 of 0 paths are not up",
            id="path unknown",
        ),
    ],
)
def test_says_what_keeps_a_fleet_from_being_well(snapshot: Snapshot, expected: str) -> None:
    assert describe_unhealthy(snapshot) == expected


@dataclass
class TwoFaults(ScriptedFleet):
    """A fleet in which two kinds of faults can be active at once; it names those that it is given."""

    async def add(self, kind: str, parameters: dict[str, str]) -> tuple[str, GroundTruth]:
        self.broken = True
        return f"fault-{kind}", LABEL if kind == "dns-down" else GroundTruth(Cause.SNAT, (PART,))


async def test_two_faults_are_in_place_together_and_both_are_mended() -> None:
    fleet = TwoFaults((finding(Cause.DNS_DOWN), finding(Cause.SNAT)))
    drill = FaultDrill(fleet.ask, fleet, interval_ns=50_000_000)
    verdicts = await drill.play_together((DrillFault("dns-down", {}), DrillFault("snat", {})), linger_s=0.1)
    assert [verdict.named_right for verdict in verdicts] == [True, True]
    assert fleet.removed == ["fault-dns-down", "fault-snat"]
    assert not drill.scorer.false_findings


async def test_a_second_fault_that_nobody_names_is_not_named_by_the_first() -> None:
    fleet = TwoFaults((finding(Cause.DNS_DOWN),))
    drill = FaultDrill(fleet.ask, fleet, interval_ns=50_000_000)
    verdicts = await drill.play_together((DrillFault("dns-down", {}), DrillFault("snat", {})), linger_s=0.1)
    assert [verdict.named_right for verdict in verdicts] == [True, False]
    assert not drill.is_flawless


async def test_a_patient_fault_is_waited_for() -> None:
    fleet = ScriptedFleet(())
    drill = FaultDrill(fleet.ask, fleet, interval_ns=1_000_000)
    reads: list[int] = []

    async def ask() -> Snapshot:
        reads.append(1)
        return await fleet.ask()

    drill.ask = ask
    await drill.play(DrillFault("dns-down", {}), linger_s=0.0)
    hasty = len(reads)
    reads.clear()
    await drill.play(DrillFault("dns-down", {}, patience=500), linger_s=0.0)
    assert len(reads) > hasty


async def test_an_answer_that_comes_late_is_waited_for_and_silence_has_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = ScriptedFleet(())
    silence = [BusAwayError("timeout")]

    async def ask() -> Snapshot:
        if silence:
            raise silence.pop()
        return await fleet.ask()

    drill = FaultDrill(ask, fleet, INTERVAL_NS)
    assert await drill.wait_until_healthy(timeout_s=5.0) == HEALTHY
    monkeypatch.setattr(fault_drill, "_SILENCE_S", 0.0)
    silence.extend([BusAwayError("timeout")] * 10)
    with pytest.raises(BusAwayError):
        await drill.wait_until_healthy(timeout_s=5.0)
