"""Planning and localising a fleet of 100 clusters × 1,000 nodes, in a full mesh of tunnels.

    python -m benchmarks planning --json [--clusters 100] [--nodes 1000] [--seed 1]

``seconds`` runs from an inventory to checks, legs and coverage of one epoch: both planes, all variants,
services and names, every part as in the plans that agents are sent (`netprobe.planning.array_planner`;
tests hold it against ``plan_fleet``). ``peak_mib`` is the largest resident size of planning and localising.
``churn_checks`` is the mean number of pairs between lasting nodes that appear or vanish when one node comes
or goes, ``churn_worst`` the largest. ``localise_seconds`` is one new round (counts in, answer out) on a plan
that was localised before, ``localise_first_seconds`` the first round, with the tables that depend on the plan
only. ``classes_…`` count the classes of traffic that are told apart. ``fleet_…`` are of ``plan_fleet``, every
check an object, on a smaller fleet.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace
from itertools import combinations

import numpy as np

from benchmarks.known_paths import matrix_of_arrays
from netprobe.analysis.localise.evidence import Observations
from netprobe.analysis.localise.greedy_lr import GreedyLikelihood
from netprobe.model.arrays import IntArray
from netprobe.model.component import ComponentKind
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole, Service
from netprobe.model.names import ClusterName, NodeId, NodeName
from netprobe.planning.array_planner import plan_as_arrays
from netprobe.planning.array_rows import ArrayPlan, count_classes, count_coverage
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.pairs import find_node_pairs
from netprobe.planning.policy import PlanPolicy

PLANNED = "as agents are sent it: both planes, variants, services, names, every overlay, route and port"
"""What the large figures speak of."""
PACKETS = 20
HEALTHY_LOSS = 1e-5
_ENGINE = GreedyLikelihood(threshold=10.0, healthy_bound=1e-3, background=1e-5)

Joint = tuple[NodeId, NodeId]


def run(arguments: list[str]) -> dict[str, object]:
    """Plan, measure the coverage, let nodes come and go, break something and find it."""
    chosen = _parser().parse_args(arguments)
    inventory = _build_inventory(chosen.clusters, chosen.nodes)
    begin = time.perf_counter(), time.process_time()
    plan = plan_as_arrays(inventory, epoch=0, seed=chosen.seed)
    coverage = count_coverage(plan)
    seconds, cpu_seconds = time.perf_counter() - begin[0], time.process_time() - begin[1]
    begin_classes = time.process_time()
    classes, _ = count_classes(plan)
    classes_cpu_seconds = time.process_time() - begin_classes
    found = _localise(plan, chosen.seed)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows, checks = len(plan.indptr) - 1, plan.checks
    del plan
    churn = _churn(chosen)
    return {
        "planned": PLANNED,
        "classes_cpu_seconds": classes_cpu_seconds,
        **{f"classes_named_{one.kind}": round(one.named / one.classes, 3) for one in classes},
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "covered": coverage.covered / coverage.components,
        "identifiable": coverage.identifiable / coverage.components,
        "churn_checks": float(np.mean(churn)),
        "churn_worst": max(churn),
        "changes": len(churn),
        **found,
        "peak_mib": peak_mib,
        "components": coverage.components,
        "checks": checks,
        "legs": rows,
        "checks_per_node": checks / (chosen.clusters * chosen.nodes),
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
    built = tuple(_build_cluster(number, name, nodes) for number, name in enumerate(names))
    links = (Link(one, other, LinkKind.TUNNEL, mtu=1420) for one, other in combinations(names, 2))
    return Inventory(built, tuple(links))


def _build_cluster(number: int, name: ClusterName, nodes: int) -> Cluster:
    own = tuple(_build_node(number, place) for place in range(nodes))
    echo = Service("echo", "netprobe", (f"172.16.{number}.80",), 80, 9771, own[0].pod_addresses, "tcp+udp")
    return Cluster(name, own, (echo,), dns_addresses=(f"172.16.{number}.10",), pod_mtu=1370)


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
    parser.add_argument("--changes", type=int, default=6, help="how many nodes come or go, one at a time")
    return parser


def _churn(chosen: argparse.Namespace) -> list[int]:
    """Add or remove one node at a time (never the gateway), and compare the pairs of the others."""
    random = np.random.default_rng(chosen.seed)
    inventory = _build_inventory(chosen.clusters, chosen.nodes)
    before = _find_joints(inventory, chosen.seed)
    found = []
    for number in range(chosen.changes):
        place = int(random.integers(len(inventory.clusters)))
        cluster = inventory.clusters[place]
        gone = int(random.integers(1, len(cluster.nodes)))
        new = replace(cluster.nodes[gone], name=NodeName(f"node-new-{number}"))
        nodes = (*cluster.nodes, new) if number % 2 else cluster.nodes[:gone] + cluster.nodes[gone + 1 :]
        clusters = list(inventory.clusters)
        clusters[place] = replace(cluster, nodes=nodes)
        changed = {cluster.node_id(new if number % 2 else cluster.nodes[gone])}
        after = _find_joints(replace(inventory, clusters=tuple(clusters)), chosen.seed)
        found.append(sum(changed.isdisjoint(joint) for joint in before ^ after))
    return found


def _find_joints(inventory: Inventory, seed: int) -> frozenset[Joint]:
    return frozenset(find_node_pairs(ClusterGraph(inventory), epoch=0, seed=seed, policy=PlanPolicy()))


def _localise(plan: ArrayPlan, seed: int) -> dict[str, float]:
    """Two rounds of one plan with three broken parts: two dead ones and a tunnel that loses half."""
    random = np.random.default_rng(seed)
    matrix = matrix_of_arrays(tuple(range(plan.components)), plan.indptr, plan.indices.astype(np.int64))
    kinds = {part.kind: number for part, number in plan.numbering.number_of.items()}
    some_overlay = next(iter(plan.numbering.overlay_of.values()))
    broken = {3: 1.0, some_overlay: 1.0, kinds[ComponentKind.TUNNEL]: 0.5}
    rounds = [_draw(random, plan, broken) for _ in range(2)]
    seconds, right = [], 0
    for sent, lost in rounds:
        begin = time.perf_counter()
        every = Observations(matrix, sent, lost)
        near, _ = every.around(matrix.components_on(np.flatnonzero(lost)))
        answer = _ENGINE.localise(near)
        seconds.append(time.perf_counter() - begin)
        accused = {part for suspect in answer.suspects for part in suspect.components}
        right += len(broken.keys() & (accused | set(answer.hidden)))
    return {
        "localise_seconds": seconds[1],
        "localise_first_seconds": seconds[0],
        "localised": right / (len(rounds) * len(broken)),
    }


def _draw(
    random: np.random.Generator, plan: ArrayPlan, broken: dict[int, float]
) -> tuple[IntArray, IntArray]:
    """Sent and lost per row; a way back is sent what arrived."""
    passing = 1 - random.uniform(0, 2 * HEALTHY_LOSS, plan.components)
    passing[list(broken)] = 1 - np.array(list(broken.values()))
    through = np.multiply.reduceat(passing[plan.indices], plan.indptr[:-1])
    sent = np.full(len(through), PACKETS, np.int64)
    arrived = random.binomial(sent, through)
    for first, count, returns in plan.spans:
        if returns:
            back = slice(first + count, first + 2 * count)
            sent[back] = arrived[first : first + count]
            arrived[back] = random.binomial(sent[back], through[back])
    return sent, sent - arrived
