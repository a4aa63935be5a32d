"""Coverage of a plan: components that checks cross, and those that can be told apart.

Rule: components with equal columns in the matrix (leg × component) always look the same and form a class. Out
and back are separate rows, because loss is measured per direction. A leg with several possible routes counts
a component once for each route that crosses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import chain

import numpy as np

from netprobe.model.check import Check, Legs, TargetKind
from netprobe.model.component import (
    Component,
    ComponentKind,
    gateway_in,
    gateway_out,
    node_in,
    node_out,
    service_proxy,
)
from netprobe.model.fleet import ClassCoverage, ClassGap, Coverage
from netprobe.planning.class_coverage import KINDS, KindCrossings, find_place, measure_classes, mix
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.traffic_profiles import find_profile

_BETWEEN_AGENTS = frozenset((TargetKind.AGENT, TargetKind.GATEWAY_OUTER))
_MASK = (1 << 64) - 1


def measure_coverage(graph: ClusterGraph, legs: Iterable[Legs]) -> Coverage:
    """Count covered and identifiable components, and list the classes.

    A component's column is stored as the sum of 64-bit hashes of its rows, not as a set: a fleet of 100,000
    nodes fits into memory, and two different columns collide with a probability of 2**-64.
    """
    columns: dict[Component, int] = {}
    checks = 0
    for leg in legs:
        checks += 1
        for routes in {leg.ways_out, leg.ways_back}:
            row = _hash(routes)
            for component in chain.from_iterable(routes):
                columns[component] = (columns.get(component, 0) + row) & _MASK
    uncovered = sorted(set(_expected(graph)) - columns.keys())
    classes = _classes(columns)
    identifiable = len(columns) - sum(len(group) for group in classes)
    return Coverage(
        len(columns) + len(uncovered), len(columns), identifiable, tuple(uncovered), classes, checks
    )


def measure_class_coverage(
    graph: ClusterGraph, planned: Iterable[tuple[Check, Legs]]
) -> tuple[tuple[ClassCoverage, ...], tuple[ClassGap, ...]]:
    """Count the classes of traffic that are told apart, from all checks between agents and gateways.

    Of several possible routes, only what all have in common is crossed for sure.
    """
    number_of: dict[ComponentKind, dict[Component, int]] = {kind: {} for kind in KINDS}
    found: dict[ComponentKind, list[tuple[int, int, int]]] = {kind: [] for kind in KINDS}
    for check, legs in planned:
        if check.target.kind not in _BETWEEN_AGENTS:
            continue
        for is_answer, parts in ((False, legs.surely_out), (True, legs.surely_back)):
            profile = find_profile(check, graph.gateways, is_answer=is_answer)
            row = 2 * check.id + (is_answer and check.probe.kind == "udp")
            for part in parts:
                if part.kind in found and profile >= 0:
                    numbers = number_of[part.kind]
                    found[part.kind].append((numbers.setdefault(part, len(numbers)), profile, row))
    number: dict[tuple[str, ...], int] = {}
    places = {
        kind: [number.setdefault(find_place(part), len(number)) for part in parts]
        for kind, parts in number_of.items()
    }
    return measure_classes({kind: _as_crossings(rows, places[kind]) for kind, rows in found.items()})


def _as_crossings(rows: list[tuple[int, int, int]], places: list[int]) -> KindCrossings:
    part, profile, row = np.array(rows, np.uint64).reshape(-1, 3).T
    crossed, profiles = part.astype(np.int64), profile.astype(np.int64)
    return KindCrossings(crossed, profiles, mix(row), np.array(places, np.int64))


def _classes(columns: dict[Component, int]) -> tuple[tuple[Component, ...], ...]:
    groups: dict[int, list[Component]] = {}
    for component, column in columns.items():
        groups.setdefault(column, []).append(component)
    return tuple(sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1))


def _expected(graph: ClusterGraph) -> Iterable[Component]:
    """The components that exist independently of the plan."""
    for node in graph.node_of:
        yield node_out(node)
        yield node_in(node)
        cluster = graph.cluster_of[node.cluster]
        if cluster.services:
            yield service_proxy(node)
    for name in graph.cluster_of:
        for hop in graph.hops_from(name):
            yield gateway_out(hop.source_gateway)
            yield hop.component
            yield gateway_in(hop.target_gateway)


def _hash(routes: tuple[tuple[Component, ...], ...]) -> int:
    text = "||".join("|".join(map(str, route)) for route in routes)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
