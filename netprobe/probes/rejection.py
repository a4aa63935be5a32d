"""Errors that come back instead of an answer: ICMP messages and what the local kernel says.

Rules (RFC 792, RFC 1122 section 3.2.2.1, RFC 4443 section 3):

- port unreachable from the target itself means that it lives and has no listener: ``Refused``. From anyone
  else it is a firewall's word: ``Rejected``. A service address has no host of its own, so any sender of port
  unreachable there speaks for it, as kube-proxy does for a service without endpoints;
- a packet that is too big for a later link is ``TooBig`` with the MTU told;
- every other ICMP error is ``Rejected`` with its sender, type and code;
- what our own host refuses before sending: too big for its own interface is *our* mistake (``NotMeasured``);
  no route is the host's routing, so ``Rejected`` by ``local``; EPERM is silence, as its packet filter
  dropped the packet or its connection table is full.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.check import Check, TargetKind
from netprobe.model.outcome import NotMeasured, Outcome, Refused, Rejected, TimedOut, TooBig
from netprobe.model.prose import Prose
from netprobe.probes.observation import LOCAL, Observation

_PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}
_TOO_BIG = {4: ((3, 4),), 6: ((2, 0),)}
_NO_ROUTE = {4: (3, 0), 6: (1, 0)}
_HOST_UNREACHABLE = {4: (3, 1), 6: (1, 3)}
_PROHIBITED = {4: (3, 13), 6: (1, 1)}
EXPIRED = {4: (11, 0), 6: (3, 0)}
"""Type and code where the TTL ran out (RFC 792; RFC 4443, section 3.3)."""
_WORDS = {
    4: {
        (3, 0): "no route to the network", (3, 1): "host unreachable", (3, 2): "protocol unreachable",
        (3, 3): "port unreachable", (3, 5): "source route failed", (3, 9): "network prohibited",
        (3, 10): "host prohibited", (3, 13): "administratively prohibited", (11, 0): "the TTL ran out",
    },
    6: {
        (1, 0): "no route", (1, 1): "administratively prohibited", (1, 2): "beyond the source's scope",
        (1, 3): "address unreachable", (1, 4): "port unreachable", (1, 5): "the source fails a policy",
        (1, 6): "route rejects", (3, 0): "the hop limit ran out",
    },
}  # fmt: skip
"""What people call the types and codes (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443 section 3)."""


class Meaning(StrEnum):
    """What a rejection says of the path."""

    EXPIRED = "expired"
    """The TTL or hop limit ran out: the packet went in a loop."""
    PROHIBITED = "prohibited"
    """A filter or policy forbids it."""
    UNROUTABLE = "unroutable"
    """Its sender has no route, or the last hop does not answer."""
    CLOSED = "closed"
    """Port unreachable, from a host other than the target: as from a proxy that has no endpoint."""
    OTHER = "other"


_MEANINGS = {
    4: {(11, 0): Meaning.EXPIRED, (3, 3): Meaning.CLOSED}
    | dict.fromkeys([(3, 9), (3, 10), (3, 13)], Meaning.PROHIBITED)
    | dict.fromkeys([(3, 0), (3, 1)], Meaning.UNROUTABLE),
    6: {(3, 0): Meaning.EXPIRED, (1, 4): Meaning.CLOSED}
    | dict.fromkeys([(1, 1), (1, 5)], Meaning.PROHIBITED)
    | dict.fromkeys([(1, 0), (1, 3), (1, 6)], Meaning.UNROUTABLE),
}


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An ICMP error as a socket reports it."""

    version: int
    sender: str
    icmp_type: int
    icmp_code: int
    mtu: int = 0


def outcome_of_icmp(error: IcmpError, check: Check, *, rtt_ns: int) -> Outcome:
    """What an ICMP error means for *check*."""
    told = (error.icmp_type, error.icmp_code)
    if told == _PORT_UNREACHABLE[error.version] and (
        error.sender == check.target.address or check.target.kind is TargetKind.SERVICE
    ):
        return Refused(rtt_ns)
    if told in _TOO_BIG[error.version]:
        return TooBig(error.mtu, error.sender)
    return Rejected(error.sender, *told)


def reported_mtu(error: IcmpError) -> int:
    """The MTU that a router tells (RFC 1191, RFC 8201); 0 where it says something else."""
    return error.mtu if (error.icmp_type, error.icmp_code) in _TOO_BIG[error.version] else 0


def meaning_of(rejected: Rejected) -> Meaning:
    """What type and code mean, for the IP version of the sender.

    >>> meaning_of(Rejected("10.1.0.1", 11, 0)), meaning_of(Rejected("fd00::1", 1, 1))
    (<Meaning.EXPIRED: 'expired'>, <Meaning.PROHIBITED: 'prohibited'>)
    """
    meanings = _MEANINGS[6 if ":" in rejected.sender else 4]
    return meanings.get((rejected.icmp_type, rejected.icmp_code), Meaning.OTHER)


def name_rejection(rejected: Rejected) -> str:
    """Type and code in words, where they have any.

    >>> name_rejection(Rejected("10.1.0.1", 3, 13)), name_rejection(Rejected("fd00::1", 1, 77))
    ('administratively prohibited (3/13)', '1/77')
    """
    told = (rejected.icmp_type, rejected.icmp_code)
    words = _WORDS[6 if ":" in rejected.sender else 4].get(told)
    return f"{words} ({told[0]}/{told[1]})" if words else f"{told[0]}/{told[1]}"


def observe_send_error(error: OSError, check: Check, *, version: int) -> Observation:
    """What it means that the local kernel did not send."""
    match error.errno:
        case errno.EPERM:
            words = Prose("this host's own packet filter drops it, or its connection table is full")
            return Observation(TimedOut(check.probe.timeout_ns), lost_out=True, detail=words)
        case errno.ENETUNREACH:
            return Observation(Rejected(LOCAL, *_NO_ROUTE[version]), detail=Prose("no route on this host"))
        case errno.EHOSTUNREACH:
            return Observation(
                Rejected(LOCAL, *_HOST_UNREACHABLE[version]),
                detail=Prose("unreachable by this host's routes"),
            )
        case errno.EACCES:
            words = Prose("prohibited by this host's routes")
            return Observation(Rejected(LOCAL, *_PROHIBITED[version]), detail=words)
        case errno.EMSGSIZE:
            return Observation(NotMeasured(Prose("larger than this host's own interface passes")))
        case _:
            return Observation(NotMeasured(Prose(f"cannot send: {error.strerror or error}")))
