"""What the collector needs of its neighbours: how to plan, who analyses, and its side of the bus."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from netprobe.analysis.analyst import Conclusion
from netprobe.bus.collector import Delivery
from netprobe.collector.persisted_state import PersistedState
from netprobe.model.check import Plan
from netprobe.model.component import Component
from netprobe.model.expected_agents import ExpectedAgents
from netprobe.model.fabric import Claim
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.model.window import Report
from netprobe.wire.messages import Presence
from netprobe.wire.resend import ResendRequest


class AnalystPort(Protocol):
    """The analysis. Pure: time is an argument."""

    @property
    def rejected(self) -> Mapping[str, int]:
        """Windows that were not used, by reason."""

    @property
    def awaited(self) -> frozenset[AgentId]:
        """Agents whose pods run and that have sent no report for a while."""

    def expect(self, muster: ExpectedAgents) -> None:
        """Take note of the agents that are expected to run."""

    def hear_claims(self, claims: tuple[Claim, ...]) -> None:
        """Take note of what fabrics claim now."""

    def observe(self, report: Report, *, now_ns: int) -> None:
        """Take note of a report that arrived at *now_ns* (wall time)."""

    def step_clock(self, by_ns: int, *, now_ns: int) -> None:
        """The wall clock was set by *by_ns*, to *now_ns*."""

    def replan(self, inventory: Inventory, fleet: FleetPlan, *, now_ns: int) -> None:
        """Continue with other plans."""

    def narrow(self, finding: str, left: tuple[Component, ...], told: tuple[str, ...]) -> bool:
        """Keep only the components that on-demand checks left of an ambiguous finding."""

    def conclude(self, *, now_ns: int) -> Conclusion:
        """The state of paths, agents and findings at *now_ns*."""


Planner = Callable[[Inventory, PersistedState, int], FleetPlan]
"""Inventory, state and interval in nanoseconds → the plans of the state's epoch."""
NewAnalyst = Callable[[Inventory, FleetPlan], AnalystPort]
"""An analyst that has seen nothing yet."""


@dataclass(frozen=True, slots=True)
class AnalysisPorts:
    """How to plan, and how to make an analyst."""

    plan: Planner
    new_analyst: NewAnalyst
    former_plans: tuple[Planner, ...] = ()
    """How earlier builds planned, newest first: a kept epoch is judged again with its own plans."""


class ReportBus(Protocol):
    """The bus as the ingest of reports sees it."""

    async def take(self) -> tuple[Delivery, ...]:
        """The next deliveries; empty where none came in time."""

    async def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """These are stored and need not be delivered again."""

    async def ask_again(self, request: ResendRequest) -> tuple[int, ...] | None:
        """The numbers of missing reports that their agent sends again; None where it does not answer."""


class PlanBus(Protocol):
    """The bus as the publication of plans sees it."""

    async def put_plans(self, plans: Iterable[Plan]) -> None:
        """Store each agent's plan where it watches."""

    async def find_present(self, among: Collection[AgentId] | None = None) -> tuple[Presence, ...]:
        """The agents that are connected; only those *among*, where given."""
