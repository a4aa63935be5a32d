"""An agent that does not speak proves nothing, by its silence least of all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.analysis.intent.availability import doubt, explain, find_absent
from netprobe.analysis.intent.questions import unseen
from netprobe.analysis.intent.verdicts import PortObservation, judge_cells
from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, CellVerdict, PortSpec, Protocol
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.status import AgentState, AgentStatus
from netprobe.model.verdict import Verdict
from netprobe.probes.wording import describe_reason
from tests import fleets

ME, YOU = AgentId.parse("a/w1/pod"), AgentId.parse("b/w1/pod")
ABSENT = {str(YOU): Reason(ReasonCode.AGENT_AWAY, str(YOU), detail=Prose("absent: never reported"))}


def cell(door: PortSpec, *, source: AgentId = ME, expected: str = "allow") -> Cell:
    return Cell(source, str(YOU), "10.0.0.1", door, Expectation(expected), "r")


def test_who_never_reported_or_fell_silent_is_absent() -> None:
    snapshot = fleets.healthy()
    first, second, *rest = snapshot.inventory.iter_agents()
    statuses = (
        AgentStatus(first, AgentState.SILENT, reason=Prose("last reported 9 s ago")),
        *(AgentStatus(name, AgentState.SICK if name == rest[0] else AgentState.ALIVE) for name in rest),
    )
    assert find_absent(replace(snapshot, agents=statuses)) == {
        str(first): Reason(ReasonCode.AGENT_AWAY, str(first), detail=Prose("silent: last reported 9 s ago")),
        str(second): Reason(ReasonCode.AGENT_AWAY, str(second), detail=Prose("absent: never reported")),
    }


def test_an_absent_agent_that_does_not_answer_says_why() -> None:
    one = cell(PortSpec(Protocol.TCP, 80), source=YOU)
    declined = Reason(ReasonCode.DECLINED, detail=Prose("no agent answers on the bus"))
    told = explain({one: unseen(declined)}, ABSENT)[one]
    assert told.reason == replace(ABSENT[str(YOU)], beside=declined)
    said = str(describe_reason(told.reason))
    assert said == f"the agent {YOU} is absent: never reported; not asked: no agent answers on the bus"
    assert not told.was_asked


def test_an_absent_agent_that_answers_counts() -> None:
    sights = {cell(PortSpec(Protocol.TCP, 80), source=YOU): PortObservation(Verdict.OPEN)}
    assert explain(sights, ABSENT) == sights


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
@pytest.mark.parametrize("seen", [Verdict.FILTERED, Verdict.CLOSED, Verdict.UNKNOWN])
def test_the_silence_of_an_absent_agent_on_its_own_door_is_never_broken(
    protocol: Protocol, seen: Verdict
) -> None:
    asked = cell(PortSpec(protocol, 9771))
    sights = doubt({asked: PortObservation(seen, is_witnessed=True)}, ABSENT, agent_port=9771)
    (told,) = judge_cells([asked], sights, responders=frozenset())
    assert (told.verdict, str(told.reason)) == (CellVerdict.UNPROVEN, str(describe_reason(ABSENT[str(YOU)])))


@pytest.mark.parametrize("seen", [Verdict.OPEN, Verdict.REJECTED])
def test_what_is_seen_whoever_stands_there_counts(seen: Verdict) -> None:
    sights = {cell(PortSpec(Protocol.TCP, 9771)): PortObservation(seen, sender="10.9.9.9")}
    assert doubt(sights, ABSENT, agent_port=9771) == sights


def test_other_doors_of_the_same_address_are_not_the_agent_s() -> None:
    sights = {cell(PortSpec(Protocol.TCP, 443)): PortObservation(Verdict.FILTERED)}
    assert doubt(sights, ABSENT, agent_port=9771) == sights
