"""One epoch of a large fleet as arrays: who asks whom, over which components, and what that can tell apart.

For fleets whose plan as objects would not fit: 100,000 nodes take seconds and a few hundred megabytes. The
checks are those of ``pairs``: k offsets per cluster, and per ordered pair of clusters gateway→gateway,
gateway→node, node→gateway and node→node; nodes are chosen on rings (``rings``), so that churn stays small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from netprobe.errors import InputError
from netprobe.planning.rings import (
    IntArray,
    KeyArray,
    assign_slots,
    follow,
    node_keys,
    offsets_of,
    pick,
    slot_count,
)


@dataclass(frozen=True, eq=False)  # not slotted: numbers are worked out once
class FleetShape:
    """A fleet's clusters: for each the keys of its nodes, and which of them is the gateway.

    Nodes are numbered through: cluster 0's nodes in their order, then cluster 1's, and so on. *pairs* are the
    ordered pairs of clusters to ask across, one per row; a pair's packets return over the opposite pair.
    """

    names: tuple[str, ...]
    keys: tuple[KeyArray, ...]
    gateway: tuple[int, ...]
    pairs: IntArray

    def __post_init__(self) -> None:
        for name, keys, gateway in zip(self.names, self.keys, self.gateway, strict=True):
            if not 0 <= gateway < len(keys):
                raise InputError(f"gateway {gateway} is none of {len(keys)} nodes", where=f"cluster {name}")
        if len(self.pairs) and (self.pairs.min() < 0 or self.pairs.max() >= len(self.names)):
            raise InputError("names a cluster that is not there", where="pairs")
        if bool((self.pairs[:, 0] == self.pairs[:, 1]).any()):
            raise InputError("joins a cluster with itself", where="pairs")

    @classmethod
    def full_mesh(cls, nodes_of: Mapping[str, Sequence[str]]) -> FleetShape:
        """Every ordered pair of clusters; the first node of each cluster is its gateway."""
        size = len(nodes_of)
        source, target = np.divmod(np.arange(size * size, dtype=np.int64), size)
        pairs = np.column_stack((source, target))[source != target]
        keys = tuple(node_keys(f"{name}/{node}" for node in nodes) for name, nodes in nodes_of.items())
        return cls(tuple(nodes_of), keys, (0,) * size, pairs)

    @cached_property
    def first_node(self) -> IntArray:
        """Number of each cluster's first node, and at last the number of all nodes."""
        return np.concatenate(([0], np.cumsum([len(keys) for keys in self.keys]))).astype(np.int64)

    @cached_property
    def slots(self) -> tuple[tuple[int, IntArray], ...]:
        """For each cluster how many slots it has, and the slot of each node."""
        counts = [slot_count(len(keys)) for keys in self.keys]
        return tuple(
            (count, assign_slots(keys, count)) for count, keys in zip(counts, self.keys, strict=True)
        )

    @cached_property
    def cluster_of(self) -> IntArray:
        """For each node its cluster."""
        return np.repeat(np.arange(len(self.keys)), np.diff(self.first_node))

    @cached_property
    def gateway_node(self) -> IntArray:
        """Number of each cluster's gateway node."""
        return self.first_node[:-1] + np.array(self.gateway, np.int64)


@dataclass(frozen=True, eq=False)
class CheckArrays:
    """Who asks whom, as node numbers; no check twice."""

    source: IntArray
    target: IntArray


def plan_checks(shape: FleetShape, *, epoch: int, seed: int, degree: int = 2) -> CheckArrays:
    """One epoch of checks."""
    inside = [_ask_inside(shape, cluster, epoch, seed, degree) for cluster in range(len(shape.keys))]
    across = _ask_across(shape, epoch, seed)
    ends = np.concatenate([*inside, across])
    # Two offsets may lead to the same node, past the same empty slots; it is asked once.
    nodes = int(shape.first_node[-1])
    source, target = np.divmod(np.unique(ends[:, 0] * nodes + ends[:, 1]), nodes)
    return CheckArrays(source, target)


def _ask_inside(shape: FleetShape, cluster: int, epoch: int, seed: int, degree: int) -> IntArray:
    keys = shape.keys[cluster]
    if len(keys) < 2:
        return np.empty((0, 2), np.int64)
    slots, slot = shape.slots[cluster]
    degree = min(degree, len(keys) - 1)
    own_seed = seed ^ int(node_keys((shape.names[cluster],))[0])
    offsets = offsets_of(epoch, slots=slots, degree=degree, seed=own_seed).tolist()
    targets = [follow(slot, slots=slots, offset=offset) for offset in offsets]
    source = np.tile(np.arange(len(keys)), degree)
    local: IntArray = np.column_stack((source, np.concatenate(targets)))
    return local + int(shape.first_node[cluster])


def _ask_across(shape: FleetShape, epoch: int, seed: int) -> IntArray:
    """The four gateway combinations of each pair, as far as a cluster has nodes beside its gateway."""
    source, target = shape.pairs.T
    from_gateway, to_gateway = shape.gateway_node[source], shape.gateway_node[target]
    from_node = [_pick_node(shape, source, target, epoch, seed, role) for role in (0, 1)]
    to_node = [_pick_node(shape, target, source, epoch, seed, role) for role in (2, 3)]
    combinations = ((from_gateway, to_gateway), (from_gateway, to_node[0]), (from_node[0], to_gateway),
                    (from_node[1], to_node[1]))  # fmt: skip
    ends = np.concatenate([np.column_stack(pair) for pair in combinations])
    return ends[(ends >= 0).all(axis=1)]


def _pick_node(
    shape: FleetShape, cluster: IntArray, other: IntArray, epoch: int, seed: int, role: int
) -> IntArray:
    """For each pair a node of *cluster* that is no gateway, in turns over epochs; −1 where there is none."""
    name_key = node_keys(shape.names)
    mixed = _mix(
        name_key[cluster] * np.uint64(3) + name_key[other] * np.uint64(5) + np.uint64(seed * 8 + role)
    )
    chosen = np.full(len(cluster), -1, np.int64)
    order = np.argsort(cluster, kind="stable")
    begin = np.searchsorted(cluster[order], np.arange(len(shape.keys) + 1))
    for number, keys in enumerate(shape.keys):
        rows = order[begin[number] : begin[number + 1]]
        if len(keys) < 2 or not len(rows):
            continue
        slots, slot = shape.slots[number]
        by_slot = np.argsort(slot)
        workers = by_slot[by_slot != shape.gateway[number]]
        # Any stride is coprime to a prime, so all slots have their turn; the golden section spreads them.
        points = (mixed[rows] % np.uint64(slots)).astype(np.int64) + epoch * int(slots * 0.618)
        chosen[rows] = shape.first_node[number] + workers[pick(slot[workers], points, slots=slots)]
    return chosen


def _mix(numbers: KeyArray) -> KeyArray:
    """Spread numbers over 64 bits (the finaliser of MurmurHash3, Appleby)."""
    mixed = (numbers ^ (numbers >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return mixed ^ (mixed >> np.uint64(33))


@dataclass(frozen=True, eq=False)
class LegArrays:
    """The components each leg crosses, as CSR; rows 2i and 2i + 1 are check i's way out and back.

    Components are numbered by kind: ``node-out`` and ``node-in`` per node; ``overlay-out`` (towards the
    gateway), ``overlay-in``, ``gateway-out`` and ``gateway-in`` per cluster; ``tunnel`` per ordered pair.
    """

    indptr: IntArray
    indices: IntArray
    components: int


def find_legs(shape: FleetShape, checks: CheckArrays) -> LegArrays:
    """The legs of all checks. Inside a cluster a leg crosses both ways of the overlay."""
    source = np.column_stack((checks.source, checks.target)).reshape(-1)
    target = np.column_stack((checks.target, checks.source)).reshape(-1)
    tunnel_number, tunnels = _number_tunnels(shape)
    nodes, clusters = int(shape.first_node[-1]), len(shape.keys)
    near, far = shape.cluster_of[source], shape.cluster_of[target]
    inside = near == far
    per_cluster = 2 * nodes + clusters * np.arange(5)
    crossed = (
        (source, np.ones(len(source), bool)),
        (per_cluster[0] + near, inside | (source != shape.gateway_node[near])),
        (per_cluster[2] + near, ~inside),
        (per_cluster[4] + tunnel_number[near, far], ~inside),
        (per_cluster[3] + far, ~inside),
        (per_cluster[1] + far, inside | (target != shape.gateway_node[far])),
        (nodes + target, np.ones(len(source), bool)),
    )
    mask = np.column_stack([present for _, present in crossed])
    numbers = np.column_stack([number for number, _ in crossed])
    indptr = np.concatenate(([0], np.cumsum(mask.sum(axis=1)))).astype(np.int64)
    return LegArrays(indptr, numbers[mask], int(per_cluster[4]) + tunnels)


def _number_tunnels(shape: FleetShape) -> tuple[IntArray, int]:
    """A number for each ordered pair that is asked across or returned over; −1 elsewhere; and how many."""
    joined = np.zeros((len(shape.keys), len(shape.keys)), bool)
    joined[shape.pairs[:, 0], shape.pairs[:, 1]] = True
    joined |= joined.T
    number = np.where(joined, np.cumsum(joined).reshape(joined.shape) - 1, -1)
    return number.astype(np.int64), int(joined.sum())


@dataclass(frozen=True, slots=True)
class CoverageCounts:
    """What the legs can see."""

    components: int
    covered: int
    identifiable: int
    """Components whose failure alone looks like no other component's."""


def count_coverage(legs: LegArrays) -> CoverageCounts:
    """Count what is covered and singly identifiable; equal columns have equal sums of their rows' hashes."""
    length = np.diff(legs.indptr)
    row = np.repeat(_mix(np.arange(1, len(length) + 1, dtype=np.uint64)), length)
    column = np.zeros(legs.components, np.uint64)
    np.add.at(column, legs.indices, row)
    seen = np.bincount(legs.indices, minlength=legs.components) > 0
    _, alike = np.unique(column[seen], return_counts=True)
    return CoverageCounts(legs.components, int(seen.sum()), int((alike == 1).sum()))


def count_changed_elsewhere(
    before: tuple[FleetShape, CheckArrays], after: tuple[FleetShape, CheckArrays]
) -> int:
    """How many checks stand in only one of two plans, between nodes that both fleets have."""
    every = [np.concatenate(shape.keys) for shape, _ in (before, after)]
    lasting = np.intersect1d(every[0], every[1])
    asked = []
    for keys, (_, checks) in zip(every, (before, after), strict=True):
        source, target = keys[checks.source], keys[checks.target]
        kept = np.isin(source, lasting) & np.isin(target, lasting)
        asked.append(_mix(source[kept]) + target[kept])
    return len(np.setxor1d(asked[0], asked[1]))
