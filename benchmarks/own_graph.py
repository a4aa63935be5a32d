"""netprobe's own graph, synthetic: C clusters × N nodes, a full mesh of tunnels, one round of checks.

The model is coarser than the real inventory's, one overlay per cluster and way: ``node-out``, ``node-in``,
``overlay-out`` (to the gateway), ``overlay-in``, ``gateway-out``, ``gateway-in`` and ``tunnel(a→b)``. Checks:
a circulant of degree 2 in each cluster; per ordered pair of clusters gateway→gateway, gateway→node,
node→gateway, node→node. Forward and return legs are rows of their own; a return leg is sent what arrived.
Node 0 is each cluster's gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.known_paths import matrix_of_paths
from netprobe.analysis.localise.evidence import EvidenceMatrix, Observations

Part = tuple[str, int, int]
KINDS = ("node-out", "node-in", "overlay-out", "overlay-in", "gateway-out", "gateway-in", "tunnel")
HEALTHY_LOSS = 1e-4
EPOCHS = 8
"""Rounds take turns among so many plans."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round of the whole fleet, and what was really broken."""

    observations: Observations[Part]
    faults: frozenset[Part]


def fleet_round(seed: int, *, packets: int, loss: tuple[float, float], by_kind: bool, clusters: int = 10,
                nodes: int = 100) -> Round:  # fmt: skip
    """1–3 broken parts, each losing U(*loss*); all others lose U(0, 1e-4).

    *by_kind*: first the kind is drawn, then the part; otherwise every part is equally likely, and nearly all
    are nodes.
    """
    random = np.random.default_rng(seed)
    return _observe(random, plan_matrix(seed % EPOCHS, clusters, nodes), packets, loss, by_kind)


@cache
def plan_matrix(epoch: int, clusters: int, nodes: int) -> EvidenceMatrix[Part]:
    """Rows 2i and 2i + 1 are the legs of check i, out and back."""
    random = np.random.default_rng(epoch)
    rows: list[tuple[Part, ...]] = []
    for cluster in range(clusters):
        order = random.permutation(nodes)
        for offset in random.choice(np.arange(1, nodes), 2, replace=False).tolist():
            for position in range(nodes):
                ends = int(order[position]), int(order[(position + offset) % nodes])
                rows += [_leg(cluster, ends[0], cluster, ends[1]), _leg(cluster, ends[1], cluster, ends[0])]
    for source in range(clusters):
        for target in range(clusters):
            if source != target:
                out, into = random.integers(1, nodes, 2).tolist(), random.integers(1, nodes, 2).tolist()
                for a, b in ((0, 0), (0, into[0]), (out[0], 0), (out[1], into[1])):
                    rows += [_leg(source, a, target, b), _leg(target, b, source, a)]
    return matrix_of_paths(rows)


def _leg(source: int, a: int, target: int, b: int) -> tuple[Part, ...]:
    if source == target:
        return (
            ("node-out", source, a),
            ("overlay-out", source, 0),
            ("overlay-in", source, 0),
            ("node-in", source, b),
        )
    path: list[Part] = [("node-out", source, a)]
    path += [("overlay-out", source, 0)] if a else []
    path += [("gateway-out", source, 0), ("tunnel", source, target), ("gateway-in", target, 0)]
    path += [("overlay-in", target, 0)] if b else []
    return (*path, ("node-in", target, b))


def _observe(
    random: np.random.Generator,
    matrix: EvidenceMatrix[Part],
    packets: int,
    loss: tuple[float, float],
    by_kind: bool,
) -> Round:
    parts = matrix.components
    broken: set[int] = set()
    wanted = int(random.integers(1, 4))
    kinds = np.array([KINDS.index(part[0]) for part in parts])
    while len(broken) < wanted:
        among = np.flatnonzero(kinds == random.integers(len(KINDS))) if by_kind else np.arange(len(parts))
        broken.add(int(random.choice(among)))
    passing = 1 - random.uniform(0, HEALTHY_LOSS, len(parts))
    passing[sorted(broken)] = 1 - random.uniform(*loss, len(broken))
    through = np.multiply.reduceat(passing[matrix.path_indices], matrix.path_indptr[:-1])
    out = random.binomial(packets, through[0::2])
    back = random.binomial(out, through[1::2])
    sent = np.column_stack((np.full(len(out), packets), out)).reshape(-1).astype(np.int64)
    came = np.column_stack((out, back)).reshape(-1).astype(np.int64)
    return Round(Observations(matrix, sent, sent - came), frozenset(parts[index] for index in broken))
