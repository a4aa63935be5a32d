"""What one probe saw: a closed union. Silence is data; "not measured" is a third thing.

Rule: no outcome carries an RTT unless an answer came back. Durations are monotonic nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from netprobe.model.prose import Prose


class OutcomeKind(StrEnum):
    """The names of the outcomes, as windows count them."""

    REACHED = "reached"
    REFUSED = "refused"
    REJECTED = "rejected"
    TIMED_OUT = "timed-out"
    TOO_BIG = "too-big"
    NOT_RESOLVED = "not-resolved"
    TLS_FAILED = "tls-failed"
    APP_FAILED = "app-failed"
    WRONG_PEER = "wrong-peer"
    NOT_MEASURED = "not-measured"


@dataclass(frozen=True, slots=True)
class Reached:
    """The right peer answered."""

    rtt_ns: int
    kind = OutcomeKind.REACHED


@dataclass(frozen=True, slots=True)
class Refused:
    """RST or ICMP port-unreachable from the target itself: host alive, no listener."""

    rtt_ns: int
    kind = OutcomeKind.REFUSED


@dataclass(frozen=True, slots=True)
class Rejected:
    """An ICMP error came back; *sender* is who sent it (RFC 792, RFC 4443)."""

    sender: str
    icmp_type: int
    icmp_code: int
    kind = OutcomeKind.REJECTED


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Silence until the deadline."""

    after_ns: int
    kind = OutcomeKind.TIMED_OUT


@dataclass(frozen=True, slots=True)
class TooBig:
    """A router told the MTU (RFC 1191, RFC 8201); path MTU discovery works."""

    mtu: int
    sender: str
    kind = OutcomeKind.TOO_BIG


@dataclass(frozen=True, slots=True)
class NotResolved:
    """The name did not resolve; *rcode* is the DNS word (NXDOMAIN, SERVFAIL) or ``timeout``."""

    name: str
    rcode: str
    kind = OutcomeKind.NOT_RESOLVED


@dataclass(frozen=True, slots=True)
class TlsFailed:
    """The transport stood, the TLS handshake did not."""

    reason: Prose
    kind = OutcomeKind.TLS_FAILED


@dataclass(frozen=True, slots=True)
class AppFailed:
    """The peer answered, but not as expected (HTTP status, gRPC health, garbage)."""

    reason: Prose
    kind = OutcomeKind.APP_FAILED


@dataclass(frozen=True, slots=True)
class WrongPeer:
    """Someone else answered at that address: overlapping ranges or a stolen address."""

    expected: str
    answered_by: str
    rtt_ns: int
    kind = OutcomeKind.WRONG_PEER


class OwnFault(StrEnum):
    """Why our own side failed, where a program decides by it. Values travel and never change."""

    OTHER = "other"
    STALLED = "stalled"
    """We stood still while an answer could have come: what was silent then may have answered."""

    @classmethod
    def _missing_(cls, _value: object) -> OwnFault:
        """A newer build may know more of them."""
        return cls.OTHER


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """Our own side failed: local EMSGSIZE, no privilege, a lagging event loop, agent gone."""

    reason: Prose
    fault: OwnFault = OwnFault.OTHER
    for_ms: int = 0
    """How long we stood still; 0 for any other fault."""
    kind = OutcomeKind.NOT_MEASURED


Outcome: TypeAlias = (
    Reached
    | Refused
    | Rejected
    | TimedOut
    | TooBig
    | NotResolved
    | TlsFailed
    | AppFailed
    | WrongPeer
    | NotMeasured
)
