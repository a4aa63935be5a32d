"""The topology file of a lab: its schema and validation.

Rule: every mistake is one :class:`~netprobe.errors.InputError` that names file, line, column and field.
Addresses are not part of the file; :mod:`netprobe.lab.planner` derives them from its ranges.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from enum import StrEnum
from importlib import resources
from pathlib import Path

import msgspec

from netprobe.errors import InputError
from netprobe.wire.documents import Located, parse_document

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_MAX_NODES = 200
_DAEMON_MTU = 1380
"""OpenVPN adds up to 128 bytes over IPv4, ESP in UDP up to 102 (RFC 4303, RFC 3948)."""
_MTU_RANGE = (1280, 1500)  # RFC 8200 section 5: IPv6 needs 1280; the lab's wires carry 1500


class OverlayKind(StrEnum):
    """Overlay of a cluster: how pod traffic gets from node to node."""

    VXLAN = "vxlan"
    ROUTES = "routes"


class LinkMedium(StrEnum):
    """How two clusters are connected."""

    TUNNEL = "tunnel"
    DIRECT = "direct"


class TunnelMechanism(StrEnum):
    """Mechanism of a tunnel."""

    WIREGUARD = "wireguard"
    OPENVPN = "openvpn"
    IPSEC = "ipsec"
    """strongSwan with ESP in user space, without kernel support."""


class NodeTopology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node of a cluster."""

    name: str
    role: str = "worker"
    dns: bool = False
    """Whether the cluster's DNS server runs as a pod of this node."""


class ClusterTopology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One cluster: its ranges and its nodes. Each list of ranges is IPv4 first, then IPv6."""

    name: str
    transit: str
    node_cidrs: list[str]
    pod_cidrs: list[str]
    service_cidrs: list[str]
    nodes: list[NodeTopology]
    overlay: OverlayKind = OverlayKind.ROUTES
    environment: str = ""
    region: str = ""
    pod_mtu: int = 1420

    @property
    def gateway(self) -> NodeTopology:
        """The node that forwards traffic to other clusters."""
        return next(node for node in self.nodes if node.role == "gateway")

    @property
    def dns_node(self) -> NodeTopology | None:
        """The node with the DNS server's pod, or None."""
        return next((node for node in self.nodes if node.dns), None)


class LinkTopology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tunnel or direct link between two clusters; *mtu* is the largest inner packet in bytes."""

    source: str
    target: str
    kind: LinkMedium
    mtu: int = 1420
    mechanism: TunnelMechanism = TunnelMechanism.WIREGUARD
    balanced: bool = False
    """Whether it shares the flows between its clusters with others that say so: two equal routes (ECMP)."""


class ServiceTopology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service of every cluster, TCP and UDP; its endpoints are the cluster's pod agents."""

    name: str
    namespace: str
    port: int
    exported: bool = False


class WanTopology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The routers between the clusters, in a line, and the ranges of the wires between them."""

    transits: list[str]
    cidrs: list[str]


class HubTopology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The host on which the collector runs."""

    name: str
    transit: str
    cidrs: list[str]


class Topology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    wan: WanTopology
    hub: HubTopology
    clusters: list[ClusterTopology]
    links: list[LinkTopology] = msgspec.field(default_factory=list)
    services: list[ServiceTopology] = msgspec.field(default_factory=list)

    def find_cluster(self, name: str) -> ClusterTopology | None:
        """The cluster of that name, or None."""
        return next((cluster for cluster in self.clusters if cluster.name == name), None)


def load_topology(path: Path | None) -> Topology:
    """Read and validate the topology at *path*, or the default one if *path* is None."""
    if path is None:
        text = resources.files("netprobe.lab").joinpath("topologies/default.yaml").read_text()
        return parse_topology(text, source="default.yaml")
    try:
        text = path.read_text()
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 (byte {error.start})", where=str(path)) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return parse_topology(text, source=str(path))


def parse_topology(text: str, *, source: str) -> Topology:
    """Read and validate a topology; *source* is the file named in errors."""
    topology = parse_document(text, Topology, source=source)
    for problem in _problems(topology, Located(text, source=source)):
        raise problem
    return topology


def _problems(topology: Topology, located: Located) -> Iterator[InputError]:
    yield from _wan_problems(topology, located)
    yield from _name_problems(topology, located)
    for index, cluster in enumerate(topology.clusters):
        yield from _cluster_problems(topology, cluster, located, index)
    yield from _overlap_problems(topology, located)
    yield from _link_problems(topology, located)
    yield from _service_problems(topology, located)


def _wan_problems(topology: Topology, located: Located) -> Iterator[InputError]:
    if not topology.wan.transits:
        yield located.error("needs at least one transit router", "wan", "transits")
    if topology.hub.transit not in topology.wan.transits:
        yield located.error(f"unknown transit router {topology.hub.transit!r}", "hub", "transit")
    if not topology.clusters:
        yield located.error("needs at least one cluster", "clusters")


def _name_problems(topology: Topology, located: Located) -> Iterator[InputError]:
    names = [("hub", "name"), *(("wan", "transits", index) for index in range(len(topology.wan.transits)))]
    taken: set[str] = set()
    named: list[tuple[str, tuple[str | int, ...]]] = [
        *zip([topology.hub.name, *topology.wan.transits], names, strict=True),
        *((cluster.name, ("clusters", index, "name")) for index, cluster in enumerate(topology.clusters)),
    ]
    for name, path in named:
        if not _NAME.fullmatch(name):
            yield located.error(f"{name!r} is not a name (a-z, 0-9 and -, at most 40)", *path)
        if name in taken:
            yield located.error(f"the name {name!r} is given twice", *path)
        taken.add(name)


def _cluster_problems(
    topology: Topology, cluster: ClusterTopology, located: Located, index: int
) -> Iterator[InputError]:
    here = ("clusters", index)
    if cluster.transit not in topology.wan.transits:
        yield located.error(f"unknown transit router {cluster.transit!r}", *here, "transit")
    if not _MTU_RANGE[0] <= cluster.pod_mtu <= _MTU_RANGE[1]:
        yield located.error(
            f"{cluster.pod_mtu} is not within {_MTU_RANGE[0]}-{_MTU_RANGE[1]}", *here, "pod_mtu"
        )
    if cluster.overlay is OverlayKind.VXLAN and cluster.pod_mtu > 1450:
        yield located.error("VXLAN over 1500 bytes leaves 1450 for pods", *here, "pod_mtu")
    gateways = [node.name for node in cluster.nodes if node.role == "gateway"]
    if len(gateways) != 1:
        yield located.error(f"needs exactly one node with role gateway, has {len(gateways)}", *here, "nodes")
    if len([node for node in cluster.nodes if node.dns]) > 1:
        yield located.error("only one node may run the DNS server", *here, "nodes")
    if len(cluster.nodes) > _MAX_NODES:
        yield located.error(f"has {len(cluster.nodes)} nodes; the limit is {_MAX_NODES}", *here, "nodes")
    yield from _node_problems(cluster, located, index)


def _node_problems(cluster: ClusterTopology, located: Located, index: int) -> Iterator[InputError]:
    taken: set[str] = {"edge", "dns"}  # hosts that every cluster has
    for position, node in enumerate(cluster.nodes):
        here = ("clusters", index, "nodes", position)
        if not _NAME.fullmatch(node.name):
            yield located.error(f"{node.name!r} is not a name (a-z, 0-9 and -, at most 40)", *here, "name")
        if node.name in taken:
            yield located.error(f"the name {node.name!r} is taken", *here, "name")
        if node.role not in ("gateway", "worker"):
            yield located.error(f"{node.role!r} is neither gateway nor worker", *here, "role")
        taken.add(node.name)


_LONGEST = {
    "node_cidrs": (24, 120),
    "pod_cidrs": (16, 56),
    "service_cidrs": (28, 124),
    "wan": (22, 112),
    "hub": (28, 120),
}
"""The longest prefix (IPv4, IPv6) with enough addresses for the lab."""


def _ranges(topology: Topology) -> Iterator[tuple[tuple[str | int, ...], list[str]]]:
    yield ("wan", "cidrs"), topology.wan.cidrs
    yield ("hub", "cidrs"), topology.hub.cidrs
    for index, cluster in enumerate(topology.clusters):
        yield ("clusters", index, "node_cidrs"), cluster.node_cidrs
        yield ("clusters", index, "pod_cidrs"), cluster.pod_cidrs
        yield ("clusters", index, "service_cidrs"), cluster.service_cidrs


def _overlap_problems(topology: Topology, located: Located) -> Iterator[InputError]:
    known: list[tuple[Network, str]] = []
    for path, texts in _ranges(topology):
        networks = []
        for position, text in enumerate(texts):
            try:
                networks.append(ipaddress.ip_network(text))
            except ValueError as error:
                yield located.error(f"{text!r} is not an address range: {error}", *path, position)
                return
        if [network.version for network in networks] != [4, 6]:
            yield located.error("needs one IPv4 range and one IPv6 range, in this order", *path)
            return
        for position, network in enumerate(networks):
            longest = _LONGEST[str(path[-1] if path[0] == "clusters" else path[0])][position]
            if network.prefixlen > longest:
                yield located.error(
                    f"{network} is too small; /{longest} or larger is needed", *path, position
                )
            for other, where in known:
                if other.version == network.version and other.overlaps(network):
                    yield located.error(f"{network} overlaps {other} of {where}", *path, position)
            owner = topology.clusters[path[1]].name if isinstance(path[1], int) else path[0]
            known.append((network, f"{owner} {path[-1]}"))


def _link_problems(topology: Topology, located: Located) -> Iterator[InputError]:
    joined: dict[frozenset[str], bool] = {}
    """By pair of clusters: whether all their links so far share flows."""
    for index, link in enumerate(topology.links):
        here = ("links", index)
        for end in ("source", "target"):
            name = getattr(link, end)
            if topology.find_cluster(name) is None:
                yield located.error(f"unknown cluster {name!r}", *here, end)
        pair = frozenset((link.source, link.target))
        if len(pair) == 1:
            yield located.error(f"connects {link.source!r} with itself", *here, "target")
        if pair in joined and not (link.balanced and joined[pair]):
            yield located.error(f"{link.source} and {link.target} already have a link", *here)
        if not _MTU_RANGE[0] <= link.mtu <= _MTU_RANGE[1]:
            yield located.error(f"{link.mtu} is not within {_MTU_RANGE[0]}-{_MTU_RANGE[1]}", *here, "mtu")
        # WireGuard adds 80 bytes over IPv6, 60 over IPv4; 1420 is its customary MTU on a 1500-byte wire.
        if link.kind is LinkMedium.TUNNEL and link.mtu > 1420:
            yield located.error("the MTU of a tunnel over 1500 bytes is at most 1420", *here, "mtu")
        yield from _daemon_problems(topology, index, located)
        joined[pair] = joined.get(pair, True) and link.balanced


def _daemon_problems(topology: Topology, index: int, located: Located) -> Iterator[InputError]:
    """Limits of OpenVPN and IPsec that WireGuard does not have."""
    link = topology.links[index]
    if link.mechanism is TunnelMechanism.WIREGUARD:
        return
    if link.balanced:
        yield located.error("only WireGuard and direct links share flows", "links", index, "balanced")
    if link.kind is LinkMedium.DIRECT:
        yield located.error("a direct link has no mechanism", "links", index, "mechanism")
    elif link.mtu > _DAEMON_MTU:
        yield located.error(
            f"the MTU of {link.mechanism} over 1500 bytes is at most {_DAEMON_MTU}", "links", index, "mtu"
        )
    if link.mechanism is not TunnelMechanism.IPSEC:
        return
    ends = {link.source, link.target}
    for other in topology.links[:index]:
        if other.mechanism is TunnelMechanism.IPSEC and ends & {other.source, other.target}:
            yield located.error(
                "a gateway can have only one IPsec link, because its daemon uses fixed ports", "links", index
            )


def _service_problems(topology: Topology, located: Located) -> Iterator[InputError]:
    taken: set[tuple[str, str]] = set()
    for index, service in enumerate(topology.services):
        if (service.namespace, service.name) in taken:
            yield located.error(f"{service.namespace}/{service.name} is given twice", "services", index)
        if not 1 <= service.port <= 65535:
            yield located.error(f"{service.port} is not a port", "services", index, "port")
        for part in ("name", "namespace"):
            if not _NAME.fullmatch(getattr(service, part)):
                yield located.error(f"{getattr(service, part)!r} is not a name", "services", index, part)
        taken.add((service.namespace, service.name))
    if len(topology.services) > 5:
        yield located.error("the limit is five services", "services")
