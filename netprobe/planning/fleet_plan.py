"""Plan of one epoch for the whole fleet: every agent's plan, the legs of every check, the coverage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from netprobe.model.check import Check, Plan
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Cluster, Inventory
from netprobe.model.names import AgentId, NodeName
from netprobe.planning.allow_list import find_askable
from netprobe.planning.budgets import keep_within
from netprobe.planning.checks import (
    PlannedCheck,
    ask_dns,
    ask_endpoints,
    ask_link_ends,
    ask_outer,
    ask_pair,
    ask_service,
)
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.coverage import measure_class_coverage, measure_coverage
from netprobe.planning.discriminating_checks import find_discriminating_checks
from netprobe.planning.pairs import find_pairs
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.zones import count_zone_pairs

MAX_DISCRIMINATING = 10
"""Largest number of further checks that are suggested for components that cannot be told apart."""
NODE_PORTS_ASKED = 4
"""Number of other nodes whose node ports a node asks; asking all would grow with the square of the nodes."""


def plan_fleet(
    inventory: Inventory,
    *,
    epoch: int,
    seed: int,
    interval_ns: int,
    cookie_key: bytes,
    policy: PlanPolicy | None = None,
) -> FleetPlan:
    """Plan one epoch. Raises `InputError` if the inventory contradicts itself or a budget is too small.

    Equal arguments give an equal plan; a small fleet within its budgets gets the same full mesh in every
    epoch.
    """
    policy = policy or PlanPolicy()
    graph = ClusterGraph(inventory)
    different = {question.check.id: question for question in _ask(graph, epoch, seed, policy)}
    questions, left_out = keep_within(tuple(different.values()), policy, epoch=epoch, seed=seed)
    checks_of: dict[AgentId, list[Check]] = {agent: [] for agent in graph.agents}
    peers_of: dict[AgentId, dict[AgentId, None]] = {agent: {} for agent in graph.agents}
    agent_named = {str(agent): agent for agent in graph.agents}
    for check in (question.check for question in questions):
        checks_of[check.source].append(check)
        if (target_agent := agent_named.get(check.target.name)) is not None:
            peers_of[target_agent][check.source] = None
    _add_service_peers(graph, peers_of)
    askable = find_askable(inventory)
    addresses = {
        agent: (*graph.node_of[agent.node_id].addresses(agent.plane), *inventory.link_addresses(agent))
        for agent in {peer for peers in peers_of.values() for peer in peers}
    }
    plans = tuple(
        Plan(
            agent,
            epoch,
            tuple(checks_of[agent]),
            interval_ns,
            cookie_key,
            tuple((peer, addresses[peer]) for peer in sorted(peers_of[agent])),
            askable,
        )
        for agent in graph.agents
    )
    legs = tuple(question.legs for question in questions)
    measured = measure_coverage(graph, legs)
    traffic, gaps = measure_class_coverage(graph, ((each.check, each.legs) for each in questions))
    zone_pairs, zones_uncrossed = count_zone_pairs(graph, (question.check for question in questions))
    coverage = replace(
        measured,
        zone_pairs=zone_pairs,
        zones_uncrossed=zones_uncrossed,
        unjoined=graph.unjoined(),
        left_out=left_out,
        traffic=traffic,
        traffic_gaps=gaps,
        splitting=find_discriminating_checks(graph, measured.classes, budget=MAX_DISCRIMINATING),
    )
    return FleetPlan(epoch, interval_ns, plans, legs, coverage)


def _ask(graph: ClusterGraph, epoch: int, seed: int, policy: PlanPolicy) -> Iterator[PlannedCheck]:
    for pair in find_pairs(graph, epoch=epoch, seed=seed, policy=policy):
        yield from ask_pair(graph, pair, policy, epoch=epoch)
    yield from ask_outer(graph, policy)
    yield from ask_link_ends(graph, policy)
    known = frozenset(graph.address_of.values())
    places = {name: _places(cluster) for name, cluster in graph.cluster_of.items()}
    for agent in graph.agents:
        cluster = graph.cluster_of[agent.cluster]
        for service in cluster.services:
            if service.node is None:
                yield from ask_endpoints(agent, service, known, policy)
            elif not _is_near(agent.node, service.node, places[agent.cluster]):
                continue
            yield from ask_service(graph, agent, cluster, service, policy)
        yield from ask_dns(graph, agent, cluster, policy)


def _places(cluster: Cluster) -> dict[NodeName, int]:
    return {name: at for at, name in enumerate(sorted(node.name for node in cluster.nodes))}


def _is_near(node: NodeName, other: NodeName, places: Mapping[NodeName, int]) -> bool:
    """Whether *node* asks the node ports of *other*: its own, and those of the next few by name."""
    if node not in places or other not in places:
        return True
    return (places[other] - places[node]) % len(places) <= NODE_PORTS_ASKED


def _add_service_peers(graph: ClusterGraph, peers_of: dict[AgentId, dict[AgentId, None]]) -> None:
    """Make every agent of a cluster a peer of the agents behind its services."""
    behind = {
        address for cluster in graph.cluster_of.values() for s in cluster.services for address in s.endpoints
    }
    by_cluster: dict[str, list[AgentId]] = {}
    for agent in graph.agents:
        by_cluster.setdefault(agent.cluster, []).append(agent)
    for (agent, _), address in graph.address_of.items():
        if address in behind:
            peers_of[agent] |= dict.fromkeys(by_cluster[agent.cluster])
