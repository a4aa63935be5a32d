"""What a gateway itself knows: its tunnels, routes, interfaces, connection table and rules, at one moment.

Rule: evidence, never truth. A gateway says what it believes; packets say what is. No key, not even a public
one, is kept here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class TunnelPeer:
    """The far end of a tunnel as the near end knows it."""

    mechanism: str
    """``wireguard``, ``ipsec``, ``openvpn``."""
    interface: str
    """Interface or connection name."""
    endpoint: str
    """The far end's outer IP address; empty where it is not known."""
    ranges: tuple[str, ...]
    """CIDRs that go into this tunnel."""
    heard_s: int | None
    """Seconds since the far end last proved that it is there (handshake, rekey, status line); None: never."""
    received_bytes: int | None
    sent_bytes: int | None


@dataclass(frozen=True, slots=True)
class ChosenRoute:
    """Where the gateway's routing sends a packet."""

    target: str
    interface: str
    """Empty where there is no route."""
    via: str = ""
    refused: str = ""
    """What the gateway says instead of a route (``unreachable``, ``blackhole``, ``prohibit``)."""


@dataclass(frozen=True, slots=True)
class ReversePath:
    """``rp_filter`` of one interface, as the kernel applies it: the larger of its own and that of ``all``."""

    interface: str
    mode: int
    """0 off, 1 strict, 2 loose (RFC 3704)."""


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """How many routing rules there are beside the kernel's own three."""

    count: int


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """One interface: whether it is up, its MTU in bytes, and the packets it dropped since it exists."""

    interface: str
    up: bool
    mtu: int
    received: int
    sent: int
    receive_dropped: int
    send_dropped: int
    errors: int


@dataclass(frozen=True, slots=True)
class ConnectionTable:
    """The connection table's fill, and what it failed to take since boot."""

    entries: int
    limit: int
    insert_failed: int | None
    dropped: int | None


@dataclass(frozen=True, slots=True)
class RuleCounter:
    """One firewall rule that counts."""

    place: str
    """``family table chain``."""
    handle: int
    verdict: str
    """``drop``, ``reject``, ``accept``; empty where it only counts."""
    packets: int
    comment: str = ""
    invalid_only: bool = False
    """Whether it matches packets that belong to no connection the host knows (``ct state invalid``)."""


Fact: TypeAlias = (
    TunnelPeer | ChosenRoute | ReversePath | PolicyRules | LinkCounters | ConnectionTable | RuleCounter
)


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything one host said about itself at one moment."""

    node: str
    """``cluster/node``."""
    taken_ns: int
    """Wall time of whoever asked."""
    facts: tuple[Fact, ...] = ()
    silent: tuple[str, ...] = ()
    """Collectors that had nothing to say, each with its reason."""
