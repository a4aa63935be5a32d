"""Sentences of builds without reason codes, as values; and today's values as such a build reads them."""

from __future__ import annotations

import msgspec
import pytest

from netprobe.errors import RemoteFormatError
from netprobe.model.flow import FlowState
from netprobe.model.intent import CellCause
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import NotMeasured, OutcomeKind, OwnFault
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PortVerdict, Transport, Verdict
from netprobe.probes.idle import read_flows
from netprobe.probes.ports import read_verdicts
from netprobe.wire import previous_build
from netprobe.wire.messages import (
    CheckAnswer,
    Declined,
    Refusal,
    decode_reply,
    encode_reply,
)
from netprobe.wire.previous_build_causes import read_cause

ME = AgentId.parse("prod/w1/pod")
SENTENCES = {
    "nothing on this host answered": Reason(ReasonCode.SILENT_HOST),
    "nothing on this port answered": Reason(ReasonCode.SILENT_PORT),
    "the host limits its answers, and time was over": Reason(ReasonCode.ANSWERS_LIMITED),
    "the host had answered and then said nothing any more": Reason(ReasonCode.FELL_SILENT),
    "time was over": Reason(ReasonCode.OUT_OF_TIME),
    "the agent stood still for 900 ms": Reason(ReasonCode.STALLED, for_ms=900),
    "10.9.9.9 answered instead": Reason(ReasonCode.OTHER_ANSWERED, who="10.9.9.9"),
    "our own machine would not send": Reason(ReasonCode.NOT_SENT),
    "our own machine would not send: cannot open a socket: Operation not permitted": Reason(
        ReasonCode.NOT_SENT, detail=Prose("cannot open a socket: Operation not permitted")
    ),
    "our own machine has no SCTP (the kernel module sctp is not loaded)": Reason(ReasonCode.NO_SCTP),
    "this host's own packet filter drops it": Reason(ReasonCode.OWN_FILTER),
    "not measured: the host has no tool that asks tcp": Reason(
        ReasonCode.OTHER, detail=Prose("not measured: the host has no tool that asks tcp")
    ),
}


@pytest.mark.parametrize(("text", "reason"), SENTENCES.items(), ids=SENTENCES)
def test_a_sentence_is_a_reason_and_that_reason_the_sentence_again(text: str, reason: Reason) -> None:
    assert previous_build.read_reason(text) == reason
    assert previous_build.write_reason(reason) == text


def test_an_sctp_port_that_our_own_side_could_not_ask_is_not_sent() -> None:
    told = previous_build.read_reason("our own machine: connect failed (errno 113)")
    assert told == Reason(ReasonCode.NOT_SENT, detail=Prose("connect failed (errno 113)"))
    assert told.is_own_side


@pytest.mark.parametrize(("text", "reason"), SENTENCES.items(), ids=SENTENCES)
def test_facts_of_ports_are_verdicts(text: str, reason: Reason) -> None:
    facts = ((f"10.0.0.1 tcp unknown {text}", Prose("80-81")),)
    assert list(read_verdicts((), facts)) == [
        PortVerdict("10.0.0.1", Transport.TCP, port, Verdict.UNKNOWN, reason=reason) for port in (80, 81)
    ]


@pytest.mark.parametrize("name", ["", "10.0.0.1", "10.0.0.1 tcp", "10.0.0.1 tcp open-ish"])
def test_facts_that_are_no_verdict_are_one_error(name: str) -> None:
    with pytest.raises(RemoteFormatError):
        list(read_verdicts((), [(name, Prose("80"))]))


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("lives", FlowState.ALIVE),
        ("dead: silence", FlowState.SILENT),
        ("dead: reset", FlowState.RESET),
        ("dead: closed", FlowState.CLOSED),
        ("not waited for", FlowState.PENDING),
    ],
)
def test_a_fact_of_idle_is_a_flow_and_that_flow_the_fact_again(text: str, state: FlowState) -> None:
    fact = ("120 s quiet", Prose(text))
    assert read_flows((), [fact, ("asked with", Prose("lives"))]) == ((120, state),)
    assert previous_build.write_flow(120, state) == fact


def encode_as_before(**fields: object) -> bytes:
    """A reply as a build without codes writes it."""
    return b"\x01" + msgspec.msgpack.encode({"agent": msgspec.to_builtins(ME), **fields})


def test_replies_begin_like_today_s() -> None:
    assert encode_reply(Declined(ME, Prose("no")))[:1] == encode_as_before()[:1]


@pytest.mark.parametrize(
    ("text", "is_for_now"),
    [
        ("more than 60 questions within a minute", True),
        ("10.0.0.1 is neither in the plan", False),
        ("", False),
    ],
)
def test_a_refusal_without_a_code_is_for_now_only_where_the_rate_is_spent(
    text: str, is_for_now: bool
) -> None:
    told = decode_reply(encode_as_before(declined=text))
    assert isinstance(told, Declined)
    assert (str(told.reason), told.is_for_now) == (text, is_for_now)


def test_a_refusal_with_a_code_is_not_read_from_its_words() -> None:
    said = Declined(ME, Prose("more than 60 questions within a minute"), Refusal.NOT_ALLOWED)
    assert decode_reply(encode_reply(said)) == said


def test_a_refusal_of_a_newer_build_is_some_other_refusal() -> None:
    told = decode_reply(encode_as_before(declined="soon", refusal="never-heard-of"))
    assert told == Declined(ME, Prose("soon"), Refusal.OTHER)


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        (
            {"reason": "the agent stood still for 900 ms"},
            NotMeasured(Prose("the agent stood still for 900 ms"), OwnFault.STALLED, 900),
        ),
        ({"reason": "no socket"}, NotMeasured(Prose("no socket"))),
        ({"reason": "no socket", "fault": "never-heard-of"}, NotMeasured(Prose("no socket"))),
        ({"reason": "the agent stood still for 900 ms", "fault": "other", "for_ms": 0},
         NotMeasured(Prose("the agent stood still for 900 ms"))),
    ],
)  # fmt: skip
def test_what_was_not_measured_has_its_fault(fields: dict[str, object], outcome: NotMeasured) -> None:
    told = decode_reply(encode_as_before(check=1, outcomes=[[OutcomeKind.NOT_MEASURED, fields]]))
    assert told == CheckAnswer(ME, CheckId(1), (outcome,))


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("answered", CellCause.ANSWERED),
        ("answered (the host's own tools over SSH: coarser than an agent)", CellCause.ANSWERED),
        ("the host itself refuses: the way is free", CellCause.PATH_FREE),
        ("refused: nobody listens, or something resets", CellCause.REFUSED),
        ("refused by that address: a free way without a listener, or a firewall's reset", CellCause.REFUSED),
        ("rejected by 10.9.0.1", CellCause.REJECTED),
        ("dropped in silence", CellCause.DROPPED),
        ("dropped in silence behind hop 2, but by whom cannot be known", CellCause.DROPPED),
        ("this host's own packet filter drops it", CellCause.DROPPED),
        ("silence on UDP: a drop, or a listener with nothing to say", CellCause.MUTE),
        ("nothing on this host answered", CellCause.NOT_KNOWN),
        ("b/w1/pod answered at this address instead", CellCause.NOT_KNOWN),
    ],
)
def test_the_reason_of_an_older_document_has_a_cause(reason: str, cause: CellCause) -> None:
    assert read_cause(reason) is cause
