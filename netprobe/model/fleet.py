"""Result of planning one epoch: every agent's plan, the legs of every check, the coverage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.check import Check, Legs, Plan
from netprobe.model.component import Component, ComponentKind
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, ClusterName
from netprobe.model.traffic import TrafficCondition


@dataclass(frozen=True, slots=True)
class ExtraCheck:
    """A check that is not planned yet, and the information it would give."""

    source: AgentId
    target: AgentId
    bits: float
    """Expected information gain about components not told apart by then, in bits."""


class GapReason(StrEnum):
    """Why a class of traffic is not told apart."""

    NOT_ASKED = "not-asked"
    """No check crosses the part with such packets."""
    NOTHING_ELSE = "nothing-else"
    """No check crosses it with other packets."""
    OTHER_CLASS = "other-class"
    """The same checks cross it with another class."""
    OTHER_DIRECTION = "other-direction"
    """The same checks are that class of the same part in the other direction, as they count no arrivals."""
    OTHER_PART = "other-part"
    """The same checks are a class of another part, or all that crosses it."""


@dataclass(frozen=True, slots=True)
class ClassGap:
    """Parts of one kind at which a class of traffic is not told apart."""

    kind: ComponentKind
    traffic: TrafficCondition
    reason: GapReason
    parts: int
    other: TrafficCondition | None = None
    """The class that looks the same there."""
    other_kind: ComponentKind | None = None
    """The kind of the parts at which something looks the same."""


@dataclass(frozen=True, slots=True)
class ClassCoverage:
    """How many classes of one attribute the checks tell apart at all parts of one kind."""

    kind: ComponentKind
    parts: int
    classes: int
    """Over all parts: the values of each attribute that has several at parts of this kind."""
    asked: int
    """Classes that some packets belong to and others do not."""
    named: int
    """Classes that differ from every other class of their part, and from all of its traffic."""
    located: int
    """Named classes that also differ from every other tunnel, gateway and node, and the classes there; not
    always from the other direction of their own part."""
    told: int
    """Located classes whose direction is known, too."""


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
    traffic: tuple[ClassCoverage, ...] = ()
    """Classes of traffic at tunnels, gateways and nodes."""
    traffic_gaps: tuple[ClassGap, ...] = ()
    """Classes that are not told apart, by kind of part; each class once."""


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
