"""What a plan can and cannot see.

Two components whose columns in the matrix (leg × component) are equal look the same whatever happens: they
form a class. Out and back are rows of their own, because loss is told apart by direction. A row that may take
one of several ways counts a component once for each way that crosses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import chain

from netprobe.model.check import Legs
from netprobe.model.component import Component, gateway_in, gateway_out, node_in, node_out, service_proxy
from netprobe.model.fleet import Coverage
from netprobe.planning.cluster_graph import ClusterGraph

_MASK = (1 << 64) - 1


def measure_coverage(fabric: ClusterGraph, legs: Iterable[Legs]) -> Coverage:
    """Count covered and singly identifiable components, and name the classes.

    A component's column is held as the sum of 64-bit hashes of its rows, not as a set: a fleet of 100,000
    nodes fits into memory, and two different columns collide with a chance of 2**-64.
    """
    columns: dict[Component, int] = {}
    checks = 0
    for leg in legs:
        checks += 1
        for ways in {leg.ways_out, leg.ways_back}:
            row = _hash(ways)
            for component in chain.from_iterable(ways):
                columns[component] = (columns.get(component, 0) + row) & _MASK
    uncovered = sorted(set(_expected(fabric)) - columns.keys())
    classes = _classes(columns)
    alone = len(columns) - sum(len(group) for group in classes)
    return Coverage(len(columns) + len(uncovered), len(columns), alone, tuple(uncovered), classes, checks)


def _classes(columns: dict[Component, int]) -> tuple[tuple[Component, ...], ...]:
    groups: dict[int, list[Component]] = {}
    for component, column in columns.items():
        groups.setdefault(column, []).append(component)
    return tuple(sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1))


def _expected(fabric: ClusterGraph) -> Iterable[Component]:
    """The components that exist whatever the plan asks."""
    for node in fabric.node_of:
        yield node_out(node)
        yield node_in(node)
        cluster = fabric.cluster_of[node.cluster]
        if cluster.services:
            yield service_proxy(node)
    for name in fabric.cluster_of:
        for hop in fabric.hops_from(name):
            yield gateway_out(hop.source_gateway)
            yield hop.component
            yield gateway_in(hop.target_gateway)


def _hash(ways: tuple[tuple[Component, ...], ...]) -> int:
    text = "||".join("|".join(map(str, way)) for way in ways)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
