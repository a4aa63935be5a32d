"""Derives addresses, ranges, ports and link ends of each cluster and its nodes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

from netprobe.lab.plan import PlannedService, Tunnel, TunnelEnd
from netprobe.lab.services import plan_services
from netprobe.lab.topology import (
    ClusterTopology,
    LinkMedium,
    LinkTopology,
    NodeTopology,
    OverlayKind,
    Topology,
    TunnelMechanism,
)
from netprobe.lab.wan import Wan
from netprobe.model.inventory import LinkKind
from netprobe.model.names import ClusterName, NodeId, NodeName

AGENT_PORT = 9771
LAN = "eth0"
AGENT_POD = 10
"""The agent pod's number in its node's pod range."""
DNS_POD = 53
_IPSEC_PORT = 4500  # ESP in UDP, RFC 3948
_FIRST_TUNNEL_PORT = 51820  # WireGuard's customary port


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """A node of a cluster with its derived addresses."""

    spec: NodeTopology
    id: NodeId
    lan: tuple[str, str]
    pods: tuple[str, str]
    """Its slice of the cluster's pod range."""
    mac: str
    overlay_mac: str
    overlay_hop: tuple[str, str]
    """Next hop of the others on the overlay; an IPv6 next hop must be an address of that interface."""

    def pod(self, number: int) -> tuple[str, str]:
        """The *number*-th address of its pod range, IPv4 and IPv6."""
        v4, v6 = (str(ip_network(text)[number]) for text in self.pods)
        return v4, v6


@dataclass(frozen=True, slots=True)
class ClusterLayout:
    """A cluster with its planned nodes."""

    index: int
    spec: ClusterTopology
    places: tuple[PlannedNode, ...]
    edge: tuple[str, str]
    services: tuple[PlannedService, ...]

    @property
    def name(self) -> ClusterName:
        """The cluster's name."""
        return ClusterName(self.spec.name)

    @property
    def gateway(self) -> PlannedNode:
        """The node that forwards traffic to other clusters."""
        return next(place for place in self.places if place.spec.role == "gateway")

    @property
    def has_vxlan(self) -> bool:
        """Whether its overlay is VXLAN, not routes."""
        return self.spec.overlay is OverlayKind.VXLAN

    @property
    def ranges(self) -> tuple[str, ...]:
        """All ranges of the cluster: nodes, pods, services."""
        return (*self.spec.node_cidrs, *self.spec.pod_cidrs, *self.spec.service_cidrs)


def plan_site(topology: Topology, index: int) -> ClusterLayout:
    """Assign the addresses of one cluster."""
    cluster = topology.clusters[index]
    lan_v4, lan_v6 = (ip_network(text) for text in cluster.node_cidrs)
    pods_v4, pods_v6 = (ip_network(text) for text in cluster.pod_cidrs)
    slices = zip(pods_v4.subnets(new_prefix=24), pods_v6.subnets(new_prefix=64), strict=False)
    places = tuple(
        PlannedNode(
            spec=node,
            id=NodeId(ClusterName(cluster.name), NodeName(node.name)),
            lan=(str(lan_v4[11 + number]), str(lan_v6[11 + number])),
            pods=(str(pod_v4), str(pod_v6)),
            mac=f"02:4e:50:00:{index:02x}:{number:02x}",
            overlay_mac=f"02:4e:50:01:{index:02x}:{number:02x}",
            overlay_hop=(str(lan_v4[11 + number]), f"fe80::{11 + number:x}"),
        )
        for number, (node, (pod_v4, pod_v6)) in enumerate(zip(cluster.nodes, slices, strict=False))
    )
    endpoints = tuple(place.pod(AGENT_POD)[version] for version in (0, 1) for place in places)
    services = plan_services(topology, cluster, endpoints=endpoints, agent_port=AGENT_PORT)
    return ClusterLayout(index, cluster, places, (str(lan_v4[1]), str(lan_v6[1])), services)


def plan_tunnels(topology: Topology, sites: list[ClusterLayout], wan: Wan) -> tuple[Tunnel, ...]:
    """Plan the two ends of every link."""
    by_name = {site.spec.name: site for site in sites}
    tunnels = []
    for index, link in enumerate(topology.links):
        direct = link.kind is LinkMedium.DIRECT
        ends = [
            TunnelEnd(
                cluster=ClusterName(name),
                gateway=str(by_name[name].gateway.id),
                interface=f"link{index}{side}" if link.mechanism is not TunnelMechanism.IPSEC else "ipsec0",
                outer="" if direct else wan.gateway_wires[name].one_addresses[0],
                inner_ranges=by_name[name].ranges,
                next_hop=(by_name[name].gateway.lan[0], f"fe80::{side}"),
                addresses=wan.end_addresses(index, is_source=side == "a"),
            )
            for name, side in ((link.source, "a"), (link.target, "b"))
        ]
        kind = LinkKind.DIRECT if direct else LinkKind.TUNNEL
        port = 0 if direct else _FIRST_TUNNEL_PORT + index
        port = _IPSEC_PORT if not direct and link.mechanism is TunnelMechanism.IPSEC else port
        tunnels.append(Tunnel(kind, ends[0], ends[1], link.mtu, port, index, _daemon_of(link), link.balanced))
    return tuple(tunnels)


def _daemon_of(link: LinkTopology) -> str:
    is_plain = link.kind is LinkMedium.DIRECT or link.mechanism is TunnelMechanism.WIREGUARD
    return "" if is_plain else str(link.mechanism)


def local_pods(place: PlannedNode) -> list[tuple[str, tuple[str, str]]]:
    """The node's interfaces to its pods, with the pods' addresses."""
    pods = [("pod0", place.pod(AGENT_POD))]
    return [*pods, ("pod1", place.pod(DNS_POD))] if place.spec.dns else pods
