"""The default topology as an inventory: three clusters, seven nodes, fourteen agents, a triangle of links."""

from __future__ import annotations

from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole, Service
from netprobe.model.names import ClusterName, NodeName

PROD = ClusterName("prod-us-west-1")
STAGING = ClusterName("staging-eu-central-1")
DEV = ClusterName("dev-on-premise")
SHAPE = {PROD: ("gw", "w1", "w2"), STAGING: ("gw", "w1"), DEV: ("gw", "w1")}


def build_cluster(name: ClusterName, nodes: tuple[str, ...], number: int) -> Cluster:
    built = tuple(_node(name, node, number, place) for place, node in enumerate(nodes))
    echo = Service(
        "echo",
        "netprobe",
        (f"10.{100 + number}.0.80", f"fd00:{number}:ffff::80"),
        80,
        9771,
        tuple(node.pod_addresses[0] for node in built),
        protocol="tcp+udp",
        exported=name == PROD,
    )
    return Cluster(
        name,
        built,
        (echo,),
        pod_cidrs=(f"10.{number}.0.0/16",),
        service_cidrs=(f"10.{100 + number}.0.0/16",),
        dns_addresses=(f"10.{100 + number}.0.10",),
        pod_mtu=1370,
    )


def _node(cluster: ClusterName, name: str, number: int, place: int) -> Node:
    return Node(
        NodeName(name),
        NodeRole.GATEWAY if name == "gw" else NodeRole.WORKER,
        host_addresses=(f"192.168.{number}.{10 + place}", f"fd00:{number}::{10 + place}"),
        pod_addresses=(f"10.{number}.{place}.2", f"fd00:{number}:{place + 1}::2"),
        outer_addresses=(f"203.0.113.{number}",) if name == "gw" else (),
        pod_cidrs=(f"10.{number}.{place}.0/24",),
    )


def build_inventory() -> Inventory:
    clusters = tuple(build_cluster(name, nodes, i + 1) for i, (name, nodes) in enumerate(SHAPE.items()))
    gateway = NodeName("gw")
    links = (
        Link(PROD, STAGING, LinkKind.TUNNEL, "wireguard", gateway, gateway, 1420, 51820),
        Link(STAGING, DEV, LinkKind.TUNNEL, "wireguard", gateway, gateway, 1420, 51821),
        Link(PROD, DEV, LinkKind.DIRECT, "direct", gateway, gateway, 1500),
    )
    return Inventory(clusters, links)
