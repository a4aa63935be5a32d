"""Result of planning one epoch: every agent's plan, the legs of every check, the coverage."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.check import Check, Legs, Plan
from netprobe.model.component import Component
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, ClusterName


@dataclass(frozen=True, slots=True)
class ExtraCheck:
    """A check that is not planned yet, and the information it would give."""

    source: AgentId
    target: AgentId
    bits: float
    """Expected information gain about components not told apart by then, in bits."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The components that a plan covers, misses and can tell apart."""

    components: int = 0
    covered: int = 0
    identifiable: int = 0
    """Components whose failure looks different from the failure of every other component."""
    uncovered: tuple[Component, ...] = ()
    classes: tuple[tuple[Component, ...], ...] = ()
    """Groups of two or more covered components that the checks cannot tell apart."""
    checks: int = 0
    unjoined: tuple[tuple[ClusterName, ClusterName], ...] = ()
    """Pairs of clusters without a link or transit cluster between them, which are not checked."""
    zone_pairs: int = 0
    """Ordered pairs of zones of one cluster, over all clusters."""
    zones_uncrossed: tuple[tuple[str, str], ...] = ()
    """Zone pairs that no check of this epoch crosses, each zone as ``cluster/zone``."""
    left_out: int = 0
    """Variants (TCP, IPv6, large packets) left out by the budgets in this epoch."""
    splitting: tuple[ExtraCheck, ...] = ()
    """Further checks that would tell the components of *classes* apart, most useful first."""


@dataclass(frozen=True, slots=True)
class PlannedEpoch:
    """Start of an epoch, and everything needed to make its plans again, except the key."""

    since_ns: int
    """Wall time."""
    epoch: int
    seed: int
    interval_ns: int
    digest: str
    """Digest of the plans' checks."""
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
