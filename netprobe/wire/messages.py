"""What agents exchange on the bus beside reports: plans, presence, on-demand questions and answers.

Rule: values of the model go as they are; msgspec checks every type on the way in, this file what types cannot
say. Reports have their own file, because they travel in columns; so have conclusions, which no agent loads.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import msgspec

from netprobe.model.check import Check, Plan, Probe
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import (
    AppFailed,
    NotMeasured,
    NotResolved,
    Outcome,
    OutcomeKind,
    Reached,
    Refused,
    Rejected,
    TimedOut,
    TlsFailed,
    TooBig,
    WrongPeer,
)
from netprobe.model.prose import NO_PROSE, Prose
from netprobe.model.recorded_packets import PacketRecording
from netprobe.wire import previous_build
from netprobe.wire.envelope import Codec
from netprobe.wire.reports import decode_report, encode_report

__all__ = [
    "CheckAnswer", "CheckQuestion", "Declined", "OutcomeDetail", "Presence", "Refusal", "Reply",
    "decode_plan", "decode_presence", "decode_question", "decode_reply", "decode_report", "encode_plan",
    "encode_planned",
    "encode_presence", "encode_question", "encode_reply", "encode_report",
]  # fmt: skip

MAX_PLAN_BYTES = 8 * 1024 * 1024
MAX_QUESTION_BYTES = 16 * 1024
MAX_REPLY_BYTES = 256 * 1024
MAX_PRESENCE_BYTES = 16 * 1024

_MAX_COUNT = 10_000


@dataclass(frozen=True, slots=True)
class Presence:
    """An agent says that it is there."""

    agent: AgentId
    boot: str
    at_ns: int
    """Wall time."""
    epoch: int = 0
    """Epoch of the plan it runs; 0 where it has none yet."""
    version: str = ""
    capabilities: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """Where peers reach it, as far as it knows."""


@dataclass(frozen=True, slots=True)
class CheckQuestion:
    """A check to run now; ``check.source`` is the agent that runs it."""

    check: Check
    asked_by: str = ""
    is_recorded: bool = False
    """Whether the agent shall record the packets, too."""


@dataclass(frozen=True, slots=True)
class OutcomeDetail:
    """What came with one outcome; empty where the kind tells nothing."""

    answered_by: str = ""
    observed_source: str = ""
    words: Prose = NO_PROSE
    """The failure in a few words."""
    phases_ns: tuple[tuple[str, int], ...] = ()
    """Named durations in order: ``connect``, ``first-byte`` …"""
    facts: tuple[tuple[str, Prose], ...] = ()
    """What the kind found out, for people, in the order in which it is read: ``hop 1``, ``forward`` …"""
    values: tuple[str, ...] = ()
    """The same for programs, where the kind has such, as its own module writes and reads them."""


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """What the agent saw: one outcome per probe and, from agents that tell, one detail for each."""

    agent: AgentId
    check: CheckId
    outcomes: tuple[Outcome, ...]
    details: tuple[OutcomeDetail, ...] = ()
    recording: PacketRecording | None = None
    """The packets, where they were asked for; None of builds that record none."""


class Refusal(StrEnum):
    """Why an agent did not ask. Values travel between builds and never change."""

    NOT_ALLOWED = "not-allowed"
    """The target is neither in the plan nor on the allow-list."""
    RATE_SPENT = "rate-spent"
    """It has answered as many questions as it may within a minute."""
    TOO_MUCH = "too-much"
    """Too many probes, or too long."""
    NOT_ASKABLE = "not-askable"
    """The question cannot be asked: malformed, of a kind unknown to the agent, or for another one."""
    NO_ANSWERER = "no-answerer"
    """The agent answers no questions."""
    OUT_OF_TIME = "out-of-time"
    """No outcome within the question's time."""
    NOT_REACHED = "not-reached"
    """The question did not reach the agent, or its reply did not come back."""
    OTHER = "other"
    """The detail says why."""

    @classmethod
    def _missing_(cls, _value: object) -> Refusal:
        """A newer build may know more refusals."""
        return cls.OTHER


@dataclass(frozen=True, slots=True)
class Declined:
    """The agent did not ask: the target is not allowed, the rate is spent, the probe is unknown to it."""

    agent: AgentId
    reason: Prose
    refusal: Refusal = Refusal.OTHER

    @property
    def is_for_now(self) -> bool:
        """Whether the same question may be answered a little later: the agent's rate is spent."""
        return self.refusal is Refusal.RATE_SPENT


Reply: TypeAlias = CheckAnswer | Declined

_OUTCOMES: Mapping[OutcomeKind, type[Outcome]] = {
    OutcomeKind.REACHED: Reached,
    OutcomeKind.REFUSED: Refused,
    OutcomeKind.REJECTED: Rejected,
    OutcomeKind.TIMED_OUT: TimedOut,
    OutcomeKind.TOO_BIG: TooBig,
    OutcomeKind.NOT_RESOLVED: NotResolved,
    OutcomeKind.TLS_FAILED: TlsFailed,
    OutcomeKind.APP_FAILED: AppFailed,
    OutcomeKind.WRONG_PEER: WrongPeer,
    OutcomeKind.NOT_MEASURED: NotMeasured,
}


class _ReplyMessage(msgspec.Struct):
    agent: AgentId
    check: CheckId = CheckId(0)
    outcomes: tuple[tuple[OutcomeKind, dict[str, int | str]], ...] = ()
    details: tuple[OutcomeDetail, ...] = ()
    recording: PacketRecording | None = None
    declined: str | None = None
    """The reason, for people; None where the agent asked."""
    refusal: Refusal | None = None
    """Absent in replies of builds before refusals had a code."""


_PLANS = Codec(Plan, name="plan", limit=MAX_PLAN_BYTES)
_PLANNED = Codec(dict, name="plan", limit=MAX_PLAN_BYTES)
_PLANNED_FIELDS = tuple(
    each.name for each in dataclasses.fields(Plan) if each.name not in {"own_keys", "target_keys"}
)
_PRESENCE = Codec(Presence, name="presence", limit=MAX_PRESENCE_BYTES)
_QUESTIONS = Codec(CheckQuestion, name="question", limit=MAX_QUESTION_BYTES)
_REPLIES = Codec(_ReplyMessage, name="reply", limit=MAX_REPLY_BYTES)


def encode_plan(plan: Plan) -> bytes:
    """The bytes of an agent's plan."""
    return _PLANS.encode(plan)


def encode_planned(plan: Plan) -> bytes:
    """The bytes of *plan* as it is planned, without keys of its own: what the digests of a history name."""
    planned = {name: getattr(plan, name) for name in _PLANNED_FIELDS}
    return _PLANNED.encode(planned)


def decode_plan(data: bytes) -> Plan:
    """Read a plan; an agent runs only what this lets through."""
    plan = _PLANS.decode(data)
    if plan.interval_ns < 1:
        raise _PLANS.error("is not a duration", field="interval_ns")
    for index, address in enumerate(plan.bus):
        if not _is_socket_address(address):
            raise _PLANS.error("is not IP:PORT", field=f"bus[{index}]")
    for index, check in enumerate(plan.checks):
        _expect_askable(check, _PLANS, field=f"checks[{index}]")
        if check.source != plan.agent:
            raise _PLANS.error(
                f"belongs to {check.source}, the plan to {plan.agent}", field=f"checks[{index}].source"
            )
    return share_values(plan)


def share_values(plan: Plan) -> Plan:
    """*plan* with equal values held once: an agent keeps it in memory for as long as it runs.

    Decoding makes a new object of each.
    """
    probes: dict[Probe, Probe] = {}
    names = {check.target.name: check.target.name for check in plan.checks}
    checks = tuple(
        dataclasses.replace(check, source=plan.agent, probe=probes.setdefault(check.probe, check.probe))
        for check in plan.checks
    )
    keys = tuple((names.get(name, name), key) for name, key in plan.target_keys)
    return dataclasses.replace(plan, checks=checks, target_keys=keys)


def _is_socket_address(text: str) -> bool:
    """Whether it is ``IP:PORT``, an IPv6 address in brackets."""
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return (f"[{address}]" if address.version == 6 else str(address)) == host and (
        port.isascii() and port.isdigit() and 0 < int(port) <= 65_535
    )


def encode_presence(presence: Presence) -> bytes:
    """The bytes of a presence."""
    return _PRESENCE.encode(presence)


def decode_presence(data: bytes) -> Presence:
    """Read a presence."""
    return _PRESENCE.decode(data)


def encode_question(question: CheckQuestion) -> bytes:
    """The bytes of an on-demand question."""
    return _QUESTIONS.encode(question)


def decode_question(data: bytes) -> CheckQuestion:
    """Read an on-demand question; whether it may be asked is the agent's decision."""
    question = _QUESTIONS.decode(data)
    _expect_askable(question.check, _QUESTIONS, field="check")
    return question


def encode_reply(reply: Reply) -> bytes:
    """The bytes of the reply to a question."""
    match reply:
        case CheckAnswer(agent, check, outcomes, details, recording):
            told = tuple((outcome.kind, msgspec.to_builtins(outcome)) for outcome in outcomes)
            return _REPLIES.encode(_ReplyMessage(agent, check, told, details, recording))
        case Declined(agent, reason, refusal):
            return _REPLIES.encode(_ReplyMessage(agent, declined=str(reason), refusal=refusal))


def decode_reply(data: bytes) -> Reply:
    """Read the reply to a question."""
    message = _REPLIES.decode(data)
    if message.declined is not None:
        return Declined(message.agent, Prose(message.declined), _refusal_of(message, message.declined))
    outcomes = []
    for index, (kind, fields) in enumerate(message.outcomes):
        try:
            outcome: Outcome = msgspec.convert(fields, _OUTCOMES[kind])
        except msgspec.ValidationError as error:
            raise _REPLIES.error(str(error), field=f"outcomes[{index}]") from error
        if isinstance(outcome, NotMeasured) and "fault" not in fields:
            outcome = previous_build.read_not_measured(outcome)
        outcomes.append(outcome)
    if message.details and len(message.details) != len(outcomes):
        raise _REPLIES.error(f"are {len(message.details)} for {len(outcomes)} outcomes", field="details")
    return CheckAnswer(message.agent, message.check, tuple(outcomes), message.details, message.recording)


def _refusal_of(message: _ReplyMessage, declined: str) -> Refusal:
    if message.refusal is not None:
        return message.refusal
    return Refusal.RATE_SPENT if previous_build.is_rate_spent(declined) else Refusal.OTHER


def _expect_askable(check: Check, codec: Codec[Plan] | Codec[CheckQuestion], *, field: str) -> None:
    """Refuse numbers that no probe can have."""
    probe = check.probe
    wrong = next(
        (
            name
            for name, value, allowed in (
                ("count", check.count, range(1, _MAX_COUNT + 1)),
                ("probe.port", probe.port, range(65_536)),
                ("probe.size", probe.size, range(65_536)),
                ("probe.timeout_ns", probe.timeout_ns, range(1, 2**63)),
            )
            if value not in allowed
        ),
        None,
    )
    if wrong is not None:
        raise codec.error("is out of range", field=f"{field}.{wrong}")
