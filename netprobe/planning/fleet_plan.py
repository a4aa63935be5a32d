"""One epoch of the whole fleet: every agent's plan, every check's legs, and what they cover."""

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
from netprobe.planning.coverage import measure_coverage
from netprobe.planning.discriminating_checks import find_splitting
from netprobe.planning.pairs import find_pairs
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.zones import find_zone_pairs

MOST_SPLITTING = 10
"""So many further checks are proposed where parts cannot be told apart."""
NODE_PORTS_ASKED = 4
"""Ports of so many other nodes are asked by a node: all would be the square of the nodes."""


def plan_fleet(
    inventory: Inventory,
    *,
    epoch: int,
    seed: int,
    interval_ns: int,
    cookie_key: bytes,
    policy: PlanPolicy | None = None,
) -> FleetPlan:
    """Plan one epoch. Raises `InputError` where the inventory contradicts itself or a budget is too small.

    Equal arguments give an equal plan; a small fleet within its budgets gets the same full mesh in every
    epoch.
    """
    policy = policy or PlanPolicy()
    fabric = ClusterGraph(inventory)
    different = {question.check.id: question for question in _ask(fabric, epoch, seed, policy)}
    questions, left_out = keep_within(tuple(different.values()), policy, epoch=epoch, seed=seed)
    checks_of: dict[AgentId, list[Check]] = {agent: [] for agent in fabric.agents}
    peers_of: dict[AgentId, dict[AgentId, None]] = {agent: {} for agent in fabric.agents}
    agent_named = {str(agent): agent for agent in fabric.agents}
    for check in (question.check for question in questions):
        checks_of[check.source].append(check)
        if (asked := agent_named.get(check.target.name)) is not None:
            peers_of[asked][check.source] = None
    _let_services_answer(fabric, peers_of)
    askable = find_askable(inventory)
    plans = tuple(
        Plan(
            agent,
            epoch,
            tuple(checks_of[agent]),
            interval_ns,
            cookie_key,
            _peers(inventory, fabric, peers_of[agent]),
            askable,
        )
        for agent in fabric.agents
    )
    legs = tuple(question.legs for question in questions)
    measured = measure_coverage(fabric, legs)
    zone_pairs, zones_uncrossed = find_zone_pairs(fabric, (question.check for question in questions))
    coverage = replace(
        measured,
        zone_pairs=zone_pairs,
        zones_uncrossed=zones_uncrossed,
        unjoined=fabric.unjoined(),
        left_out=left_out,
        splitting=find_splitting(fabric, measured.classes, budget=MOST_SPLITTING),
    )
    return FleetPlan(epoch, interval_ns, plans, legs, coverage)


def _ask(fabric: ClusterGraph, epoch: int, seed: int, policy: PlanPolicy) -> Iterator[PlannedCheck]:
    for pair in find_pairs(fabric, epoch=epoch, seed=seed, policy=policy):
        yield from ask_pair(fabric, pair, policy, epoch=epoch)
    yield from ask_outer(fabric, policy)
    yield from ask_link_ends(fabric, policy)
    known = frozenset(fabric.address_of.values())
    places = {name: _places(cluster) for name, cluster in fabric.cluster_of.items()}
    for agent in fabric.agents:
        cluster = fabric.cluster_of[agent.cluster]
        for asked in cluster.services:
            if asked.node is None:
                yield from ask_endpoints(agent, asked, known, policy)
            elif not _is_near(agent.node, asked.node, places[agent.cluster]):
                continue
            yield from ask_service(fabric, agent, cluster, asked, policy)
        yield from ask_dns(fabric, agent, cluster, policy)


def _places(cluster: Cluster) -> dict[NodeName, int]:
    return {name: at for at, name in enumerate(sorted(node.name for node in cluster.nodes))}


def _is_near(node: NodeName, other: NodeName, places: Mapping[NodeName, int]) -> bool:
    """Whether *node* asks the node ports of *other*: its own, and those of the next few by name."""
    if node not in places or other not in places:
        return True
    return (places[other] - places[node]) % len(places) <= NODE_PORTS_ASKED


def _let_services_answer(fabric: ClusterGraph, peers_of: dict[AgentId, dict[AgentId, None]]) -> None:
    """An agent behind a service is asked by everybody in its cluster."""
    behind = {
        address for cluster in fabric.cluster_of.values() for s in cluster.services for address in s.endpoints
    }
    by_cluster: dict[str, list[AgentId]] = {}
    for agent in fabric.agents:
        by_cluster.setdefault(agent.cluster, []).append(agent)
    for (agent, _), address in fabric.address_of.items():
        if address in behind:
            peers_of[agent] |= dict.fromkeys(by_cluster[agent.cluster])


def _peers(
    inventory: Inventory, fabric: ClusterGraph, agents: dict[AgentId, None]
) -> tuple[tuple[AgentId, tuple[str, ...]], ...]:
    return tuple(
        (agent, (*fabric.node_of[agent.node_id].addresses(agent.plane), *inventory.link_addresses(agent)))
        for agent in sorted(agents)
    )
