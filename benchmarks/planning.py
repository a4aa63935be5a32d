"""Planning and localising a fleet of 100 clusters × 1,000 nodes, in a full mesh of tunnels.

    python -m benchmarks planning --json [--clusters 100] [--nodes 1000] [--seed 1]

``seconds`` runs from the names of all nodes to checks, legs and coverage of one epoch; ``peak_mib`` is the
largest resident size of this whole process, localising included. ``churn_checks`` is the mean number of
checks between lasting nodes that appear or vanish when one node comes or goes, ``churn_worst`` the largest.
``localise_seconds`` is one new round (counts in, answer out) on a plan that was localised before,
``localise_first_seconds`` the first round of a plan, with the tables that depend on the plan only.

Those figures are of plans as arrays. ``fleet_…`` are of ``plan_fleet``: both planes, all variants, and every
check an object that an agent can be sent, on a smaller fleet (``fleet_clusters`` × ``fleet_nodes``).
"""

from __future__ import annotations

import argparse
import resource
import time
from itertools import combinations

import numpy as np

from netprobe.analysis.localise.evidence import IntArray, Matrix, Observations
from netprobe.analysis.localise.registry import localiser
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole
from netprobe.model.names import ClusterName, NodeName
from netprobe.planning.arrays import (
    CheckArrays,
    FleetShape,
    LegArrays,
    count_changed_elsewhere,
    count_coverage,
    find_legs,
    plan_checks,
)
from netprobe.planning.fleet import plan_fleet

Planned = tuple[FleetShape, CheckArrays]

PLANNED = (
    "node to node as arrays: one plane, no variants, services or DNS, one overlay per cluster and way;"
    " fleet_… are plans as agents are sent them"
)
"""What the large figures speak of: coarser than plan_fleet, which knows pods, routes, doors and services."""
PACKETS = 20
HEALTHY_LOSS = 1e-4


def run(arguments: list[str]) -> dict[str, object]:
    """Plan, measure the coverage, let nodes come and go, break something and find it."""
    chosen = _parser().parse_args(arguments)
    names = _name_nodes(chosen.clusters, chosen.nodes)
    begin = time.perf_counter()
    shape = FleetShape.full_mesh(names)
    checks = plan_checks(shape, epoch=0, seed=chosen.seed)
    legs = find_legs(shape, checks)
    coverage = count_coverage(legs)
    seconds = time.perf_counter() - begin
    churn = [
        _churn(names, (shape, checks), plan_seed=chosen.seed, seed=seed)
        for seed in range(chosen.seed, chosen.seed + chosen.changes)
    ]
    found = _localise(legs, chosen.seed)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "planned": PLANNED,
        "seconds": seconds,
        "covered": coverage.covered / coverage.components,
        "identifiable": coverage.identifiable / coverage.components,
        "churn_checks": float(np.mean(churn)),
        "churn_worst": max(churn),
        "changes": len(churn),
        **found,
        "peak_mib": peak_mib,
        "components": coverage.components,
        "checks": len(checks.source),
        "checks_per_node": len(checks.source) / (chosen.clusters * chosen.nodes),
        "clusters": chosen.clusters,
        "nodes": chosen.nodes,
        "seed": chosen.seed,
        **_plan_objects(chosen.fleet_clusters, chosen.fleet_nodes, chosen.seed),
    }


def _plan_objects(clusters: int, nodes: int, seed: int) -> dict[str, float]:
    inventory = _build_inventory(clusters, nodes)
    begin = time.perf_counter()
    fleet = plan_fleet(inventory, epoch=0, seed=seed, interval_ns=10**10, cookie_key=b"key")
    seconds = time.perf_counter() - begin
    coverage = fleet.coverage
    return {
        "fleet_clusters": clusters,
        "fleet_nodes": nodes,
        "fleet_seconds": seconds,
        "fleet_checks": coverage.checks,
        "fleet_components": coverage.components,
        "fleet_covered": coverage.covered / coverage.components,
        "fleet_identifiable": coverage.identifiable / coverage.components,
    }


def _build_inventory(clusters: int, nodes: int) -> Inventory:
    """A full mesh of tunnels; every node has one address per plane, the first of a cluster is its gateway."""
    names = [ClusterName(f"cluster-{number}") for number in range(clusters)]
    built = (Cluster(name, tuple(_build_node(c, n) for n in range(nodes))) for c, name in enumerate(names))
    links = (Link(one, other, LinkKind.TUNNEL) for one, other in combinations(names, 2))
    return Inventory(tuple(built), tuple(links))


def _build_node(cluster: int, number: int) -> Node:
    place = f"{cluster}.{number // 250}.{number % 250 + 1}"
    role = NodeRole.WORKER if number else NodeRole.GATEWAY
    return Node(NodeName(f"node-{number}"), role, (f"172.{place}",), (f"10.{place}",))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks planning", description=__doc__)
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=1000, help="nodes per cluster")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fleet-clusters", type=int, default=10, help="clusters planned as objects")
    parser.add_argument("--fleet-nodes", type=int, default=100, help="nodes of each of them")
    parser.add_argument("--changes", type=int, default=20, help="how many nodes come or go, one at a time")
    return parser


def _name_nodes(clusters: int, nodes: int) -> dict[str, list[str]]:
    return {f"cluster-{c}": [f"node-{n}" for n in range(nodes)] for c in range(clusters)}


def _churn(names: dict[str, list[str]], before: Planned, *, plan_seed: int, seed: int) -> int:
    """An even seed adds a node somewhere, an odd one takes one away (never the gateway)."""
    random = np.random.default_rng(seed)
    cluster = str(random.choice(list(names)))
    nodes = names[cluster]
    leaving = int(random.integers(1, len(nodes)))
    changed = [*nodes, f"node-new-{seed}"] if seed % 2 == 0 else nodes[:leaving] + nodes[leaving + 1 :]
    shape = FleetShape.full_mesh({**names, cluster: changed})
    return count_changed_elsewhere(before, (shape, plan_checks(shape, epoch=0, seed=plan_seed)))


def _localise(legs: LegArrays, seed: int) -> dict[str, float]:
    """Two rounds of one plan with three broken parts: two dead ones and a tunnel that loses a tenth."""
    random = np.random.default_rng(seed)
    matrix = Matrix.of_arrays(tuple(range(legs.components)), legs.indptr, legs.indices)
    # Node-out comes first and tunnels last (LegArrays); the middle of the rest is some gateway or overlay.
    crossed = np.bincount(legs.indices, minlength=legs.components)
    per_cluster = np.argsort(-crossed, kind="stable")
    broken = {3: 1.0, int(per_cluster[250]): 1.0, legs.components - 2: 0.1}
    rounds = [_draw(random, legs, broken) for _ in range(2)]
    seconds, right = [], 0
    for sent, lost in rounds:
        begin = time.perf_counter()
        answer = localiser().localise(Observations(matrix, sent, lost))
        seconds.append(time.perf_counter() - begin)
        accused = {part for suspect in answer.suspects for part in suspect.components}
        right += len(broken.keys() & (accused | set(answer.hidden)))
    return {
        "localise_seconds": seconds[1],
        "localise_first_seconds": seconds[0],
        "localised": right / (len(rounds) * len(broken)),
    }


def _draw(
    random: np.random.Generator, legs: LegArrays, broken: dict[int, float]
) -> tuple[IntArray, IntArray]:
    """Sent and lost per row; a return leg is sent what arrived."""
    passing = 1 - random.uniform(0, HEALTHY_LOSS, legs.components)
    passing[list(broken)] = 1 - np.array(list(broken.values()))
    through = np.multiply.reduceat(passing[legs.indices], legs.indptr[:-1])
    out = random.binomial(PACKETS, through[0::2])
    back = random.binomial(out, through[1::2])
    sent = np.column_stack((np.full(len(out), PACKETS), out)).reshape(-1).astype(np.int64)
    return sent, sent - np.column_stack((out, back)).reshape(-1)
