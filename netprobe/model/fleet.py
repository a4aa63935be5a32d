"""What the planner hands out for one epoch: every agent's plan, the legs of every check, the coverage."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.check import Check, Legs, Plan
from netprobe.model.component import Component
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, ClusterName


@dataclass(frozen=True, slots=True)
class ExtraCheck:
    """A check that no plan asks yet, and what asking it would tell."""

    source: AgentId
    target: AgentId
    bits: float
    """Expected information gain over what is not told apart by then, in bits."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a plan can and cannot see."""

    components: int = 0
    covered: int = 0
    identifiable: int = 0
    """Components whose single failure no other component's failure looks like."""
    uncovered: tuple[Component, ...] = ()
    classes: tuple[tuple[Component, ...], ...] = ()
    """Groups of two or more covered components that the checks cannot tell apart."""
    checks: int = 0
    unjoined: tuple[tuple[ClusterName, ClusterName], ...] = ()
    """Pairs of clusters that nothing joins, no link and no transit cluster: nothing is asked between them."""
    zone_pairs: int = 0
    """Ordered pairs of zones of one cluster, over all clusters."""
    zones_uncrossed: tuple[tuple[str, str], ...] = ()
    """Those that no check of this epoch crosses, each zone as ``cluster/zone``."""
    left_out: int = 0
    """Variants (TCP, IPv6, large packets) that the budgets leave no room for in this epoch."""
    splitting: tuple[ExtraCheck, ...] = ()
    """Further checks that would tell the parts of *classes* apart, the most telling first."""


@dataclass(frozen=True, slots=True)
class PlannedEpoch:
    """From when on a fleet was asked by which plans, and all that they can be made from again but the key."""

    since_ns: int
    """Wall time."""
    epoch: int
    seed: int
    interval_ns: int
    digest: str
    """Names what the plans ask."""
    inventory: Inventory


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """One epoch of the whole fleet."""

    epoch: int
    interval_ns: int
    plans: tuple[Plan, ...]
    legs: tuple[Legs, ...]
    coverage: Coverage

    @property
    def checks(self) -> tuple[Check, ...]:
        """All checks of all agents, plan by plan."""
        return tuple(check for plan in self.plans for check in plan.checks)
