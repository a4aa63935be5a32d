"""Pairs of agents: a full mesh in a small fleet, circulant and gateway pairs in a large one.

Nodes are placed on rings (``circulant``): per offset, every node asks one other node and is asked by one, so
no node is left out, which random choice cannot guarantee, and a node that is added or removed changes only a
few other checks. Offsets rotate over epochs without replacement, so every pair of a cluster of N nodes on S
slots (2N ≤ S, see `slot_count`) is asked within ⌈(S−1)/k⌉ epochs.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

import numpy as np

from netprobe.model.arrays import BoolArray, IntArray
from netprobe.model.names import AgentId, ClusterName, NodeId, Plane
from netprobe.planning.circulant import assign_slots, follow, node_keys, offsets_of, slot_count
from netprobe.planning.cluster_graph import ClusterGraph, agent_of
from netprobe.planning.former_pairs import find_former_mesh, find_former_sparse
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.variant_pairs import choose_variant_pairs, has_pods
from netprobe.planning.zones import cross_zones

_GROUP = 3
"""Remote clusters that share a worker: enough to tell routes apart, few enough to spread the load."""


@dataclass(frozen=True, slots=True)
class AgentPair:
    """One agent asks another; a *rich* pair also gets the TCP, large and IPv6 variants."""

    source: AgentId
    target: AgentId
    rich: bool = True
    new_flow: bool = False
    """Whether it also asks from fresh ports."""
    is_mixed: bool = False
    """A host that asks a pod of another cluster, with one UDP check and nothing else."""


class NodePairs(NamedTuple):
    """Pairs of nodes as numbers (`ClusterGraph.place_of`), n × 2, and which of them get the variants."""

    inside: IntArray
    is_inside_rich: BoolArray
    across: IntArray
    is_across_rich: BoolArray
    mixed: IntArray
    """Whose host asks whose pod in another cluster."""


def find_pairs(graph: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy) -> tuple[AgentPair, ...]:
    """All pairs of one epoch, in a stable order."""
    pairs: Iterator[AgentPair]
    is_mesh = len(graph.node_of) <= policy.full_mesh_nodes
    if policy.are_variants_by_chance:
        found = (
            find_former_mesh(graph)
            if is_mesh
            else find_former_sparse(
                find_node_pairs(graph, epoch=epoch, seed=seed, policy=policy),
                epoch=epoch,
                seed=seed,
                with_host_plane=policy.with_host_plane,
            )
        )
        pairs = (AgentPair(*ends) for ends in found)
    elif is_mesh:
        pairs = _mesh(graph, policy)
    else:
        pairs = _sparse(graph, epoch=epoch, seed=seed, policy=policy)
    known = set(graph.agents)
    return tuple(
        dict.fromkeys(
            pair
            for pair in pairs
            if pair.source in known and pair.target in known and _is_carried(graph, pair)
        )
    )


def _is_carried(graph: ClusterGraph, pair: AgentPair) -> bool:
    """Whether the links that are asked about are those that the packets take."""
    source, target = pair.source, pair.target
    is_across = source.cluster != target.cluster
    if not is_across or (source.plane, target.plane) != (Plane.HOST, Plane.HOST):
        return True
    return graph.carries_hosts(source.node_id, target.node_id)


def _mesh(graph: ClusterGraph, policy: PlanPolicy) -> Iterator[AgentPair]:
    for source in graph.node_of:
        for target in graph.node_of:
            if source != target:
                yield from (AgentPair(agent_of(source, plane), agent_of(target, plane)) for plane in Plane)
            if source.cluster == target.cluster:
                yield AgentPair(agent_of(source, Plane.HOST), agent_of(target, Plane.POD))
    if policy.with_variants:
        yield from _mesh_variants(graph)


def _mesh_variants(graph: ClusterGraph) -> Iterator[AgentPair]:
    """New flows along each cluster's ring and once per route, and a host that asks a pod once per route."""
    across = [
        (one, other) for one in graph.node_of for other in graph.node_of if one.cluster != other.cluster
    ]
    variants = choose_variant_pairs(graph, across, epoch=0, seed=0, in_turns=False)
    around = [pair for ring in find_rings(graph).values() for pair in ring.around() if has_pods(graph, *pair)]
    once = (across[place] for place in variants.chosen if across[place] not in variants.few)
    for source, target in (*around, *once):
        plane = Plane.POD if has_pods(graph, source, target) else Plane.HOST
        yield AgentPair(agent_of(source, plane), agent_of(target, plane), new_flow=True)
    yield from _mixed_pairs(variants.mixed, few=variants.few)


def _mixed_pairs(
    pairs: Iterable[tuple[NodeId, NodeId]], *, few: Container[tuple[NodeId, NodeId]] = ()
) -> Iterator[AgentPair]:
    """Hosts that ask pods; where a mesh has *few* pairs, one check both changes the plane and opens flows."""
    for source, target in pairs:
        ends = agent_of(source, Plane.HOST), agent_of(target, Plane.POD)
        yield AgentPair(*ends, rich=False, new_flow=(source, target) in few, is_mixed=True)


def find_node_pairs(
    graph: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy
) -> Iterator[tuple[NodeId, NodeId]]:
    """Pairs of nodes in a fleet that is too large for a full mesh; some are listed twice."""
    nodes = tuple(graph.node_of)
    found = find_pair_numbers(graph, epoch=epoch, seed=seed, policy=policy)
    for pairs in (found.inside, found.across):
        yield from ((nodes[one], nodes[other]) for one, other in pairs.tolist())


def find_pair_numbers(graph: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy) -> NodePairs:
    """Pairs inside clusters and pairs between them, and which of them get the variants."""
    ring_of = find_rings(graph)
    rounds = [*_circulant(graph, ring_of, epoch=epoch, seed=seed, degree=policy.degree)]
    inside = [pairs for pairs, _ in rounds]
    is_first = [np.full(len(pairs), is_first and policy.with_variants) for pairs, is_first in rounds]
    across = [*_combine_gateways(graph, ring_of, epoch=epoch, seed=seed, policy=policy)]
    wanted = across if policy.with_variants else ()
    variants = choose_variant_pairs(graph, wanted, epoch=epoch, seed=seed, in_turns=True)
    is_chosen = np.zeros(len(across), np.bool_)
    is_chosen[list(variants.chosen)] = True
    mixed = variants.mixed if policy.with_host_plane else ()
    return NodePairs(
        np.concatenate(inside) if inside else np.zeros((0, 2), np.int64),
        np.concatenate(is_first) if is_first else np.zeros(0, np.bool_),
        _number(graph, across),
        is_chosen,
        _number(graph, mixed),
    )


def find_rings(graph: ClusterGraph) -> dict[ClusterName, Ring]:
    """The nodes with agents of each cluster on their ring."""
    here: dict[ClusterName, list[NodeId]] = {name: [] for name in graph.cluster_of}
    has_agent = graph.agent_runs[Plane.POD] | graph.agent_runs[Plane.HOST]
    for node in compress(graph.node_of, has_agent.tolist()):
        here[node.cluster].append(node)
    return {name: Ring.of(nodes) for name, nodes in here.items()}


def _number(graph: ClusterGraph, pairs: Iterable[tuple[NodeId, NodeId]]) -> IntArray:
    numbers = [(graph.place_of[one], graph.place_of[other]) for one, other in pairs]
    return np.array(numbers, np.int64).reshape(-1, 2)


def _sparse(graph: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy) -> Iterator[AgentPair]:
    nodes = tuple(graph.node_of)
    found = find_pair_numbers(graph, epoch=epoch, seed=seed, policy=policy)
    flags = np.concatenate((found.is_inside_rich, found.is_across_rich)).tolist()
    numbers = np.concatenate((found.inside, found.across)).tolist()
    for (one, other), rich in zip(numbers, flags, strict=True):
        source, target = nodes[one], nodes[other]
        inside, pods = source.cluster == target.cluster, has_pods(graph, source, target)
        yield AgentPair(agent_of(source, Plane.POD), agent_of(target, Plane.POD), rich, new_flow=rich)
        if policy.with_host_plane:
            is_rich = rich and not (inside and pods)
            opens = rich and not inside and not pods
            hosts = agent_of(source, Plane.HOST), agent_of(target, Plane.HOST)
            yield AgentPair(*hosts, is_rich, new_flow=opens)
            if inside:
                yield AgentPair(agent_of(source, Plane.HOST), agent_of(target, Plane.POD), rich=False)
    yield from _mixed_pairs((nodes[one], nodes[other]) for one, other in found.mixed.tolist())


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

    def around(self) -> Iterator[tuple[NodeId, NodeId]]:
        """Each node and the next one; none if it is alone."""
        if len(self.nodes) > 1:
            yield from zip(self.nodes, (*self.nodes[1:], self.nodes[0]), strict=True)


def _circulant(
    graph: ClusterGraph, ring_of: dict[ClusterName, Ring], *, epoch: int, seed: int, degree: int
) -> Iterator[tuple[IntArray, bool]]:
    """The pairs of each cluster and offset, and whether the offset is the cluster's first of the epoch."""
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
        for place, asked in enumerate(rounds):
            yield np.column_stack((number, number[asked])), place == 0


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
