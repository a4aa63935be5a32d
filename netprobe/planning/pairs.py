"""Who asks whom: the full mesh of a small fleet, circulant and gateway combinations of a large one.

Nodes sit on rings (``rings``): per offset every node asks one other and is asked by one, so no node is ever
left out, which random choice cannot promise, and a node that comes or goes changes a handful of checks
elsewhere. Offsets rotate over epochs without replacement, so every pair of a cluster of N nodes on S slots
(2N ≤ S, see `slot_count`) is asked within ⌈(S−1)/k⌉ epochs.
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
"""So many remote clusters share a worker: enough to tell routes apart, few enough to spread the load."""


@dataclass(frozen=True, slots=True)
class AgentPair:
    """One agent asks another; a *rich* pair also gets the TCP, large and IPv6 variants."""

    source: AgentId
    target: AgentId
    rich: bool = True


def find_pairs(fabric: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy) -> tuple[AgentPair, ...]:
    """All pairs of one epoch, in a stable order."""
    if len(fabric.node_of) <= policy.full_mesh_nodes:
        pairs = _mesh(fabric)
    else:
        pairs = _sparse(fabric, epoch=epoch, seed=seed, policy=policy)
    known = set(fabric.agents)
    return tuple(dict.fromkeys(pair for pair in pairs if pair.source in known and pair.target in known))


def _mesh(fabric: ClusterGraph) -> Iterator[AgentPair]:
    for source in fabric.node_of:
        for target in fabric.node_of:
            if source != target:
                yield from (AgentPair(agent_of(source, plane), agent_of(target, plane)) for plane in Plane)
            if source.cluster == target.cluster:
                yield AgentPair(agent_of(source, Plane.HOST), agent_of(target, Plane.POD))


def find_joints(
    fabric: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy
) -> Iterator[tuple[NodeId, NodeId]]:
    """Which nodes ask which in a fleet that is too large for a full mesh; some stand twice."""
    nodes = tuple(fabric.node_of)
    inside, across = number_joints(fabric, epoch=epoch, seed=seed, policy=policy)
    for joints in (inside, across):
        yield from ((nodes[one], nodes[other]) for one, other in joints.tolist())


def number_joints(
    fabric: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy
) -> tuple[IntArray, IntArray]:
    """Pairs inside clusters and pairs between them, as numbers of nodes (`ClusterGraph.place_of`), n × 2."""
    place_of = fabric.place_of
    here: dict[ClusterName, list[NodeId]] = {name: [] for name in fabric.cluster_of}
    is_asked = fabric.standing[Plane.POD] | fabric.standing[Plane.HOST]
    for node in compress(fabric.node_of, is_asked.tolist()):
        here[node.cluster].append(node)
    ring_of = {name: Ring.of(nodes) for name, nodes in here.items()}
    inside = [*_circulant(fabric, ring_of, epoch=epoch, seed=seed, degree=policy.degree)]
    across = [
        (place_of[one], place_of[other])
        for one, other in _combine_gateways(fabric, ring_of, epoch=epoch, seed=seed, policy=policy)
    ]
    return (
        np.concatenate(inside) if inside else np.zeros((0, 2), np.int64),
        np.array(across, np.int64).reshape(-1, 2),
    )


def find_rich(
    joints: Iterable[tuple[NodeId, NodeId]] | Iterable[tuple[str, str]],
    *,
    epoch: int,
    seed: int,
    policy: PlanPolicy,
) -> BoolArray:
    """Which joints of nodes, or of their names, get the variants in this epoch."""
    keys = node_keys(f"{seed} {epoch} {source} {target}" for source, target in joints)
    is_rich: BoolArray = keys.astype(np.float64) / 2**64 < policy.variant_share
    return is_rich


def _sparse(fabric: ClusterGraph, *, epoch: int, seed: int, policy: PlanPolicy) -> Iterator[AgentPair]:
    joints = tuple(find_joints(fabric, epoch=epoch, seed=seed, policy=policy))
    found = find_rich(joints, epoch=epoch, seed=seed, policy=policy).tolist()
    for (source, target), rich in zip(joints, found, strict=True):
        yield AgentPair(agent_of(source, Plane.POD), agent_of(target, Plane.POD), rich)
        if policy.with_host_plane:
            yield AgentPair(agent_of(source, Plane.HOST), agent_of(target, Plane.HOST), rich)
            if source.cluster == target.cluster:
                yield AgentPair(agent_of(source, Plane.HOST), agent_of(target, Plane.POD), rich=False)


@dataclass(frozen=True, slots=True)
class Ring:
    """The nodes of one cluster on their slots, in the order of slots (``rings``)."""

    nodes: tuple[NodeId, ...]
    taken: tuple[int, ...]
    """The slot of each node, ascending."""
    slots: int

    @classmethod
    def of(cls, nodes: Iterable[NodeId]) -> Ring:
        """Place *nodes*; their order says nothing."""
        placed = tuple(nodes)
        slots = slot_count(len(placed))
        slot = assign_slots(node_keys(map(str, placed)), slots).tolist()
        taken, ordered = zip(*sorted(zip(slot, placed, strict=True)), strict=True) if placed else ((), ())
        return cls(ordered, taken, slots)

    def next_from(self, point: int, *, without: NodeId) -> NodeId:
        """The node in the first taken slot from *point* on that is not *without*, unless that is alone."""
        place = bisect_left(self.taken, point % self.slots)
        for step in range(min(2, len(self.nodes))):
            node = self.nodes[(place + step) % len(self.nodes)]
            if node != without:
                return node
        return without


def _circulant(
    fabric: ClusterGraph, ring_of: dict[ClusterName, Ring], *, epoch: int, seed: int, degree: int
) -> Iterator[IntArray]:
    for name, ring in ring_of.items():
        size = len(ring.nodes)
        if size < 2:
            continue
        slot = np.array(ring.taken, np.int64)
        own_seed = _digest(f"{seed} {name}")
        offsets = offsets_of(epoch, slots=ring.slots, degree=min(degree, size - 1), seed=own_seed)
        rounds = [follow(slot, slots=ring.slots, offset=offset) for offset in offsets.tolist()]
        zones = [fabric.node_of[node].zone for node in ring.nodes]
        if len(set(zones) - {""}) > 1:
            names = list(map(str, ring.nodes))
            crossed = cross_zones([asked.tolist() for asked in rounds], zones=zones, names=names)
            rounds = [np.array(asked, np.int64) for asked in crossed]
        number = np.array([fabric.place_of[node] for node in ring.nodes], np.int64)
        for asked in rounds:
            yield np.column_stack((number, number[asked]))


def _combine_gateways(
    fabric: ClusterGraph, ring_of: dict[ClusterName, Ring], *, epoch: int, seed: int, policy: PlanPolicy
) -> Iterator[tuple[NodeId, NodeId]]:
    """Gateway→gateway, gateway→node, node→gateway, node→node for every ordered pair whose turn it is.

    Whose turn it is or not, the gateways of every link ask each other, so every link is crossed.
    """
    for name in fabric.cluster_of:
        yield from ((hop.source_gateway, hop.target_gateway) for hop in fabric.hops_from(name))
    is_sampled = len(fabric.cluster_of) > policy.all_pairs_clusters
    company = {name: _share_workers(fabric, name) for name in fabric.cluster_of}
    for source in fabric.cluster_of:
        groups = 1 + max(company[source].values(), default=0)
        for target in company[source]:
            way = fabric.way(source=source, target=target)
            if way is None:
                continue
            near, far = way.hops[0].source_gateway, way.hops[-1].target_gateway
            if is_sampled and not _is_turn(company[source][target], groups, epoch, policy.sampled_groups):
                continue
            here = [
                _turn(ring_of[source], f"{seed} {source} {company[source][target]} {role}", epoch, near)
                for role in ("to gateway", "to node")
            ]
            there = [
                _turn(ring_of[target], f"{seed} {target} {company[target].get(source)} {role}", epoch, far)
                for role in ("from gateway", "from node")
            ]
            yield from dict.fromkeys(((near, far), (near, there[0]), (here[0], far), (here[1], there[1])))


def _share_workers(fabric: ClusterGraph, name: ClusterName) -> dict[ClusterName, int]:
    """The clusters that *name* reaches, each with the number of its group; a group shares its workers.

    A worker that serves one remote cluster only cannot tell its route there from the overlay beneath it.
    """
    remotes = [
        other
        for other in fabric.cluster_of
        if other != name and fabric.way(source=name, target=other) is not None
    ]
    groups = max(len(remotes) // _GROUP, 1)
    return {other: min(place // _GROUP, groups - 1) for place, other in enumerate(remotes)}


def _is_turn(group: int, groups: int, epoch: int, at_once: int) -> bool:
    """Whether *group* is among the *at_once* of *epoch*; all have their turn before one returns."""
    return (group - epoch * at_once) % groups < at_once


def _turn(ring: Ring, role: str, epoch: int, without: NodeId) -> NodeId:
    """The node whose turn it is; the gateway itself only where it is alone.

    Any stride is coprime to a prime, so all slots have their turn; the golden section spreads them.
    """
    return ring.next_from(_digest(role) + epoch * int(ring.slots * 0.618), without=without)


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
