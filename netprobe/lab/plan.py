"""The plan of a lab as values: every host, cable, address, route and rule.

Rule: nothing here changes the machine; :mod:`netprobe.lab.builder` builds what is planned.
A *host* is one network namespace. Host names: ``CLUSTER/NODE`` for a node, ``CLUSTER/NODE/pod`` for the pod
of its agent, ``CLUSTER/dns``, ``CLUSTER/edge``, and the bare names of transit routers and the hub.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.inventory import LinkKind
from netprobe.model.names import AgentId, ClusterName, NodeId

OVERLAY_TABLE = 100
"""Routing table of the overlay routes that policy rules select."""

_NO_CLUSTER = ClusterName("")


class HostRole(StrEnum):
    """Role of a host."""

    NODE = "node"
    POD = "pod"
    DNS = "dns"
    EDGE = "edge"
    TRANSIT = "transit"
    HUB = "hub"


@dataclass(frozen=True, slots=True)
class Address:
    """An address with its prefix length on an interface."""

    interface: str
    text: str


@dataclass(frozen=True, slots=True)
class Route:
    """A static route. *via* may be empty (on link); *source* is the preferred source address."""

    to: str
    interface: str
    via: str = ""
    source: str = ""
    table: int = 254
    onlink: bool = False
    also: tuple[tuple[str, str], ...] = ()
    """Further interfaces and next hops, equal to the first: each flow takes one of them."""
    is_black_hole: bool = False
    """Packets to it are dropped silently; *interface* is ``lo``."""

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Every interface that it leads over."""
        return (self.interface, *(name for name, _ in self.also))


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """A policy rule into table *table*: packets from *source* to *target*, or arriving on *interface*."""

    priority: int
    family: int
    table: int = OVERLAY_TABLE
    source: str = ""
    target: str = ""
    interface: str = ""


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge and its interfaces."""

    name: str
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VxlanPeer:
    """A peer of a VXLAN interface: inner next hops, their MAC, the outer address."""

    inner: tuple[str, ...]
    mac: str
    outer: str


@dataclass(frozen=True, slots=True)
class Vxlan:
    """A VXLAN interface (RFC 7348) with static peers, like that of flannel."""

    name: str
    vni: int
    local: str
    port: int
    mtu: int
    mac: str
    peers: tuple[VxlanPeer, ...]


@dataclass(frozen=True, slots=True)
class LabHost:
    """One network namespace."""

    name: str
    role: HostRole
    cluster: ClusterName = _NO_CLUSTER
    node: NodeId | None = None
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[RoutingRule, ...] = ()
    bridges: tuple[Bridge, ...] = ()
    vxlans: tuple[Vxlan, ...] = ()
    nft: str = ""

    def address(self, interface: str, version: int) -> str:
        """The first address of that IP version on *interface*, without its prefix length."""
        texts = [each.text.partition("/")[0] for each in self.addresses if each.interface == interface]
        return next(text for text in texts if (":" in text) == (version == 6))


@dataclass(frozen=True, slots=True)
class CableEnd:
    """An interface of a host."""

    host: str
    interface: str
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Cable:
    """A cable (veth pair) between two hosts."""

    one: CableEnd
    other: CableEnd
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """One end of a link between clusters, on that cluster's gateway."""

    cluster: ClusterName
    gateway: str
    interface: str
    outer: str
    """Source IPv4 address of the tunnel's packets; empty for a direct link."""
    inner_ranges: tuple[str, ...]
    """Ranges behind this end: nodes, pods and services of the cluster."""
    next_hop: tuple[str, str]
    """Next hops of the far end: an IPv4 address of this gateway, an IPv6 address of this interface."""
    addresses: tuple[str, ...] = ()
    """Addresses of this end itself, with prefix lengths; only links that share flows have them."""

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """Its addresses without their prefix lengths."""
        return tuple(text.partition("/")[0] for text in self.addresses)


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A link between clusters; *port* is the outer UDP port, 0 for a direct link."""

    kind: LinkKind
    source: TunnelEnd
    target: TunnelEnd
    mtu: int
    port: int
    index: int
    mechanism: str = ""
    """The daemon that makes it: ``openvpn`` or ``ipsec``; empty for the lab's WireGuard."""
    balanced: bool = False
    """Whether it shares the flows between its clusters with other links (ECMP)."""

    def joins(self, one: str, other: str) -> bool:
        """Whether this link connects exactly these clusters."""
        return {self.source.cluster, self.target.cluster} == {one, other}

    def joins_any(self, cluster: str) -> bool:
        """Whether this link has an end in *cluster*."""
        return cluster in (self.source.cluster, self.target.cluster)

    def end(self, cluster: str) -> TunnelEnd:
        """The end in *cluster*."""
        return self.source if self.source.cluster == cluster else self.target

    def far_end(self, cluster: str) -> TunnelEnd:
        """The end that is not in *cluster*."""
        return self.target if self.source.cluster == cluster else self.source


@dataclass(frozen=True, slots=True)
class PlannedService:
    """A service of one cluster with its addresses."""

    cluster: ClusterName
    namespace: str
    name: str
    addresses: tuple[str, ...]
    port: int
    target_port: int
    endpoints: tuple[str, ...]
    exported: bool

    @property
    def qualified(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class PlannedCluster:
    """A cluster with its ranges, services and DNS addresses."""

    name: ClusterName
    environment: str
    region: str
    overlay: str
    pod_mtu: int
    node_cidrs: tuple[str, ...]
    pod_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]
    nodes: tuple[NodeId, ...]
    gateway: NodeId
    services: tuple[PlannedService, ...]
    dns_addresses: tuple[str, ...]
    """The service addresses of the DNS server; empty if the cluster has none."""
    node_pod_cidrs: tuple[tuple[NodeId, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class LabPlan:
    """The whole lab."""

    hub: str
    hub_addresses: tuple[str, ...]
    clusters: tuple[PlannedCluster, ...]
    hosts: tuple[LabHost, ...]
    cables: tuple[Cable, ...]
    tunnels: tuple[Tunnel, ...]
    agent_port: int = 9771

    def find_host(self, name: str) -> LabHost | None:
        """The host of that name (a node also as ``CLUSTER/NODE/host``), or None."""
        name = name.removesuffix("/host")
        return next((host for host in self.hosts if host.name == name), None)

    def host(self, name: str) -> LabHost:
        """The host of that name, which must exist."""
        return next(host for host in self.hosts if host.name == name)

    def find_cluster(self, name: str) -> PlannedCluster | None:
        """The cluster of that name, or None."""
        return next((cluster for cluster in self.clusters if cluster.name == name), None)

    def find_tunnel(self, one: str, other: str) -> Tunnel | None:
        """The link between these clusters, or None."""
        return next((tunnel for tunnel in self.tunnels if tunnel.joins(one, other)), None)

    def interfaces(self, host: str) -> tuple[str, ...]:
        """The cable interfaces of *host*, in the order of the plan."""
        ends = (end for cable in self.cables for end in (cable.one, cable.other))
        return tuple(end.interface for end in ends if end.host == host)

    def mac(self, host: str, interface: str) -> str:
        """The planned MAC address of an interface; empty if the kernel chooses it."""
        ends = (end for cable in self.cables for end in (cable.one, cable.other))
        return next((end.mac for end in ends if (end.host, end.interface) == (host, interface)), "")


def pod_host(node: NodeId) -> str:
    """The host name of a node's agent pod."""
    return f"{node}/pod"


def agent_host(agent: AgentId) -> str:
    """The host an agent runs in."""
    return pod_host(agent.node_id) if agent.plane == "pod" else str(agent.node_id)
