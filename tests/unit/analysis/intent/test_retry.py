"""Silences beside a limit of rejections: which are asked about again, and when they are given up."""

from __future__ import annotations

import pytest

from netprobe.analysis.intent.questions import unseen
from netprobe.analysis.intent.retry import (
    STARVED,
    find_doubtful,
    find_news,
    give_up,
)
from netprobe.analysis.intent.verdicts import PortObservation
from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, PortSpec, Protocol
from netprobe.model.names import AgentId
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import Verdict

SILENT = PortObservation(Verdict.FILTERED, is_witnessed=True)
REJECTED = PortObservation(Verdict.REJECTED, sender="10.9.0.1")


DEAD = PortObservation(Verdict.UNKNOWN, reason=Reason(ReasonCode.SILENT_HOST))
STALLED = PortObservation(Verdict.UNKNOWN, reason=Reason(ReasonCode.STALLED, for_ms=900))


def cell(port: int, *, source: str = "a/w1/pod", address: str = "10.0.0.1", expected: str = "allow") -> Cell:
    door = PortSpec(Protocol.TCP, port)
    return Cell(AgentId.parse(source), "b/w1/pod", address, door, Expectation(expected), "r")


@pytest.mark.parametrize(
    ("sight", "expected", "is_doubtful"),
    [
        (SILENT, "allow", True),
        (SILENT, "deny", False),
        (DEAD, "allow", True),
        (DEAD, "deny", False),
        (STALLED, "deny", True),
        (PortObservation(Verdict.UNKNOWN, reason=Reason(ReasonCode.ANSWERS_LIMITED)), "deny", True),
        (unseen(Reason(ReasonCode.AGENT_AWAY)), "allow", False),
        (PortObservation(Verdict.CLOSED), "allow", False),
    ],
)
def test_a_silence_is_believed_at_once_where_silence_is_meant(
    sight: PortObservation, expected: str, is_doubtful: bool
) -> None:
    asked = cell(1, expected=expected)
    assert find_doubtful({asked: sight}, [asked]) == ([asked] if is_doubtful else [])


@pytest.mark.parametrize(
    ("sight", "is_doubtful"),
    [
        (SILENT, True),
        (PortObservation(Verdict.UNKNOWN, reason=Reason(ReasonCode.ANSWERS_LIMITED)), True),
        (PortObservation(Verdict.FILTERED, reason=Reason(ReasonCode.OWN_FILTER)), False),
        (DEAD, False),
        (PortObservation(Verdict.OPEN), False),
    ],
)
def test_beside_a_rejection_those_silences_are_doubted_that_it_may_explain(
    sight: PortObservation, is_doubtful: bool
) -> None:
    asked = cell(2, expected="deny")
    sights = {cell(1): REJECTED, asked: sight}
    assert find_doubtful(sights, sights) == ([asked] if is_doubtful else [])
    assert find_doubtful(sights, [cell(1), cell(3)]) == []


def test_only_who_has_spoken_is_news() -> None:
    told = {cell(1): REJECTED, cell(2): SILENT, cell(3): PortObservation(Verdict.UNKNOWN, was_asked=False)}
    assert find_news(told) == {cell(1): REJECTED}


def test_what_shares_an_end_with_a_late_answer_is_given_up_and_nothing_else() -> None:
    near, beside = cell(1, address="10.0.0.2"), cell(1, source="a/w2/pod")
    far = cell(1, source="a/w2/pod", address="10.0.0.2")
    told = give_up([near, beside, far], {cell(9): REJECTED}, dict.fromkeys([near, beside, far], SILENT))
    assert {one: (sight.verdict, sight.reason) for one, sight in told.items()} == {
        near: (Verdict.UNKNOWN, STARVED), beside: (Verdict.UNKNOWN, STARVED)
    }  # fmt: skip


def test_who_could_not_tell_is_not_told_to_be_starved() -> None:
    told = give_up([cell(1), cell(2)], {cell(9): REJECTED}, {cell(1): SILENT, cell(2): STALLED})
    assert list(told) == [cell(1)]
