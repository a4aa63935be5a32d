"""The decision table of verify."""

from __future__ import annotations

import pytest

from netprobe.analysis.intent.questions import unseen
from netprobe.analysis.intent.verdicts import PortObservation, judge_cells
from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, CellResult, PortSpec, Protocol, Requirements
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import Verdict
from netprobe.probes.wording import describe_reason

ME = AgentId.parse("a/w1/pod")
ICMP, TCP, UDP = PortSpec(Protocol.ICMP), PortSpec(Protocol.TCP, 80), PortSpec(Protocol.UDP, 53)


def cell(door: PortSpec, expected: str, *, needs: Requirements = Requirements.LISTENER) -> Cell:
    return Cell(ME, "b/w1/pod", "10.0.0.1", door, Expectation(expected), "r", needs)


def judge(
    asked: Cell, sight: PortObservation, *, alive: bool = True, responders: frozenset[PortSpec] = frozenset()
) -> CellResult:
    witness = cell(ICMP, "allow")
    sights = {asked: sight} | ({witness: PortObservation(Verdict.OPEN)} if alive else {})
    (told,) = judge_cells([asked], sights, responders=responders)
    return told


TABLE = [
    (TCP, "allow", Verdict.OPEN, "as intended"),
    (TCP, "deny", Verdict.OPEN, "leak"),
    (TCP, "allow", Verdict.CLOSED, "broken"),
    (TCP, "deny", Verdict.CLOSED, "unproven"),
    (TCP, "allow", Verdict.FILTERED, "broken"),
    (TCP, "deny", Verdict.FILTERED, "as intended"),
    (TCP, "allow", Verdict.REJECTED, "broken"),
    (TCP, "deny", Verdict.REJECTED, "as intended"),
    (TCP, "deny", Verdict.UNKNOWN, "unproven"),
    (UDP, "allow", Verdict.FILTERED, "unproven"),
    (UDP, "deny", Verdict.FILTERED, "unproven"),
]


@pytest.mark.parametrize(("door", "expected", "seen", "verdict"), TABLE)
def test_seen_against_meant(door: PortSpec, expected: str, seen: Verdict, verdict: str) -> None:
    assert judge(cell(door, expected), PortObservation(seen, sender="10.9.9.9")).verdict == verdict


def test_silence_without_a_witness_proves_no_denial() -> None:
    told = judge(cell(TCP, "deny"), PortObservation(Verdict.FILTERED), alive=False)
    assert (told.verdict, str(told.reason)[:7]) == ("unproven", "nothing")


def test_a_sweep_brings_its_own_witness() -> None:
    told = judge(cell(TCP, "deny"), PortObservation(Verdict.FILTERED, is_witnessed=True), alive=False)
    assert told.verdict == "as intended"


def test_a_rejection_by_somebody_on_the_way_is_no_witness() -> None:
    other = cell(PortSpec(Protocol.TCP, 81), "deny")
    sights = {
        cell(TCP, "deny"): PortObservation(Verdict.FILTERED),
        other: PortObservation(Verdict.REJECTED, "10.9.9.9"),
    }
    told = judge_cells(sights, sights, responders=frozenset())
    assert [str(one.verdict) for one in told] == ["unproven", "as intended"]


def test_silence_on_udp_counts_where_a_responder_stands() -> None:
    known = frozenset({UDP})
    assert (
        judge(cell(UDP, "deny"), PortObservation(Verdict.FILTERED), responders=known).verdict == "as intended"
    )
    assert judge(cell(UDP, "allow"), PortObservation(Verdict.FILTERED), responders=known).verdict == "broken"


def test_a_refusal_shows_a_free_path() -> None:
    assert (
        judge(cell(UDP, "allow", needs=Requirements.PATH), PortObservation(Verdict.CLOSED)).verdict
        == "as intended"
    )
    assert (
        judge(cell(TCP, "deny", needs=Requirements.PATH), PortObservation(Verdict.CLOSED)).verdict == "leak"
    )


def test_a_rejection_names_its_sender() -> None:
    assert judge(cell(TCP, "allow"), PortObservation(Verdict.REJECTED, "10.9.9.9")).at == "10.9.9.9"


def test_what_our_own_side_could_not_ask_is_unproven() -> None:
    told = judge(cell(TCP, "allow"), unseen(Reason(ReasonCode.OTHER, detail=Prose("no privilege"))))
    assert (str(told.verdict), str(told.reason)) == ("unproven", "no privilege")


def test_a_cell_that_nobody_asked_is_unproven() -> None:
    (told,) = judge_cells([cell(TCP, "deny")], {}, responders=frozenset())
    assert told.verdict == "unproven"


@pytest.mark.parametrize(
    "reason",
    [
        Reason(ReasonCode.STALLED, for_ms=1200),
        Reason(ReasonCode.ANSWERS_LIMITED),
        Reason(ReasonCode.FELL_SILENT),
        Reason(ReasonCode.OUT_OF_TIME),
        Reason(ReasonCode.STARVED),
    ],
)
@pytest.mark.parametrize("expected", ["allow", "deny"])
def test_what_could_not_be_told_in_time_is_neither_broken_nor_proven(reason: Reason, expected: str) -> None:
    told = judge(cell(TCP, expected), PortObservation(Verdict.UNKNOWN, reason=reason))
    assert (told.verdict, str(told.reason)) == ("unproven", str(describe_reason(reason)))
    dead = judge(cell(TCP, expected), PortObservation(Verdict.UNKNOWN, reason=Reason(ReasonCode.SILENT_HOST)))
    assert dead.verdict == ("broken" if expected == "allow" else "unproven")
