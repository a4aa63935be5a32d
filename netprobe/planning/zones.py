"""Zones inside a cluster: every ordered pair of them is crossed in every epoch, as far as degrees allow.

Rule: rings say who asks whom; only where they leave a pair of zones uncrossed do two askers exchange whom
they ask. That keeps every node asking once and asked once per offset (a switch of a directed graph, which
keeps all degrees: Rao, Jana and Bandyopadhyay, 1996). Which two is found from names alone, so that a node
that comes or goes elsewhere leaves the exchange as it is.
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
    """The rounds of *targets* (whom each node asks, one round per offset), all ordered zone pairs crossed.

    *zones* and *names* tell each node's zone and name; a node whose zone is not known has "". A pair stays
    uncrossed where every exchange would lose another.

    >>> cross_zones([[1, 0, 3, 2]], zones="aabb", names="1234")
    ((1, 2, 3, 0),)
    """
    rounds = _Rounds(targets, zones)
    for pair in permutations(sorted({zone for zone in zones if zone}), 2):
        if not rounds.crossed[pair]:
            rounds.cross(pair, names)
    return tuple(map(tuple, rounds.targets))


class _Rounds:
    """The rounds while they are exchanged, and how often each pair of zones is crossed."""

    def __init__(self, targets: Sequence[Sequence[int]], zones: Sequence[str]) -> None:
        self.targets = [list(asked) for asked in targets]
        self.zones = zones
        self.crossed = Counter(
            (zones[source], zones[target]) for asked in targets for source, target in enumerate(asked)
        )

    def cross(self, pair: ZonePair, names: Sequence[str]) -> None:
        """Make the first exchange that crosses *pair* and loses none; nothing where there is none."""
        for source, target in self._ends(pair, names):
            for asked in self.targets:
                other = asked.index(target)
                if self._loses_nothing(asked, source, other):
                    self._exchange(asked, source, other)
                    return

    def _ends(self, pair: ZonePair, names: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Every node of the one zone with every node of the other, in an order that names alone decide."""
        order = sorted(range(len(names)), key=lambda node: _digest(f"{pair} {names[node]}"))
        near, far = ([node for node in order if self.zones[node] == zone] for zone in pair)
        yield from ((source, target) for source in near for target in far)

    def _loses_nothing(self, asked: list[int], source: int, other: int) -> bool:
        kept = all(self._is_spare(asker, asked[asker]) for asker in (source, other))
        is_new = all(each[other] != asked[source] for each in self.targets)
        return kept and is_new and other != asked[source]

    def _is_spare(self, source: int, target: int) -> bool:
        one, other = self.zones[source], self.zones[target]
        return one == other or "" in {one, other} or self.crossed[one, other] > 1

    def _exchange(self, asked: list[int], source: int, other: int) -> None:
        for change in (-1, 1):
            for asker in (source, other):
                self.crossed[self.zones[asker], self.zones[asked[asker]]] += change
            if change < 0:
                asked[source], asked[other] = asked[other], asked[source]


def find_zone_pairs(fabric: ClusterGraph, checks: Iterable[Check]) -> tuple[int, tuple[ZonePair, ...]]:
    """How many ordered pairs of zones the clusters have, and which of them no check crosses."""
    asked = set()
    for check in checks:
        near, far = check.source.node_id, check.target.node
        if far is not None and near.cluster == far.cluster:
            asked.add((near.cluster, fabric.node_of[near].zone, fabric.node_of[far].zone))
    every = [(name, *pair) for name in fabric.cluster_of for pair in permutations(_zones(fabric, name), 2)]
    uncrossed = tuple((f"{name}/{one}", f"{name}/{other}") for name, one, other in every
                      if (name, one, other) not in asked)  # fmt: skip
    return len(every), uncrossed


def _zones(fabric: ClusterGraph, cluster: ClusterName) -> list[str]:
    return sorted({node.zone for node in fabric.cluster_of[cluster].nodes if node.zone})


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
