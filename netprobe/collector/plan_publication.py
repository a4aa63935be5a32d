"""Publishes plans on the bus: the ones in use when the bus opens, others when the rotation makes them.

Rule: plans are published after the analysis and the validation of reports know them, so no report of a new
plan is taken for an error.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import replace

from netprobe.collector.analysis_loop import AnalysisLoop
from netprobe.collector.bus_auth import BusAuth
from netprobe.collector.cluster_watchers import FleetView
from netprobe.collector.plan_rotation import PlanRotation
from netprobe.collector.ports import PlanBus
from netprobe.collector.report_ingest import ReportIngest
from netprobe.errors import HistoryAwayError
from netprobe.model.check import Plan
from netprobe.model.expected_agents import ExpectedAgents
from netprobe.model.units import SECOND_NS
from netprobe.store.history import History

_LOOK_NS, _LOOK_SELDOM_NS = 5 * SECOND_NS, 60 * SECOND_NS
"""How often we look of which build the agents are, during an upgrade and else."""
logger = logging.getLogger(__name__)


class PlanPublication:
    """Hands the plans of the rotation to the analysis, the ingest, the history and the agents."""

    def __init__(
        self, rotation: PlanRotation, view: FleetView, auth: BusAuth, *,
        analysis: AnalysisLoop, ingest: ReportIngest, history: History, bus_addresses: tuple[str, ...],
    ) -> None:  # fmt: skip
        self._rotation = rotation
        self._view = view
        self._auth = auth
        self._analysis = analysis
        self._ingest = ingest
        self._history = history
        self._bus_addresses = bus_addresses
        self._looked_ns = 0
        """Wall time at which we last looked of which build the agents are."""
        self._recorded: tuple[object, int] | None = None
        """The plans and the history file in which they are recorded."""

    async def run(self, bus: PlanBus, *, every_s: float) -> None:
        """Once per interval: refresh what is known of the fleet, and publish other plans where it changed."""
        while True:
            await asyncio.sleep(every_s)
            await self._view.refresh(bus.find_present)
            self._analysis.expect(await self._find_expected_agents(bus))
            self._analysis.hear_claims(self._view.claims())
            await asyncio.to_thread(self._rotation.tick)
            is_other = self._rotation.fleet is not self._analysis.fleet  # also by a tick whose bus was lost
            if is_other:
                self.adopt(now_ns=time.time_ns())
            has_other_keys = self._rotation.keys.advance(now_ns=time.time_ns())
            has_other_keys |= await self._note_builds(bus)
            if is_other or has_other_keys:
                await self.publish(bus)
            await self.record_epoch()

    async def publish(self, bus: PlanBus) -> None:
        """Publish the plans in use, and empty ones for agents that have left the fleet."""
        await self._note_builds(bus)
        await bus.put_plans(self._add_bus_addresses(await asyncio.to_thread(self._add_keys)))

    def adopt(self, *, now_ns: int) -> None:
        """Let the ingest and the analysis continue with the plans of the rotation."""
        self._ingest.replan(self._rotation.fleet)
        self._analysis.replan(self._rotation.inventory, self._rotation.fleet, now_ns=now_ns)

    async def record_epoch(self) -> None:
        """Write to the history which plans are asked from now on; the next call tries again what fails."""
        current = self._analysis.fleet, len(self._history.moved_aside)
        if self._recorded is not None and self._recorded[0] is current[0] and self._recorded[1] == current[1]:
            return
        try:
            await asyncio.to_thread(
                lambda: self._history.keep_epoch(self._rotation.describe_epoch(since_ns=time.time_ns()))
            )
        except HistoryAwayError as error:
            logger.debug("the plans are recorded later: %s", error)
        else:
            self._recorded = current

    def _add_keys(self) -> tuple[Plan, ...]:
        rotation, plans = self._rotation, self._analysis.fleet.plans
        return tuple(
            rotation.keys.add_to(plans, rotation.withdrawn, rotation.inventory, now_ns=time.time_ns())
        )

    async def _note_builds(self, bus: PlanBus) -> bool:
        """Look who is of which build, now and then; return whether plans with other keys must go out."""
        now_ns, keys = time.time_ns(), self._rotation.keys
        agents = [plan.agent for plan in self._analysis.fleet.plans]
        every_ns = _LOOK_NS if keys.serves_previous_build(agents, now_ns=now_ns) else _LOOK_SELDOM_NS
        if 0 <= now_ns - self._looked_ns < every_ns:
            return False
        self._looked_ns = now_ns
        return keys.note_present(await bus.find_present(), now_ns=now_ns)

    def _add_bus_addresses(self, plans: tuple[Plan, ...]) -> Iterator[Plan]:
        """*plans*; those of the cluster that we run in name the bus addresses, which agents then probe.

        Agents of other clusters connect through addresses that people configured, which need not be these.
        """
        home = self._view.home
        for plan in plans:
            yield replace(plan, bus=self._bus_addresses) if home in {None, plan.agent.cluster} else plan

    async def _find_expected_agents(self, bus: PlanBus) -> ExpectedAgents:
        """Agents that APIs report as running; of the missing ones, who was refused and who is connected."""
        awaited = self._analysis.awaited
        refused = self._auth.find_refused(awaited, now_ns=time.time_ns())
        present = await bus.find_present(awaited) if awaited else ()
        return replace(
            self._view.expected_agents(), refused=refused, present=frozenset(one.agent for one in present)
        )
