"""Pairs of agents: a full mesh in a small fleet, circulant and gateway pairs in a large one.

Nodes are placed on rings (``circulant``): per offset, every node asks one other node and is asked by one, so
no node is left out, which random choice cannot guarantee, and a node that is added or removed changes only a
few other checks. Offsets rotate over epochs without replacement, so every pair of a cluster of N nodes on S
slots (2N ≤ S, see `slot_count`) is asked within ⌈(S−1)/k⌉ epochs.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress

import numpy as np

from netprobe.model.arrays import BoolArray, IntArray
from netprobe.model.names import AgentId, ClusterName, NodeId, Plane
from netprobe.planning.circulant import assign_slots, follow, node_keys, offsets_of, slot_count
from netprobe.planning.cluster_graph import ClusterGraph, agent_of
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.zones import cross_zones

_GROUP = 3
"""Remote clusters that share a worker: enough to tell routes apart, few enough to spread the load."""


@dataclass(frozen=True, slots=True)
class AgentPair:
    """One agent asks another; a *rich* pair also gets the TCP, large and IPv6 variants."""

    source: AgentId
    target: AgentId
    rich: bool = True


def find_pairs(graph: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy) -> tuple[AgentPair, ...]:
    """All pairs of one epoch, in a stable order."""
    if len(graph.node_of) <= policy.full_mesh_nodes:
        pairs = _mesh(graph)
    else:
        pairs = _sparse(graph, epoch=epoch, seed=seed, policy=policy)
    known = set(graph.agents)
    return tuple(dict.fromkeys(pair for pair in pairs if pair.source in known and pair.target in known))


def _mesh(graph: ClusterGraph) -> Iterator[AgentPair]:
    for source in graph.node_of:
        for target in graph.node_of:
            if source != target:
                yield from (AgentPair(agent_of(source, plane), agent_of(target, plane)) for plane in Plane)
            if source.cluster == target.cluster:
                yield AgentPair(agent_of(source, Plane.HOST), agent_of(target, Plane.POD))


def find_node_pairs(
    graph: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy
) -> Iterator[tuple[NodeId, NodeId]]:
    """Pairs of nodes in a fleet that is too large for a full mesh; some are listed twice."""
    nodes = tuple(graph.node_of)
    inside, across = find_pair_numbers(graph, epoch=epoch, seed=seed, policy=policy)
    for pairs in (inside, across):
        yield from ((nodes[one], nodes[other]) for one, other in pairs.tolist())


def find_pair_numbers(
    graph: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy
) -> tuple[IntArray, IntArray]:
    """Pairs inside clusters and pairs between them, as numbers of nodes (`ClusterGraph.place_of`), n × 2."""
    place_of = graph.place_of
    here: dict[ClusterName, list[NodeId]] = {name: [] for name in graph.cluster_of}
    has_agent = graph.agent_runs[Plane.POD] | graph.agent_runs[Plane.HOST]
    for node in compress(graph.node_of, has_agent.tolist()):
        here[node.cluster].append(node)
    ring_of = {name: Ring.of(nodes) for name, nodes in here.items()}
    inside = [*_circulant(graph, ring_of, epoch=epoch, seed=seed, degree=policy.degree)]
    across = [
        (place_of[one], place_of[other])
        for one, other in _combine_gateways(graph, ring_of, epoch=epoch, seed=seed, policy=policy)
    ]
    return (
        np.concatenate(inside) if inside else np.zeros((0, 2), np.int64),
        np.array(across, np.int64).reshape(-1, 2),
    )


def select_rich(
    pairs: Iterable[tuple[NodeId, NodeId]] | Iterable[tuple[str, str]],
    *,
    epoch: int,
    seed: int,
    policy: PlanPolicy,
) -> BoolArray:
    """Flags of the pairs of nodes, or of their names, that get the variants in this epoch."""
    keys = node_keys(f"{seed} {epoch} {source} {target}" for source, target in pairs)
    is_rich: BoolArray = keys.astype(np.float64) / 2**64 < policy.variant_share
    return is_rich


def _sparse(graph: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy) -> Iterator[AgentPair]:
    pairs = tuple(find_node_pairs(graph, epoch=epoch, seed=seed, policy=policy))
    found = select_rich(pairs, epoch=epoch, seed=seed, policy=policy).tolist()
    for (source, target), rich in zip(pairs, found, strict=True):
        yield AgentPair(agent_of(source, Plane.POD), agent_of(target, Plane.POD), rich)
        if policy.with_host_plane:
            yield AgentPair(agent_of(source, Plane.HOST), agent_of(target, Plane.HOST), rich)
            if source.cluster == target.cluster:
                yield AgentPair(agent_of(source, Plane.HOST), agent_of(target, Plane.POD), rich=False)


@dataclass(frozen=True, slots=True)
class Ring:
    """The nodes of one cluster on their slots, in the order of slots (``circulant``)."""

    nodes: tuple[NodeId, ...]
    taken: tuple[int, ...]
    """The slot of each node, ascending."""
    slots: int

    @classmethod
    def of(cls, nodes: Iterable[NodeId]) -> Ring:
        """Place *nodes*; their order does not matter."""
        placed = tuple(nodes)
        slots = slot_count(len(placed))
        slot = assign_slots(node_keys(map(str, placed)), slots).tolist()
        taken, ordered = zip(*sorted(zip(slot, placed, strict=True)), strict=True) if placed else ((), ())
        return cls(ordered, taken, slots)

    def next_from(self, point: int, *, without: NodeId) -> NodeId:
        """The node in the first taken slot from *point* on, not *without* unless that is the only one."""
        place = bisect_left(self.taken, point % self.slots)
        for step in range(min(2, len(self.nodes))):
            node = self.nodes[(place + step) % len(self.nodes)]
            if node != without:
                return node
        return without


def _circulant(
    graph: ClusterGraph, ring_of: dict[ClusterName, Ring], *, epoch: int, seed: int, degree: int
) -> Iterator[IntArray]:
    for name, ring in ring_of.items():
        size = len(ring.nodes)
        if size < 2:
            continue
        slot = np.array(ring.taken, np.int64)
        own_seed = _digest(f"{seed} {name}")
        offsets = offsets_of(epoch, slots=ring.slots, degree=min(degree, size - 1), seed=own_seed)
        rounds = [follow(slot, slots=ring.slots, offset=offset) for offset in offsets.tolist()]
        zones = [graph.node_of[node].zone for node in ring.nodes]
        if len(set(zones) - {""}) > 1:
            names = list(map(str, ring.nodes))
            crossed = cross_zones([asked.tolist() for asked in rounds], zones=zones, names=names)
            rounds = [np.array(asked, np.int64) for asked in crossed]
        number = np.array([graph.place_of[node] for node in ring.nodes], np.int64)
        for asked in rounds:
            yield np.column_stack((number, number[asked]))


def _combine_gateways(
    graph: ClusterGraph, ring_of: dict[ClusterName, Ring], *, epoch: int, seed: int, policy: PlanPolicy
) -> Iterator[tuple[NodeId, NodeId]]:
    """Gateway→gateway, gateway→node, node→gateway and node→node for every ordered pair of this epoch.

    The gateways of every link ask each other in every epoch, so every link is always crossed.
    """
    for name in graph.cluster_of:
        yield from ((hop.source_gateway, hop.target_gateway) for hop in graph.hops_from(name))
    is_sampled = len(graph.cluster_of) > policy.all_pairs_clusters
    groups_of = {name: _share_workers(graph, name) for name in graph.cluster_of}
    for source in graph.cluster_of:
        groups = 1 + max(groups_of[source].values(), default=0)
        for target in groups_of[source]:
            route = graph.route(source=source, target=target)
            if route is None:
                continue
            near, far = route.hops[0].source_gateway, route.hops[-1].target_gateway
            if is_sampled and not _is_turn(groups_of[source][target], groups, epoch, policy.sampled_groups):
                continue
            here = [
                _turn(ring_of[source], f"{seed} {source} {groups_of[source][target]} {role}", epoch, near)
                for role in ("to gateway", "to node")
            ]
            there = [
                _turn(ring_of[target], f"{seed} {target} {groups_of[target].get(source)} {role}", epoch, far)
                for role in ("from gateway", "from node")
            ]
            yield from dict.fromkeys(((near, far), (near, there[0]), (here[0], far), (here[1], there[1])))


def _share_workers(graph: ClusterGraph, name: ClusterName) -> dict[ClusterName, int]:
    """The clusters that *name* reaches, each with the number of its group; a group shares its workers.

    A worker that asks only one remote cluster cannot tell its route there from the overlay below it.
    """
    remotes = [
        other
        for other in graph.cluster_of
        if other != name and graph.route(source=name, target=other) is not None
    ]
    groups = max(len(remotes) // _GROUP, 1)
    return {other: min(place // _GROUP, groups - 1) for place, other in enumerate(remotes)}


def _is_turn(group: int, groups: int, epoch: int, at_once: int) -> bool:
    """Whether *group* is among the *at_once* groups of *epoch*; all have their turn before one returns."""
    return (group - epoch * at_once) % groups < at_once


def _turn(ring: Ring, role: str, epoch: int, without: NodeId) -> NodeId:
    """The node whose turn it is; the gateway itself only if it is the only node.

    Any stride is coprime to a prime, so all slots have their turn; the golden section spreads them.
    """
    return ring.next_from(_digest(role) + epoch * int(ring.slots * 0.618), without=without)


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
