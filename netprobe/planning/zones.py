"""Zones inside a cluster: every ordered pair is crossed in every epoch, as far as the degree allows.

Rule: the circulant decides the pairs; only if it leaves a pair of zones uncrossed do two sources exchange
their targets. Every node still asks once and is asked once per offset (a switch of a directed graph, which
keeps all degrees: Rao, Jana and Bandyopadhyay, 1996). The two sources are chosen by names alone, so that
adding or removing another node does not change the exchange.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations

from netprobe.model.check import Check
from netprobe.model.names import ClusterName
from netprobe.planning.cluster_graph import ClusterGraph

ZonePair = tuple[str, str]
"""From zone, to zone, each as ``cluster/zone``."""


def cross_zones(
    targets: Sequence[Sequence[int]], *, zones: Sequence[str], names: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    """The rounds of *targets* (the target of each node, one round per offset) with all zone pairs crossed.

    *zones* and *names* are each node's zone and name; a node whose zone is not known has "". A pair stays
    uncrossed if every exchange would lose another.

    >>> cross_zones([[1, 0, 3, 2]], zones="aabb", names="1234")
    ((1, 2, 3, 0),)
    """
    rounds = _Rounds(targets, zones)
    for pair in permutations(sorted({zone for zone in zones if zone}), 2):
        if not rounds.crossed[pair]:
            rounds.cross(pair, names)
    return tuple(map(tuple, rounds.targets))


class _Rounds:
    """The rounds during the exchange, and how often each pair of zones is crossed."""

    def __init__(self, targets: Sequence[Sequence[int]], zones: Sequence[str]) -> None:
        self.targets = [list(targets_of_round) for targets_of_round in targets]
        self.zones = zones
        self.crossed = Counter(
            (zones[source], zones[target])
            for targets_of_round in targets
            for source, target in enumerate(targets_of_round)
        )

    def cross(self, pair: ZonePair, names: Sequence[str]) -> None:
        """Make the first exchange that crosses *pair* and loses no other pair, if there is one."""
        for source, target in self._ends(pair, names):
            for targets in self.targets:
                other = targets.index(target)
                if self._loses_nothing(targets, source, other):
                    self._exchange(targets, source, other)
                    return

    def _ends(self, pair: ZonePair, names: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Every node of the one zone with every node of the other, in an order decided by names alone."""
        order = sorted(range(len(names)), key=lambda node: _digest(f"{pair} {names[node]}"))
        near, far = ([node for node in order if self.zones[node] == zone] for zone in pair)
        yield from ((source, target) for source in near for target in far)

    def _loses_nothing(self, targets: list[int], source: int, other: int) -> bool:
        kept = all(self._is_spare(asker, targets[asker]) for asker in (source, other))
        is_new = all(each[other] != targets[source] for each in self.targets)
        return kept and is_new and other != targets[source]

    def _is_spare(self, source: int, target: int) -> bool:
        one, other = self.zones[source], self.zones[target]
        return one == other or "" in {one, other} or self.crossed[one, other] > 1

    def _exchange(self, targets: list[int], source: int, other: int) -> None:
        for change in (-1, 1):
            for asker in (source, other):
                self.crossed[self.zones[asker], self.zones[targets[asker]]] += change
            if change < 0:
                targets[source], targets[other] = targets[other], targets[source]


def count_zone_pairs(graph: ClusterGraph, checks: Iterable[Check]) -> tuple[int, tuple[ZonePair, ...]]:
    """The number of ordered zone pairs of all clusters, and the pairs that no check crosses."""
    crossed = set()
    for check in checks:
        near, far = check.source.node_id, check.target.node
        if far is not None and near.cluster == far.cluster:
            crossed.add((near.cluster, graph.node_of[near].zone, graph.node_of[far].zone))
    zone_pairs = [(name, *pair) for name in graph.cluster_of for pair in permutations(_zones(graph, name), 2)]
    uncrossed = tuple((f"{name}/{one}", f"{name}/{other}") for name, one, other in zone_pairs
                      if (name, one, other) not in crossed)  # fmt: skip
    return len(zone_pairs), uncrossed


def _zones(graph: ClusterGraph, cluster: ClusterName) -> list[str]:
    return sorted({node.zone for node in graph.cluster_of[cluster].nodes if node.zone})


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
