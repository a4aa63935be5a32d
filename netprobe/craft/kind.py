"""What a kind of crafted question consists of: how it is built, and how what comes back is read.

Rule: no I/O. Random bytes are an argument. A kind is one file in ``netprobe.craft.kinds`` that ends with
``KIND = CraftKind(...)``, and one line in :mod:`netprobe.craft.registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Probe
from netprobe.model.gateway import IpsecRefusals, RuleCounter
from netprobe.model.outcome import AppFailed, Outcome, Reached, TimedOut
from netprobe.model.prose import Prose
from netprobe.probes.packets import MAX_HEARD, HeardPacket, SentPacket, read_heard, read_sent, write_payloads

Facts: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CraftRequest:
    """What is to be asked."""

    source: str
    """The agent's own address of the target's family, as the inventory names it."""
    target: str
    port: int
    token: bytes
    """32 random bytes, of which a kind makes its identifiers and nonces."""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.target else 4

    def number(self, key: str, default: int, *, most: int) -> int:
        """A decimal option; :class:`InputError` for what is none or more than *most*."""
        text = self.options.get(key, str(default))
        if not (text.isascii() and text.isdecimal()) or int(text) > most:
            raise InputError(f"{text!r} is not within 0–{most}", where=f"options.{key}")
        return int(text)


@dataclass(frozen=True, slots=True)
class Answered:
    """The protocol answered."""

    rtt_ns: int
    facts: Facts = ()


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing came back."""

    after_ns: int
    hint: str = ""
    """Why a sound peer may be silent, too."""


@dataclass(frozen=True, slots=True)
class WrongProtocol:
    """Something came back that is not of this protocol."""

    reason: str
    rtt_ns: int


@dataclass(frozen=True, slots=True)
class NotDelivered:
    """An error came back, or nothing left: the outcome says which."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Counted:
    """Nothing came back, but the far end let us read its counters."""

    after_ns: int
    sent: int
    counters: tuple[IpsecRefusals | RuleCounter, ...]
    """Those that grew by as many packets, and by how much; empty where none did."""

    @property
    def has_arrived(self) -> bool:
        """Whether the packets reached the far end's IPsec; a rule before it did not take them."""
        return bool(self.counters) and all(isinstance(one, IpsecRefusals) for one in self.counters)


CraftVerdict: TypeAlias = Answered | Silent | WrongProtocol | NotDelivered | Counted
Reader: TypeAlias = Callable[[CraftRequest, HeardPacket], Facts | None]
"""What a packet says; None where it is of the protocol and does not answer us (an overlay carries much else).
:class:`RemoteFormatError` with what it is instead where it is of another protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CraftKind:
    """One kind of crafted question."""

    name: str
    build: Callable[[CraftRequest], tuple[bytes, ...]]
    """The UDP payloads or whole packets to send; :class:`InputError` where an option cannot be meant."""
    read: Reader
    port: int = 0
    """The default port; 0 for whole packets."""
    via: str = "udp"
    """``udp`` or ``ip``, as :mod:`netprobe.probes.packets` says."""
    options: tuple[str, ...] = ()
    answers: int = 1
    """After so many the agent need not listen longer."""
    is_answered_at_port: bool = False
    """Whether answers come to the port that was asked, wherever the question came from."""
    ttl: int = 0
    hint: str = ""
    """Why a sound peer may be silent."""
    is_counted: bool = False
    """Whether silence is what a sound peer does, and its counters are asked instead."""

    def validate(self, options: Mapping[str, str]) -> None:
        """Refuse options that the kind does not have."""
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            known = f"; known are {', '.join(sorted(self.options))}" if self.options else ""
            raise InputError(f"{self.name} has no such option{known}", where=f"options.{unknown[0]}")


def make_probe(kind: CraftKind, request: CraftRequest, *, timeout_ns: int) -> Probe:
    """The question that the agent is asked: it sends these packets and understands none of them."""
    options = {"via": kind.via, "send": write_payloads(kind.build(request)), "answers": str(kind.answers)}
    if kind.via == "ip":
        options["answers"] = str(MAX_HEARD)
    if kind.is_answered_at_port:
        options["source-port"] = str(request.port)
    if kind.ttl:
        options["ttl"] = str(kind.ttl)
    port = request.port if kind.via == "udp" else 0
    return Probe("packets", port, timeout_ns=timeout_ns, options=tuple(sorted(options.items())))


def judge(kind: CraftKind, request: CraftRequest, outcome: Outcome, values: tuple[str, ...]) -> CraftVerdict:
    """What the outcome and the values of a ``packets`` probe say for *kind*."""
    sent, heard = read_sent(values), read_heard(values)
    wrong: WrongProtocol | None = None
    facts: dict[str, str] = {}
    rtt_ns = 0
    for packet in heard:
        took_ns = _took_ns(sent, packet, outcome)
        try:
            told = kind.read(request, packet)
        except RemoteFormatError as error:
            wrong = wrong or WrongProtocol(str(error), took_ns)
            continue
        if told is not None:
            facts |= dict(told)
            rtt_ns = rtt_ns or took_ns
    if rtt_ns:
        return Answered(rtt_ns, tuple(facts.items()))
    if wrong is not None and isinstance(outcome, Reached):
        return wrong
    if isinstance(outcome, TimedOut | Reached):
        after_ns = outcome.after_ns if isinstance(outcome, TimedOut) else outcome.rtt_ns
        return Silent(after_ns, kind.hint)
    return NotDelivered(outcome)


def outcome_of(verdict: CraftVerdict) -> Outcome:
    """The outcome that says the same."""
    match verdict:
        case Answered(rtt_ns):
            return Reached(rtt_ns)
        case Silent(after_ns) | Counted(after_ns):
            return TimedOut(after_ns)
        case WrongProtocol(reason):
            return AppFailed(Prose(f"wrong protocol: {reason}"))
        case NotDelivered(outcome):
            return outcome


def _took_ns(sent: tuple[SentPacket, ...], heard: HeardPacket, outcome: Outcome) -> int:
    """From the first packet to this one, by the clock of the agent's host."""
    if sent and heard.wall_ns > sent[0].wall_ns:
        return heard.wall_ns - sent[0].wall_ns
    return outcome.rtt_ns if isinstance(outcome, Reached) else 1
