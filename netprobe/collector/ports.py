"""The pure parts that the service wires, as it sees them: how to plan and who analyses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from netprobe.collector.persisted_state import PersistedState
from netprobe.model.component import Component
from netprobe.model.expected_agents import ExpectedAgents
from netprobe.model.finding import Finding
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.model.status import AgentStatus, PathStatus
from netprobe.model.window import Report


class ConclusionPort(Protocol):
    """What the analysis concludes at one moment."""

    @property
    def paths(self) -> tuple[PathStatus, ...]:
        """The state of every path."""

    @property
    def agents(self) -> tuple[AgentStatus, ...]:
        """The state of every agent."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is broken now, most certain first."""

    @property
    def past_findings(self) -> tuple[Finding, ...]:
        """What was broken since the analysis began."""


class AnalystPort(Protocol):
    """The analysis. Pure: time is an argument."""

    @property
    def rejected(self) -> Mapping[str, int]:
        """Windows that were not used, by reason."""

    @property
    def awaited(self) -> frozenset[AgentId]:
        """Agents that are said to run and have not reported for a while."""

    def expect(self, muster: ExpectedAgents) -> None:
        """Take note of who is said to run."""

    def observe(self, report: Report, *, now_ns: int) -> None:
        """Take note of a report that was stored at *now_ns* (wall time)."""

    def replan(self, inventory: Inventory, fleet: FleetPlan, *, now_ns: int) -> None:
        """Go on with other plans."""

    def narrow(self, finding: str, left: tuple[Component, ...], told: tuple[str, ...]) -> bool:
        """Take note of what further checks left of what a finding could not tell apart."""

    def conclude(self, *, now_ns: int) -> ConclusionPort:
        """Say how things stand at *now_ns*."""


@dataclass(frozen=True, slots=True)
class AnalysisPorts:
    """How to plan and who analyses."""

    plan: Callable[[Inventory, PersistedState, int], FleetPlan]
    """Inventory, state and interval in nanoseconds → the plans of the state's epoch."""
    analyst: Callable[[Inventory, FleetPlan], AnalystPort]
