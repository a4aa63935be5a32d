"""What a gateway reports of itself: tunnels, routes, interfaces, connection table and firewall rules.

Rule: this is evidence, never truth; only packets prove a path. No key is stored here, not even a public one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from netprobe.model.names import ClusterName


@dataclass(frozen=True, slots=True)
class TunnelPeer:
    """The far end of a tunnel, as the near end reports it."""

    mechanism: str
    """``wireguard``, ``ipsec``, ``openvpn``."""
    interface: str
    """Interface or connection name."""
    endpoint: str
    """The far end's outer IP address; empty if it is not known."""
    ranges: tuple[str, ...]
    """CIDRs routed into this tunnel."""
    heard_s: int | None
    """Seconds since the last sign of life of the far end (handshake, rekey, status line); None: never."""
    received_bytes: int | None
    sent_bytes: int | None


@dataclass(frozen=True, slots=True)
class ChosenRoute:
    """The route that the gateway chooses for a packet."""

    target: str
    interface: str
    """Empty if there is no route."""
    via: str = ""
    refused: str = ""
    """The type of a route that refuses (``unreachable``, ``blackhole``, ``prohibit``)."""


@dataclass(frozen=True, slots=True)
class ReversePath:
    """Effective ``rp_filter`` of one interface: the larger of its own value and that of ``all``."""

    interface: str
    mode: int
    """0 off, 1 strict, 2 loose (RFC 3704)."""


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """Number of routing rules beside the kernel's three default rules."""

    count: int


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """One interface: whether it is up, its MTU in bytes, and its packet counters since it was created."""

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
    """Size of the connection table, and what found no place in it since boot."""

    entries: int
    limit: int
    insert_failed: int | None
    """Entries that lost a race against an equal one; a full table does not count here."""
    dropped: int | None
    """Packets that were dropped for want of an entry; this is what a full table counts."""


@dataclass(frozen=True, slots=True)
class RuleCounter:
    """One firewall rule with a counter."""

    place: str
    """``family table chain``."""
    handle: int
    verdict: str
    """``drop``, ``reject``, ``accept``; empty if it only counts."""
    packets: int
    comment: str = ""
    invalid_only: bool = False
    """Whether it matches packets that belong to no connection the host knows (``ct state invalid``)."""
    unread: tuple[str, ...] = ()
    """What else it matches by, as far as only the name is known (``conntrack``): iptables' own extensions."""


@dataclass(frozen=True, slots=True)
class IpsecRefusals:
    """ESP packets that came without a security association of theirs, and were dropped."""

    packets: int


Fact: TypeAlias = (
    TunnelPeer | ChosenRoute | ReversePath | PolicyRules | LinkCounters | ConnectionTable | RuleCounter
    | IpsecRefusals
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that one host reported at one moment."""

    node: str
    """``cluster/node``."""
    taken_ns: int
    """Wall time of the reader."""
    facts: tuple[Fact, ...] = ()
    silent: tuple[str, ...] = ()
    """Sources without data, each with its reason."""

    @property
    def cluster(self) -> ClusterName:
        """The cluster of the host."""
        return ClusterName(self.node.partition("/")[0])
