"""Flock's silent-drop experiment (Harsh et al., CoNEXT 2023) on a fat-tree, rebuilt from its description.

k = 10: 10 pods of 5 edge and 5 aggregation switches, 25 cores, 15 hosts per edge switch; 125 switches, 750
hosts, 2,500 directed links. *f* random directed links lose p ~ U(0.2 %, 2 %), all others p ~ U(0, 1e-4). Each
flow takes one of the shortest paths, uniformly, and the path is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.known_paths import matrix_of_arrays
from netprobe.analysis.localise.evidence import Observations
from netprobe.model.arrays import FloatArray, IntArray

PODS, HALF, HOSTS_PER_EDGE = 10, 5, 15
EDGES = PODS * HALF
HOSTS = EDGES * HOSTS_PER_EDGE
# Numbers of the directed links: six blocks, one after the other.
HOST_UP, HOST_DOWN = 0, HOSTS
EDGE_UP, EDGE_DOWN = 2 * HOSTS, 2 * HOSTS + EDGES * HALF
CORE_UP, CORE_DOWN = 2 * HOSTS + 2 * EDGES * HALF, 2 * HOSTS + 3 * EDGES * HALF
LINKS = 2 * HOSTS + 4 * EDGES * HALF

PACKET_BYTES = 1500
MEAN_FLOW_BYTES = 200 * 1024
LARGEST_FLOW_BYTES = 100 * 1024 * 1024
PARETO_SHAPE = 1.05


@dataclass(frozen=True, slots=True)
class FlowTrace:
    """What was observed, and what was really broken."""

    observations: Observations[int]
    faults: frozenset[int]


def passive_trace(seed: int, *, faults: int, flows_per_host: int = 100) -> FlowTrace:
    """S1: flows between random hosts, sizes Pareto, redrawn above 100 MiB."""
    random = np.random.default_rng(seed)
    count = HOSTS * flows_per_host
    source = random.integers(0, HOSTS, count)
    packets = np.ceil(_flow_bytes(random, count) / PACKET_BYTES).astype(np.int64)
    return _trace(random, source, packets, faults)


def active_trace(seed: int, *, faults: int, flows_per_host: int, packets: int = 40) -> FlowTrace:
    """S2: each host sends *flows_per_host* probes of *packets* packets to random hosts."""
    random = np.random.default_rng(seed)
    source = np.repeat(np.arange(HOSTS), flows_per_host)
    return _trace(random, source, np.full(len(source), packets, np.int64), faults)


def _flow_bytes(random: np.random.Generator, count: int) -> FloatArray:
    scale = MEAN_FLOW_BYTES * (PARETO_SHAPE - 1) / PARETO_SHAPE
    size = (random.pareto(PARETO_SHAPE, count) + 1) * scale
    while bool((size > LARGEST_FLOW_BYTES).any()):
        again = size > LARGEST_FLOW_BYTES
        size[again] = (random.pareto(PARETO_SHAPE, int(again.sum())) + 1) * scale
    return size


def _trace(random: np.random.Generator, source: IntArray, packets: IntArray, faults: int) -> FlowTrace:
    target = random.integers(0, HOSTS, len(source))
    loss = random.uniform(0, 1e-4, LINKS)
    broken = random.choice(LINKS, faults, replace=False)
    loss[broken] = random.uniform(0.002, 0.02, faults)
    indptr, indices = _paths(random, source, target)
    passing = np.log1p(-loss)[indices]
    total = np.add.reduceat(passing, indptr[:-1])
    lost = random.binomial(packets, -np.expm1(total))
    matrix = matrix_of_arrays(tuple(range(LINKS)), indptr, indices)
    return FlowTrace(Observations(matrix, packets, lost.astype(np.int64)), frozenset(broken.tolist()))


def _paths(random: np.random.Generator, source: IntArray, target: IntArray) -> tuple[IntArray, IntArray]:
    """CSR of the links of one random shortest path per flow."""
    flows = len(source)
    out_edge, in_edge = source // HOSTS_PER_EDGE, target // HOSTS_PER_EDGE
    aggregation, core = random.integers(0, HALF, flows), random.integers(0, HALF, flows)
    leaves_edge = out_edge != in_edge
    leaves_pod = out_edge // HALF != in_edge // HALF
    core_link = aggregation * HALF + core
    links = np.column_stack(
        (
            HOST_UP + source,
            EDGE_UP + out_edge * HALF + aggregation,
            CORE_UP + (out_edge // HALF) * HALF * HALF + core_link,
            CORE_DOWN + (in_edge // HALF) * HALF * HALF + core_link,
            EDGE_DOWN + in_edge * HALF + aggregation,
            HOST_DOWN + target,
        )
    )
    always = np.ones(flows, bool)
    crossed = np.column_stack((always, leaves_edge, leaves_pod, leaves_pod, leaves_edge, always))
    indptr = np.concatenate(([0], np.cumsum(crossed.sum(axis=1))))
    return indptr.astype(np.int64), links[crossed].astype(np.int64)
