"""What can be wrong in a simulated fleet, each as data. A fault is a label and its effects."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.component import Component
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import AgentId, ClusterName, NodeId
from netprobe.model.traffic import TrafficCondition


@dataclass(frozen=True, slots=True)
class Lose:
    """A part loses packets of at least *min_size* bytes that meet all conditions of *traffic*."""

    component: Component
    share: float = 1.0
    min_size: int = 0
    traffic: tuple[TrafficCondition, ...] = ()
    is_hash: bool = False
    """Whether *share* is one of flows, which live or die, and not of packets."""


@dataclass(frozen=True, slots=True)
class Delay:
    """What crosses a part comes later."""

    component: Component
    extra_ns: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A part passes each packet on twice."""

    component: Component


@dataclass(frozen=True, slots=True)
class Reject:
    """A firewall rejects with an ICMP error, or a router says that the TTL ran out."""

    component: Component
    sender: str
    told: tuple[int, int] = (3, 13)
    """Type and code (RFC 792)."""


@dataclass(frozen=True, slots=True)
class NodeDown:
    """A node loses all its links: nothing crosses it, its agents cannot report."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class AgentKilled:
    """The process is gone; its host answers pings and refuses the rest."""

    agent: AgentId


@dataclass(frozen=True, slots=True)
class AgentFrozen:
    """The process stands still; its kernel answers pings and accepts connections."""

    agent: AgentId


@dataclass(frozen=True, slots=True)
class Busy:
    """The agents of a node lag, and say so."""

    node: NodeId
    lag_ns: int
    """At their worst."""
    waking_ns: int
    """On average: so much longer a connection seems to take."""
    is_lost: bool = False
    """Whether conversations that they begin come to no end."""


@dataclass(frozen=True, slots=True)
class TableFull:
    """A node's connection table takes no new flow, in or out; those that it knows go on."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class StaleProxy:
    """One node sends a service's connections to an address that no host has."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class NoEndpoints:
    """Every node of a cluster refuses the service's address."""

    cluster: ClusterName
    service: str


@dataclass(frozen=True, slots=True)
class DnsDown:
    """A cluster's DNS server is silent, for one zone or for all names."""

    cluster: ClusterName


@dataclass(frozen=True, slots=True)
class ZoneMissing:
    """A cluster's DNS server does not know a zone."""

    cluster: ClusterName
    zone: str


@dataclass(frozen=True, slots=True)
class Masquerade:
    """A gateway rewrites the source of pod traffic that leaves its cluster."""

    gateway: NodeId
    seen_as: str


@dataclass(frozen=True, slots=True)
class Impostor:
    """In one cluster, packets for a remote pod are delivered to a local one."""

    cluster: ClusterName
    victim: AgentId
    impostor: AgentId


Effect = (
    Lose
    | Delay
    | Duplicate
    | Reject
    | NodeDown
    | AgentKilled
    | AgentFrozen
    | Busy
    | StaleProxy
    | TableFull
    | NoEndpoints
    | DnsDown
    | ZoneMissing
    | Masquerade
    | Impostor
)


@dataclass(frozen=True, slots=True)
class SimulatedFault:
    """A label and what makes it true, from *start_ns* until *end_ns*."""

    name: str
    label: GroundTruth
    effects: tuple[Effect, ...]
    start_ns: int = 0
    end_ns: int = 0
