"""Clusters that nothing but routes joins: every node is its own way to the nodes and pods of the others."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from netprobe.model.inventory import Inventory, KnownFrom, Link, LinkKind, Node, NodeRole


def join_flat(inventory: Inventory) -> Inventory:
    """The same fleet with a direct link between every two clusters, and every node a gateway."""
    clusters = tuple(
        replace(cluster, nodes=tuple(map(_as_gateway, cluster.nodes))) for cluster in inventory.clusters
    )
    links = tuple(
        Link(one.name, other.name, LinkKind.DIRECT, mechanism="direct", known_from=KnownFrom.FLAT)
        for one, other in combinations((cluster for cluster in clusters if cluster.nodes), 2)
    )
    return replace(inventory, clusters=clusters, links=links)


def _as_gateway(node: Node) -> Node:
    return replace(node, role=NodeRole.GATEWAY, known_from=KnownFrom.FLAT)
