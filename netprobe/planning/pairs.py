"""Who asks whom: the full mesh of a small fleet, circulant and gateway combinations of a large one.

A circulant gives every node in-degree = out-degree = k, so no node is ever left out, which random choice
cannot promise. Offsets rotate over epochs without replacement, so every pair of a cluster is asked within
⌈(N−1)/k⌉ epochs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.model.inventory import Cluster
from netprobe.model.names import AgentId, ClusterName, NodeId, Plane
from netprobe.planning.fabric import Fabric, agent_of
from netprobe.planning.policy import PlanPolicy


@dataclass(frozen=True, slots=True)
class Pair:
    """One agent asks another; a *rich* pair also gets the TCP, large and IPv6 variants."""

    source: AgentId
    target: AgentId
    rich: bool = True


def find_pairs(fabric: Fabric, *, epoch: int, seed: int, policy: PlanPolicy) -> tuple[Pair, ...]:
    """All pairs of one epoch, in a stable order."""
    if len(fabric.node_of) <= policy.full_mesh_nodes:
        pairs = _mesh(fabric)
    else:
        pairs = _sparse(fabric, epoch=epoch, seed=seed, policy=policy)
    known = set(fabric.agents)
    return tuple(dict.fromkeys(pair for pair in pairs if pair.source in known and pair.target in known))


def _mesh(fabric: Fabric) -> Iterator[Pair]:
    for source in fabric.node_of:
        for target in fabric.node_of:
            if source != target:
                yield from (Pair(agent_of(source, plane), agent_of(target, plane)) for plane in Plane)
            if source.cluster == target.cluster:
                yield Pair(agent_of(source, Plane.HOST), agent_of(target, Plane.POD))


def _sparse(fabric: Fabric, *, epoch: int, seed: int, policy: PlanPolicy) -> Iterator[Pair]:
    order_of = {name: _permute(cluster, seed=seed) for name, cluster in fabric.cluster_of.items()}
    joints = list(_circulant(order_of, epoch=epoch, policy=policy))
    joints += _combine_gateways(fabric, order_of, epoch=epoch, seed=seed)
    for source, target in joints:
        rich = _share(source, target, epoch=epoch, seed=seed) < policy.variant_share
        yield Pair(agent_of(source, Plane.POD), agent_of(target, Plane.POD), rich)
        if policy.with_host_plane:
            yield Pair(agent_of(source, Plane.HOST), agent_of(target, Plane.HOST), rich)
            if source.cluster == target.cluster:
                yield Pair(agent_of(source, Plane.HOST), agent_of(target, Plane.POD), rich=False)


def _circulant(
    order_of: dict[ClusterName, tuple[NodeId, ...]], *, epoch: int, policy: PlanPolicy
) -> Iterator[tuple[NodeId, NodeId]]:
    for order in order_of.values():
        size = len(order)
        distinct = min(policy.degree, size - 1)
        for step in range(distinct):
            offset = 1 + (epoch * distinct + step) % (size - 1)
            yield from ((order[i], order[(i + offset) % size]) for i in range(size))


def _combine_gateways(
    fabric: Fabric, order_of: dict[ClusterName, tuple[NodeId, ...]], *, epoch: int, seed: int
) -> Iterator[tuple[NodeId, NodeId]]:
    """Gateway→gateway, gateway→node, node→gateway, node→node for every ordered pair that is joined."""
    names = tuple(fabric.cluster_of)
    for place, source in enumerate(names):
        for turn, target in enumerate(names):
            way = fabric.way(source=source, target=target) if source != target else None
            if way is None:
                continue
            near, far = way.hops[0].source_gateway, way.hops[-1].target_gateway
            here = _turn(order_of[source], without=near, at=epoch + turn + seed)
            there = _turn(order_of[target], without=far, at=epoch + place + seed)
            yield from dict.fromkeys(((near, far), (near, there), (here, far), (here, there)))


def _turn(order: tuple[NodeId, ...], *, without: NodeId, at: int) -> NodeId:
    """The node whose turn it is; the gateway itself only where it is alone."""
    workers = [node for node in order if node != without]
    return workers[at % len(workers)] if workers else without


def _permute(cluster: Cluster, *, seed: int) -> tuple[NodeId, ...]:
    """The nodes in an order that only seed and names decide: a new node moves nobody else."""
    nodes = [cluster.node_id(node) for node in cluster.nodes]
    return tuple(sorted(nodes, key=lambda node: (_digest(f"{seed} {node}"), node)))


def _share(source: NodeId, target: NodeId, *, epoch: int, seed: int) -> float:
    return _digest(f"{seed} {epoch} {source} {target}") / 2**64


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
