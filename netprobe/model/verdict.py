"""What a port is, judged from outside: nmap's words, made exact."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.reason import Reason


class Transport(StrEnum):
    """What a verdict is about: a kind of port, or an address's echo, which has none (port 0)."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"
    SCTP = "sctp"


PORTED = (Transport.TCP, Transport.UDP)
"""Those whose ports are swept, packet by packet; an SCTP port is asked by the kernel's own association."""


class Verdict(StrEnum):
    """The state of a port.

    Silence proves a denial only with a control: the same host answered something else in the same sweep.
    Without it a filtered port and a dead host look the same, and the verdict is ``unknown``.
    """

    OPEN = "open"
    """A listener answered from that port."""
    CLOSED = "closed"
    """The host itself said that there is no listener: RST, or for UDP port-unreachable."""
    FILTERED = "filtered"
    """Silence, though the host lives. For UDP also a listener that had nothing to say."""
    REJECTED = "rejected"
    """An ICMP error: a router on the path, or the host's firewall, refused and said so."""
    UNKNOWN = "unknown"
    """Nothing on that host answered, or this agent could not ask."""


@dataclass(frozen=True, slots=True)
class PortVerdict:
    """The verdict on one port of one address."""

    address: str
    transport: Transport
    port: int
    verdict: Verdict
    sender: str = ""
    """Who rejected; empty for every other verdict."""
    icmp_type: int | None = None
    icmp_code: int | None = None
    reason: Reason | None = None
    """For ``unknown``: why nothing can be said; for ``filtered``: who is known to drop it."""
    answered_by: str = ""
    """For an agent's port that is ``open``: the agent that answered."""
