"""Any fleet from a few numbers: clusters × nodes, how they are linked, how many gateways.

Names are short and sort well: clusters ``c01`` …, gateways ``gw1`` …, workers ``w01`` …. Addresses are made
up and never asked. With several gateways the links of a cluster are shared out among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from netprobe.errors import InputError
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole, Service
from netprobe.model.names import ClusterName, NodeId, NodeName

MAX_CLUSTERS = 250
MAX_NODES = 250
"""Per cluster: a simulated cluster owns a /16, each of its nodes a /24 of it."""
_TUNNEL_MTU = 1420
_ENVIRONMENTS = ("prod", "prod", "staging", "dev")
"""Half of the clusters carry production; dealt out in turn, as regions are."""
_REGIONS = ("us-west", "us-east", "eu-central", "eu-north", "ap-south")
_CHORD = 3
"""In a partial mesh each cluster is joined to the next one and to the third next one."""


class ClusterJoin(StrEnum):
    """How the clusters are linked."""

    FULL = "full"
    HUB = "hub"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class FleetShape:
    """The numbers a simulated fleet is made of. Raises `InputError` for a shape that cannot be built."""

    clusters: int = 3
    nodes: int = 4
    joined: ClusterJoin = ClusterJoin.FULL
    gateways: int = 1

    def __post_init__(self) -> None:
        limits = (("clusters", 1, MAX_CLUSTERS), ("nodes", 1, MAX_NODES), ("gateways", 1, self.nodes))
        for name, least, most in limits:
            value = getattr(self, name)
            if not least <= value <= most:
                raise InputError(f"{value} is not between {least} and {most}", where=name)


def build_inventory(shape: FleetShape) -> Inventory:
    """The fleet as an inventory."""
    clusters = tuple(_build_cluster(number, shape) for number in range(1, shape.clusters + 1))
    links = tuple(_link(clusters, one, other, shape) for one, other in sorted(_joined_pairs(shape)))
    return Inventory(clusters, links)


def place_dns(inventory: Inventory) -> frozenset[NodeId]:
    """Where the DNS servers stand: on the last node of every cluster."""
    return frozenset(cluster.node_id(cluster.nodes[-1]) for cluster in inventory.clusters)


def _build_cluster(number: int, shape: FleetShape) -> Cluster:
    nodes = tuple(_build_node(number, place, shape) for place in range(shape.nodes))
    echo = Service(
        "echo",
        "netprobe",
        (f"172.{16 + number // 250}.{number % 250}.80",),
        80,
        9771,
        tuple(node.pod_addresses[0] for node in nodes),
        protocol="tcp+udp",
        exported=number == 1,
    )
    return Cluster(
        ClusterName(f"c{number:02}"),
        nodes,
        (echo,),
        pod_cidrs=(f"10.{number}.0.0/16",),
        service_cidrs=(f"172.{16 + number // 250}.{number % 250}.0/24",),
        environment=_ENVIRONMENTS[number % len(_ENVIRONMENTS)],
        region=_REGIONS[number // len(_ENVIRONMENTS) % len(_REGIONS)],
        dns_addresses=(f"172.{16 + number // 250}.{number % 250}.10",),
        pod_mtu=1370,
        transit=shape.joined is not ClusterJoin.FULL and (shape.joined is ClusterJoin.PARTIAL or number == 1),
    )


def _build_node(cluster: int, place: int, shape: FleetShape) -> Node:
    is_gateway = place < shape.gateways
    return Node(
        NodeName(f"gw{place + 1}" if is_gateway else f"w{place - shape.gateways + 1:02}"),
        NodeRole.GATEWAY if is_gateway else NodeRole.WORKER,
        host_addresses=(f"192.168.{cluster}.{place + 1}",),
        pod_addresses=(f"10.{cluster}.{place}.2",),
        outer_addresses=(f"198.18.{cluster}.{place + 1}",) if is_gateway else (),
        pod_cidrs=(f"10.{cluster}.{place}.0/24",),
    )


def _joined_pairs(shape: FleetShape) -> set[tuple[int, int]]:
    return {(min(pair), max(pair)) for pair in _ends(shape) if pair[0] != pair[1]}


def _ends(shape: FleetShape) -> Iterator[tuple[int, int]]:
    size = shape.clusters
    for one in range(size):
        match shape.joined:
            case ClusterJoin.FULL:
                yield from ((one, other) for other in range(one + 1, size))
            case ClusterJoin.HUB:
                yield 0, one
            case ClusterJoin.PARTIAL:
                yield from ((one, (one + step) % size) for step in (1, _CHORD))


def _link(clusters: tuple[Cluster, ...], one: int, other: int, shape: FleetShape) -> Link:
    ends = clusters[one], clusters[other]
    turns = other % shape.gateways, one % shape.gateways
    at = tuple(cluster.nodes[turn].name for cluster, turn in zip(ends, turns, strict=True))
    return Link(
        ends[0].name, ends[1].name, LinkKind.TUNNEL, "wireguard", at[0], at[1], _TUNNEL_MTU, 51820 + other
    )
