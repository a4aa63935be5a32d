"""The inventory: clusters and sites, nodes, agents, services, and links between clusters.

Rule: an inventory lists what exists and how it is connected, never its state. Addresses are text in canonical
form (``ipaddress``), validated when the inventory is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations

from netprobe.model.names import AgentId, ClusterName, NodeId, NodeName, Plane
from netprobe.model.ssh import SshAccess, SshForward

_PLANES = tuple(Plane)


class NodeRole(StrEnum):
    """Role of a node on paths."""

    GATEWAY = "gateway"
    WORKER = "worker"


class KnownFrom(StrEnum):
    """Who says that something exists, where it is not a fabric, which is named as itself."""

    FILE = "inventory file"
    API = "Kubernetes API"
    AGENT = "agent"
    """An agent that is connected; its cluster's API is away or was never reached."""
    FLAT = "flat option"


class LinkKind(StrEnum):
    """How two clusters are connected."""

    TUNNEL = "tunnel"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Node:
    """One node, with the address of the agent on each plane."""

    name: NodeName
    role: NodeRole = NodeRole.WORKER
    host_addresses: tuple[str, ...] = ()
    """Addresses of the node itself, at which the host-plane agent answers. IPv4 and IPv6 may be mixed."""
    pod_addresses: tuple[str, ...] = ()
    """Addresses of the pod-plane agent on this node."""
    outer_addresses: tuple[str, ...] = ()
    """For a gateway: the outer addresses of its tunnels."""
    pod_cidrs: tuple[str, ...] = ()
    zone: str = ""
    passive: bool = False
    """A gateway on standby, which forwards no traffic until it takes over."""
    ssh: SshAccess | None = None
    """SSH access to the node; None if it has none."""
    known_from: str = ""
    """Who says which role it has: a fabric's name, or one of `KnownFrom`; empty: the inventory file."""

    def addresses(self, plane: Plane) -> tuple[str, ...]:
        """Addresses of this node's agent on *plane*."""
        return self.host_addresses if plane is Plane.HOST else self.pod_addresses


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is checked through its service address and at its endpoints."""

    name: str
    namespace: str
    addresses: tuple[str, ...]
    port: int
    target_port: int
    endpoints: tuple[str, ...] = ()
    """Endpoint addresses (IPs), each of which answers on *target_port*."""
    protocol: str = "tcp"
    exported: bool = False
    """Reachable from other clusters, also as ``<name>.<namespace>.svc.clusterset.local``."""
    speaks: str = "http"
    """Protocol on its port: ``http`` is asked for an answer, anything else only for a connection."""
    node: NodeName | None = None
    """For a node port: the node whose addresses are asked and whose service proxy forwards."""

    @property
    def qualified(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kubernetes cluster, or a *site*: plain hosts reached by SSH."""

    name: ClusterName
    nodes: tuple[Node, ...] = ()
    services: tuple[Service, ...] = ()
    environment: str = ""
    region: str = ""
    pod_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    dns_addresses: tuple[str, ...] = ()
    remapped_cidrs: tuple[str, ...] = ()
    """Ranges at which other clusters reach its pods and services in place of their own addresses."""
    pod_mtu: int = 1500
    is_site: bool = False
    transit: bool = False
    """Whether its gateways forward packets between other clusters (hub and spoke)."""
    away: str = ""
    """Why its API cannot be reached now; its data may be old, or come only from its agents."""

    @property
    def gateways(self) -> tuple[Node, ...]:
        """The nodes that forward traffic to other clusters."""
        return tuple(node for node in self.nodes if node.role is NodeRole.GATEWAY)

    def node_id(self, node: Node) -> NodeId:
        """The full name of one of this cluster's nodes."""
        return NodeId(self.name, node.name)


@dataclass(frozen=True, slots=True)
class Link:
    """A tunnel or direct link between two clusters, in both directions."""

    source: ClusterName
    target: ClusterName
    kind: LinkKind
    mechanism: str = ""
    """``wireguard``, ``ipsec``, ``vxlan``, ``openvpn``, ``direct`` …"""
    source_gateway: NodeName | None = None
    target_gateway: NodeName | None = None
    mtu: int = 1500
    """The largest inner IP packet that the link should pass, in bytes."""
    outer_port: int = 0
    """Outer UDP port of the tunnel; 0 for a direct link."""
    balanced: bool = False
    """Whether flows are spread (ECMP, by a hash of addresses and ports) over all balanced links of the two
    clusters and their gateways; otherwise the first active link carries all flows."""
    source_addresses: tuple[str, ...] = ()
    """Addresses of the source's end of the link (of its WireGuard interface): packets to them from the other
    end always cross this link, regardless of route preference."""
    target_addresses: tuple[str, ...] = ()
    is_remapped: bool = False
    """Whether pods behind it are reached at other addresses than their own. Which ones is not known here, so
    nothing is asked over it, and the coverage lists its clusters as not joined."""
    carries_hosts: bool = True
    """Whether packets to addresses of nodes cross it. A fabric's tunnel carries those to pods and services:
    from host to host they go another way, or none, so nothing of the kind is asked over it."""
    known_from: str = ""
    """Who says that it exists: a fabric's name, or one of `KnownFrom`; empty: the inventory file."""

    @property
    def name(self) -> str:
        """A stable name for people: ``wireguard:prod–staging``."""
        return f"{self.mechanism or self.kind}:{self.source}–{self.target}"

    def joins(self, one: ClusterName, other: ClusterName) -> bool:
        """Whether this link connects exactly these two clusters, in either order."""
        return {self.source, self.target} == {one, other}


def _link_details(links: list[Link]) -> Iterator[tuple[Link, str]]:
    names = [link.name for link in links]
    longer = [f"{link.name} {link.source_gateway or 'any'}–{link.target_gateway or 'any'}" for link in links]
    for place, link in enumerate(links):
        if len(links) == 1:
            yield link, ""
        elif names.count(link.name) == 1:
            yield link, link.name
        elif longer.count(longer[place]) == 1:
            yield link, longer[place]
        else:
            yield link, f"{longer[place]} {1 + place}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything known to exist at one moment."""

    clusters: tuple[Cluster, ...] = ()
    links: tuple[Link, ...] = ()
    allowed_targets: tuple[str, ...] = ()
    """Further CIDRs that on-demand checks may ask."""
    agent_port: int = 9771
    """UDP echo (STAMP), TCP and HTTP port of every agent."""
    agents: frozenset[AgentId] = field(default_factory=frozenset)
    """Agents that should run; empty means one per node and plane with an address."""
    forwards: tuple[SshForward, ...] = ()
    """Services that are reached through SSH: a closed API server, a hub."""

    def find_cluster(self, name: str) -> Cluster | None:
        """The cluster of that name, or None."""
        return next((cluster for cluster in self.clusters if cluster.name == name), None)

    def find_node(self, node_id: NodeId) -> Node | None:
        """The node of that name, or None."""
        cluster = self.find_cluster(node_id.cluster)
        return next((node for node in cluster.nodes if node.name == node_id.node), None) if cluster else None

    def find_links(self, one: ClusterName, other: ClusterName) -> tuple[Link, ...]:
        """Every link between these two clusters, in inventory order."""
        return tuple(link for link in self.links if link.joins(one, other))

    def find_twins(self) -> Iterator[tuple[NodeId, NodeId]]:
        """Pairs of nodes that must be one machine listed in two clusters, the later one second.

        They have the same name and share a host address, and a link connects their clusters, so that packets
        between them are routed by that address. Clusters without a link may be copies of each other, such as
        edge sites. Links without an end in the inventory are reported separately.
        """
        joined = {frozenset((link.source, link.target)) for link in self.links}
        for one, other in combinations(self.clusters, 2):
            if frozenset((one.name, other.name)) in joined:
                nodes = {node.name: node for node in one.nodes}
                for node in other.nodes:
                    twin = nodes.get(node.name)
                    if twin and not set(twin.host_addresses).isdisjoint(node.host_addresses):
                        yield one.node_id(twin), other.node_id(node)

    def link_addresses(self, agent: AgentId) -> tuple[str, ...]:
        """Addresses of a gateway's host agent that are reached over one particular link."""
        if agent.plane is not Plane.HOST:
            return ()
        here = agent.cluster, agent.node
        return tuple(
            address
            for link in self.links
            for gateway, addresses in (
                ((link.source, link.source_gateway), link.source_addresses),
                ((link.target, link.target_gateway), link.target_addresses),
            )
            for address in addresses
            if gateway == here
        )

    def link_details(self) -> tuple[str, ...]:
        """For each link a text that identifies it among those of its two clusters; empty for an only link.

        The text is its name; if two links share it, with the gateways; if these are equal, with a number.
        """
        beside: dict[frozenset[ClusterName], list[Link]] = {}
        for link in self.links:
            beside.setdefault(frozenset((link.source, link.target)), []).append(link)
        details = {id(link): text for links in beside.values() for link, text in _link_details(links)}
        return tuple(details[id(link)] for link in self.links)

    def iter_agents(self) -> Iterator[AgentId]:
        """Every agent that should run, in inventory order."""
        for cluster in self.clusters:
            for node in cluster.nodes:
                yield from self.agents_on(cluster, node)

    def agents_on(self, cluster: Cluster, node: Node) -> Iterator[AgentId]:
        """Every agent that should run on *node* of *cluster*."""
        for plane in _PLANES:
            agent = AgentId(cluster.name, node.name, plane)
            if node.addresses(plane) and (not self.agents or agent in self.agents):
                yield agent
