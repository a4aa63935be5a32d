"""Runs the analyst beside the service: reports and plans in, the latest conclusion out.

Rule: an error of the analysis is logged and counted, and never stops the service: reports must be stored even
where they cannot be analysed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from netprobe.analysis.analyst import Conclusion
from netprobe.collector.clock_watch import ClockWatch
from netprobe.collector.incident_archive import IncidentArchive
from netprobe.collector.intent_watches import IntentWatches
from netprobe.collector.ports import NewAnalyst
from netprobe.model.component import Component
from netprobe.model.expected_agents import ExpectedAgents
from netprobe.model.fabric import Claim
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.model.status import AgentState
from netprobe.wire.reports import ReportColumns, report_of

logger = logging.getLogger(__name__)


class AnalysisLoop:
    """Holds the analyst, the plans that it analyses, and its latest conclusion."""

    def __init__(
        self, new_analyst: NewAnalyst, inventory: Inventory, fleet: FleetPlan, *,
        watches: IntentWatches, incidents: IncidentArchive, clock: ClockWatch | None = None,
        concluded: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._new_analyst = new_analyst
        self._analyst = new_analyst(inventory, fleet)
        self._watches = watches
        self._concluded = concluded
        self._incidents = incidents
        self._clock = clock or ClockWatch()
        self.inventory = inventory
        self.fleet = fleet
        self.conclusion: Conclusion | None = None
        """None until the plans were analysed once."""
        self._stepped_ns = self._step_ns = 0
        """When our clock was set last, and by how much."""
        self.concluded_ns = 0
        """Wall time of :attr:`conclusion`."""
        self.errors = 0
        """Times that the analysis failed."""

    @property
    def awaited(self) -> frozenset[AgentId]:
        """Agents whose pods run and that have sent no report for a while."""
        return self._analyst.awaited

    @property
    def rejected(self) -> Mapping[str, int]:
        """Windows that the analysis did not use, by reason."""
        return self._analyst.rejected

    @property
    def alive_agents(self) -> frozenset[AgentId]:
        """Agents that answer on-demand checks now."""
        agents = self.conclusion.agents if self.conclusion is not None else ()
        return frozenset(one.agent for one in agents if one.state is AgentState.ALIVE)

    async def run(self, *, every_s: float) -> None:
        """Conclude every *every_s* seconds, and archive the incidents that have ended."""
        while True:
            self.run_analysis(now_ns=time.time_ns())
            if self.conclusion is not None:
                await self._incidents.archive((*self.conclusion.past_findings, *self._watches.ended))
            await asyncio.sleep(every_s)

    def run_analysis(self, *, now_ns: int) -> None:
        """Conclude once; if that fails, the previous conclusion is kept."""
        self._follow_clock(now_ns)
        self._watches.expire(now_ns=now_ns)
        with self._surviving("concluding"):
            self.conclusion = self._analyst.conclude(now_ns=now_ns)
            self.concluded_ns = now_ns
            self._concluded()

    def observe(self, columns: ReportColumns, *, now_ns: int, stored_ns: int | None = None) -> None:
        """Take note at *now_ns* of a report that arrived on the bus at *stored_ns*.

        What counts is when the bus had the report: a queue must not look like a clock that is behind.
        """
        self._follow_clock(now_ns)
        arrived_ns = now_ns if stored_ns is None else min(now_ns, self._on_clock_now(stored_ns))
        with self._surviving("observing a report"):
            self._analyst.observe(report_of(columns), now_ns=arrived_ns)

    def expect(self, agents: ExpectedAgents) -> None:
        """Take note of the agents that are expected to run."""
        self._analyst.expect(agents)

    def hear_claims(self, claims: tuple[Claim, ...]) -> None:
        """Take note of what fabrics claim now."""
        self._analyst.hear_claims(claims)

    def narrow(self, finding: str, left: tuple[Component, ...], answers: tuple[str, ...]) -> None:
        """Keep only the components that on-demand checks left of an ambiguous finding."""
        with self._surviving("narrowing a finding down"):
            self._analyst.narrow(finding, left, answers)

    def replan(self, inventory: Inventory, fleet: FleetPlan, *, now_ns: int) -> None:
        """Continue with other plans; an analyst that cannot is replaced by a new one."""
        self._follow_clock(now_ns)
        self.inventory, self.fleet = inventory, fleet
        try:
            self._analyst.replan(inventory, fleet, now_ns=now_ns)
        except Exception:
            self.errors += 1
            logger.exception("the analysis could not continue with the new plans and starts from nothing")
            self._analyst = self._new_analyst(inventory, fleet)
        self.conclusion = None  # it describes the checks of the plans before
        self.run_analysis(now_ns=now_ns)

    def _follow_clock(self, now_ns: int) -> None:
        """Where our own clock was set, tell everything that keeps times."""
        step_ns = self._clock.take_step()
        if not step_ns:
            return
        self._stepped_ns, self._step_ns = now_ns, step_ns
        logger.warning("this machine's clock was set by %+.1f s: every path is unknown until it is measured",
                       step_ns / 1e9)  # fmt: skip
        self._watches.step_clock(step_ns)
        with self._surviving("following the clock"):
            self._analyst.step_clock(step_ns, now_ns=now_ns)

    def _on_clock_now(self, at_ns: int) -> int:
        """*at_ns* on our clock as it is now: it may have been read before the clock was set forward."""
        return (
            at_ns + self._step_ns
            if self._step_ns > 0 and at_ns <= self._stepped_ns - self._step_ns
            else at_ns
        )

    @contextmanager
    def _surviving(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.errors += 1
            logger.exception("the analysis failed while %s", what)
