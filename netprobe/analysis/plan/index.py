"""An immutable index of one plan: every check with its legs, who asks whom, and what is on which node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from netprobe.model.arrays import IntArray
from netprobe.model.check import Check, Layer, Legs, TargetKind
from netprobe.model.component import Component, ComponentKind
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, CheckId, ClusterName, NodeId, Plane
from netprobe.model.traffic import opens_new_flows
from netprobe.probes import registry
from netprobe.probes.kind import VectorColumn

_COUNTED_APART = frozenset({"udp", "large", "v6", "new-flow"})
"""Aspects whose responder counts requests, so that the two directions are told apart."""
K = TypeVar("K")
V = TypeVar("V")
Column = tuple[str, str, str]
"""What is compared with what: the same target asked in the same way from different nodes."""


class Aspect(StrEnum):
    """Which column of the layered vector a check fills; a part may be broken in one of them only."""

    ICMP = "icmp"
    UDP = "udp"
    TCP = "tcp"
    LARGE = "large"
    V6 = "v6"
    NEW_FLOW = "new-flow"
    """UDP from a fresh source port each time."""
    SERVICE = "service"
    DNS = "dns"
    OUTER = "outer"
    OTHER = "other"


_ASPECTS = {
    VectorColumn.ICMP: Aspect.ICMP,
    VectorColumn.UDP: Aspect.UDP,
    VectorColumn.TCP: Aspect.TCP,
}
"""Of checks whose target is an agent."""


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """A check, its legs, its place in the layered vector and the agent it asks, if it asks one."""

    number: int
    check: Check
    legs: Legs
    aspect: Aspect
    asked: AgentId | None

    @property
    def source(self) -> AgentId:
        """Who asks."""
        return self.check.source


class PlanIndex:
    """Inventory and plan, indexed."""

    def __init__(self, inventory: Inventory, fleet: FleetPlan) -> None:
        self.inventory = inventory
        self.interval_ns = fleet.interval_ns
        self.agents: tuple[AgentId, ...] = tuple(plan.agent for plan in fleet.plans)
        legs_of = {legs.check: legs for legs in fleet.legs}
        named = {str(agent): agent for agent in self.agents}
        checks = fleet.checks
        self.checks: tuple[CheckFacts, ...] = tuple(
            CheckFacts(
                number,
                check,
                legs_of.get(check.id, Legs(check.id, (), ())),
                aspect_of(check),
                named.get(check.target.name) if check.target.kind is TargetKind.AGENT else None,
            )
            for number, check in enumerate(checks)
        )
        self.by_id: dict[CheckId, CheckFacts] = {facts.check.id: facts for facts in self.checks}
        self.from_agent = _group((facts.source, facts) for facts in self.checks)
        self.to_agent = _group((facts.asked, facts) for facts in self.checks if facts.asked is not None)
        self.of_pair = _group(((f.source, f.asked), f) for f in self.checks if f.asked is not None)
        self.agents_on = _group((agent.node_id, agent) for agent in self.agents)
        self.patience_ns = max((check.probe.timeout_ns for check in checks), default=0)

    @cached_property
    def node_at(self) -> dict[str, NodeId]:
        """The node that has an address; addresses that several nodes have are left out."""
        owners: dict[str, set[NodeId]] = defaultdict(set)
        for cluster in self.inventory.clusters:
            for node in cluster.nodes:
                for address in (*node.host_addresses, *node.pod_addresses, *node.outer_addresses):
                    owners[address].add(NodeId(cluster.name, node.name))
        return {address: nodes.pop() for address, nodes in owners.items() if len(nodes) == 1}

    @cached_property
    def agent_set(self) -> frozenset[AgentId]:
        """All agents; set operations over it spare hashing them again."""
        return frozenset(self.agents)

    @cached_property
    def _place_of(self) -> dict[AgentId, int]:
        return {agent: place for place, agent in enumerate(self.agents)}

    def places_of(self, agents: Iterable[AgentId]) -> IntArray:
        """Where agents stand in `agents`."""
        return np.array([self._place_of[agent] for agent in agents], np.int64)

    @cached_property
    def asked_place(self) -> IntArray:
        """By number of the check the place of the agent it asks; −1 where it asks none."""
        return np.array([self._place_of[c.asked] if c.asked else -1 for c in self.checks], np.int64)

    @cached_property
    def is_counted(self) -> npt.NDArray[np.bool_]:
        """By number of the check whether its responder counts what reaches it."""
        return np.array([bool(c.asked) and c.aspect in _COUNTED_APART for c in self.checks], np.bool_)

    @cached_property
    def served(self) -> npt.NDArray[np.bool_]:
        """By number of the check whether it asks a service or a name."""
        return np.array([c.aspect in {Aspect.SERVICE, Aspect.DNS} for c in self.checks], np.bool_)

    @cached_property
    def ids_array(self) -> IntArray:
        """The identifiers of all checks, by number."""
        return np.array([check.check.id for check in self.checks], np.int64)

    @cached_property
    def addresses_of(self) -> dict[AgentId, frozenset[str]]:
        """Every address of every agent."""
        found = {}
        for agent in self.agents:
            node = self.inventory.find_node(agent.node_id)
            owned = node.addresses(agent.plane) if node else ()
            found[agent] = frozenset((*owned, *self.inventory.link_addresses(agent)))
        return found

    @cached_property
    def agent_at(self) -> dict[str, AgentId]:
        """Which agent owns an address."""
        return {address: agent for agent, owned in self.addresses_of.items() for address in owned}

    def endpoints(self, check: CheckFacts) -> tuple[AgentId, ...]:
        """The agents behind the service a check asks; empty where it asks no service."""
        cluster = self.inventory.find_cluster(check.source.cluster)
        for service in cluster.services if cluster else ():
            if check.check.target.address in service.addresses:
                return tuple(self.agent_at[a] for a in service.endpoints if a in self.agent_at)
        return ()

    @cached_property
    def pods_in(self) -> dict[ClusterName, tuple[AgentId, ...]]:
        """The pod agents of each cluster."""
        return _group((agent.cluster, agent) for agent in self.agents if agent.plane is Plane.POD)

    @cached_property
    def columns(self) -> dict[Column, tuple[CheckFacts, ...]]:
        """The checks of services and names by what is compared with what."""
        return _group((column_of(check), check) for check in self.checks if self.served[check.number])

    @cached_property
    def answerers(self) -> tuple[tuple[AgentId, ...], ...]:
        """Whose process has to be well for a check to be answered, by number of the check.

        The kernel answers a ping, without the agent; behind a service, any endpoint may be chosen.
        """
        return tuple(
            () if check.aspect is Aspect.ICMP else (check.asked,) if check.asked else self.endpoints(check)
            for check in self.checks
        )

    @cached_property
    def answered_by(self) -> dict[AgentId, tuple[int, ...]]:
        """The checks that an agent may have to answer, by agent."""
        return _group(
            (agent, number) for number, agents in enumerate(self.answerers) for agent in dict.fromkeys(agents)
        )

    @cached_property
    def gateways(self) -> frozenset[NodeId]:
        """Nodes that forward for others."""
        return frozenset(
            part.node
            for part in self.crossing
            if part.node is not None and part.kind in {ComponentKind.GATEWAY_OUT, ComponentKind.GATEWAY_IN}
        )

    def gateway_towards(self, *, source: ClusterName, target: ClusterName) -> NodeId | None:
        """The node by which packets leave *source* for *target*, as the plan's legs tell."""
        for facts in self.checks:
            if facts.asked and facts.source.cluster == source and facts.asked.cluster == target:
                out = (p.node for p in facts.legs.forward if p.kind is ComponentKind.GATEWAY_OUT)
                return next(out, None)
        return None

    @cached_property
    def crossing(self) -> dict[Component, frozenset[int]]:
        """The checks whose packets cross a component, out or back, or may cross it."""
        found: dict[Component, set[int]] = defaultdict(set)
        for facts in self.checks:
            for part in facts.legs.crossed:
                found[part].add(facts.number)
        return {part: frozenset(numbers) for part, numbers in found.items()}

    def surely_crosses(self, number: int, parts: Collection[Component]) -> bool:
        """Whether a check's packets cross any of *parts*, whichever of several ways they take."""
        legs = self.checks[number].legs
        if not legs.is_one_of_several:
            return any(number in self.crossing.get(part, ()) for part in parts)
        return not (legs.surely_out | legs.surely_back).isdisjoint(parts)

    @cached_property
    def at_node(self) -> dict[NodeId, frozenset[int]]:
        """The checks that start or end on a node."""
        found: dict[NodeId, set[int]] = defaultdict(set)
        for facts in self.checks:
            found[facts.source.node_id].add(facts.number)
            if facts.check.target.node is not None:
                found[facts.check.target.node].add(facts.number)
        return {node: frozenset(numbers) for node, numbers in found.items()}

    def ids(self, numbers: Iterable[int]) -> tuple[CheckId, ...]:
        """The identifiers of checks, in the plan's order."""
        return tuple(self.checks[number].check.id for number in sorted(numbers))


def column_of(check: CheckFacts) -> Column:
    """Where a check of a service or a name stands: the same target asked in the same way."""
    target, probe = check.check.target, check.check.probe
    return target.name, f"{target.address} {probe.kind}", probe.name


def aspect_of(check: Check) -> Aspect:
    """Which column a check belongs to."""
    kind = registry.find_kind(check.probe.kind)
    column = kind.column if kind else VectorColumn.OTHER
    if check.target.kind is not TargetKind.AGENT:
        return _aspect_elsewhere(check, column)
    if check.probe.size and column in {VectorColumn.UDP, VectorColumn.ICMP}:
        return Aspect.LARGE
    if column is VectorColumn.UDP and opens_new_flows(check):
        return Aspect.NEW_FLOW
    if ":" in check.target.address and column is VectorColumn.UDP:
        return Aspect.V6  # ICMP and TCP go over the target's main family only: over IPv6 it has no IPv4
    return _ASPECTS.get(column, Aspect.OTHER)


def _aspect_elsewhere(check: Check, column: VectorColumn) -> Aspect:
    if check.layer is Layer.OUTER:
        return Aspect.OUTER
    if check.target.kind is TargetKind.SERVICE:
        return Aspect.SERVICE
    return Aspect.DNS if column is VectorColumn.DNS else Aspect.OTHER


def _group(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    found: dict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return {key: tuple(values) for key, values in found.items()}
