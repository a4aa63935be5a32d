"""Classes of traffic that a plan tells apart, beside the plan whose variants fell by chance.

Until commit 6b93e62 a quarter of the pairs, chosen by chance, got the variants on both planes, and no agent
asked with new flows or from hosts to pods of other clusters. That plan is made again here, from the same
pairs of the same fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netprobe.model.check import Check, Layer, Legs
from netprobe.model.component import ComponentKind
from netprobe.model.fleet import ClassCoverage
from netprobe.model.inventory import Inventory, Node
from netprobe.model.names import Plane
from netprobe.planning.checks import ask_pair
from netprobe.planning.circulant import node_keys
from netprobe.planning.cluster_graph import ClusterGraph, agent_of
from netprobe.planning.coverage import measure_class_coverage
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.pairs import AgentPair, find_node_pairs
from netprobe.planning.policy import PlanPolicy
from netprobe.simulate.fleet import FleetShape, build_inventory

CHANCE = 0.25
"""Share of the pairs that got the variants."""
_GROUPS = {
    "tunnels": {ComponentKind.TUNNEL},
    "gateways": {ComponentKind.GATEWAY_OUT, ComponentKind.GATEWAY_IN},
    "nodes": {ComponentKind.NODE_OUT, ComponentKind.NODE_IN},
}
Planned = tuple[Check, Legs]


def compare_classes(clusters: int, nodes: int, *, epoch: int, seed: int) -> dict[str, float]:
    """Shares of classes told apart in a dual-stack full mesh, those of before, and the growth in checks."""
    inventory = with_ipv6(build_inventory(FleetShape(clusters, nodes)))
    now = plan_now(inventory, epoch=epoch, seed=seed)
    before = plan_by_chance(inventory, epoch=epoch, seed=seed)
    graph = ClusterGraph(inventory)
    return {
        "classes_checks": len(now),
        "classes_before_checks": len(before),
        "checks_growth": round(len(now) / len(before) - 1, 4),
        **_shares("classes_", measure_class_coverage(graph, now)[0]),
        **_shares("classes_before_", measure_class_coverage(graph, before)[0]),
    }


def plan_now(inventory: Inventory, *, epoch: int, seed: int) -> list[Planned]:
    """Every check of today's plan."""
    fleet = plan_fleet(inventory, epoch=epoch, seed=seed, interval_ns=10**10, cookie_key=b"key")
    return _pair_up(fleet.checks, fleet.legs)


def plan_by_chance(inventory: Inventory, *, epoch: int, seed: int) -> list[Planned]:
    """Every check of the plan until commit 6b93e62."""
    graph, policy = ClusterGraph(inventory), PlanPolicy(with_variants=False)
    fleet = plan_fleet(
        inventory, epoch=epoch, seed=seed, interval_ns=10**10, cookie_key=b"key", policy=policy
    )
    found = {check.id: (check, legs) for check, legs in _pair_up(fleet.checks, fleet.legs)}
    if len(graph.node_of) > policy.full_mesh_nodes:
        for pair in _choose_by_chance(graph, epoch=epoch, seed=seed):
            for each in ask_pair(graph, pair, policy, epoch=epoch):
                found[each.check.id] = (each.check, each.legs)
    return list(found.values())


def is_later(check: Check) -> bool:
    """Whether no plan until commit 6b93e62 had such a check."""
    is_mixed = check.layer is Layer.HOST_POD and check.target.cluster != check.source.cluster
    return is_mixed or check.probe.option("flow") == "new"


def with_ipv6(inventory: Inventory) -> Inventory:
    """The same fleet with IPv6 on every host and pod."""

    def add(cluster: int, place: int, node: Node) -> Node:
        host, pod = f"fd00:{cluster}:{place}::1", f"fd00:{cluster}:{place}::2"
        return replace(
            node,
            host_addresses=(*node.host_addresses, host),
            pod_addresses=(*node.pod_addresses, pod),
        )

    clusters = (
        replace(one, nodes=tuple(add(number, place, node) for place, node in enumerate(one.nodes)))
        for number, one in enumerate(inventory.clusters)
    )
    return replace(inventory, clusters=tuple(clusters))


def _choose_by_chance(graph: ClusterGraph, *, epoch: int, seed: int) -> Iterator[AgentPair]:
    pairs = list(find_node_pairs(graph, epoch=epoch, seed=seed, policy=PlanPolicy()))
    keys = node_keys(f"{seed} {epoch} {source} {target}" for source, target in pairs)
    for (source, target), key in zip(pairs, keys.tolist(), strict=True):
        for plane in Plane:
            runs = graph.runs_agent(source, plane) and graph.runs_agent(target, plane)
            if runs and key / 2**64 < CHANCE:
                yield AgentPair(agent_of(source, plane), agent_of(target, plane), rich=True)


def _pair_up(checks: Iterable[Check], legs: Iterable[Legs]) -> list[Planned]:
    legs_of = {each.check: each for each in legs}
    return [(check, legs_of[check.id]) for check in checks]


def _shares(prefix: str, counted: Iterable[ClassCoverage]) -> dict[str, float]:
    found: dict[str, float] = {}
    every = tuple(counted)
    for name, kinds in _GROUPS.items():
        of_group = [one for one in every if one.kind in kinds]
        classes = sum(one.classes for one in of_group)
        for figure in ("named", "located", "told"):
            share = sum(getattr(one, figure) for one in of_group) / max(1, classes)
            found[f"{prefix}{figure}_{name}"] = round(share, 3)
    return found
