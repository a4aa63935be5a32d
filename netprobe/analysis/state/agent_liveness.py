"""Which agents report, which are silent and which are overloaded, interval by interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from netprobe.analysis.intervals.assembler import IntervalAssembler
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.model.status import AgentState, AgentStatus
from netprobe.model.window import AgentHealth

_SILENT_INTERVALS = 2
_SICK_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class LivenessView:
    """Every agent at one moment; words are made when they are asked for."""

    index: PlanIndex
    now_ns: int
    patience_ns: int
    silence: Mapping[AgentId, int]
    strain: Mapping[AgentId, int]
    latest_ns: Mapping[AgentId, int]
    health: Mapping[AgentId, AgentHealth]
    clock_offsets_ns: Mapping[AgentId, int]

    @property
    def reporting(self) -> frozenset[AgentId]:
        """The agents whose reports come."""
        return frozenset(agent for agent in self.health if not self._is_late(self._age_ns(agent)))

    def all(self) -> tuple[AgentStatus, ...]:
        """The status of every agent, in the plan's order."""
        return tuple(map(self.of, self.index.agents))

    def of(self, agent: AgentId) -> AgentStatus:
        """The status of one agent."""
        checks = len(self.index.from_agent.get(agent, ()))
        health = self.health.get(agent)
        if health is None:
            return AgentStatus(agent, AgentState.ABSENT, reason=Prose("never reported"), checks=checks)
        state, reason = self._feel(agent, health)
        return AgentStatus(
            agent=agent,
            state=state,
            last_report_ns=self.latest_ns[agent],
            reason=Prose(reason),
            checks=checks,
            loop_lag_ns=health.loop_lag_ns,
            windows_spooled=health.windows_spooled,
            windows_dropped=health.windows_dropped,
            version=health.version,
            capabilities=health.capabilities,
            disk_refuses=health.disk_refuses,
            clock_offset_ns=self.clock_offsets_ns.get(agent, 0),
        )

    def _feel(self, agent: AgentId, health: AgentHealth) -> tuple[AgentState, str]:
        age_ns = self._age_ns(agent)
        if self.silence.get(agent, 0) >= _SILENT_INTERVALS or self._is_late(age_ns):
            return AgentState.SILENT, f"last reported {age_ns / 1e9:.0f} s ago"
        if self.strain.get(agent, 0) >= _SICK_INTERVALS:
            return AgentState.SICK, f"its event loop lags {health.loop_lag_ns / 1e6:.0f} ms"
        return AgentState.ALIVE, ""

    def _age_ns(self, agent: AgentId) -> int:
        return self.now_ns - self.latest_ns[agent]

    def _is_late(self, age_ns: int) -> bool:
        return age_ns > 3 * self.index.interval_ns + self.patience_ns


@dataclass(slots=True)
class AgentLiveness:
    """Intervals in a row in which an agent was silent or strained; nothing stands there for most."""

    silence: dict[AgentId, int] = field(default_factory=dict)
    strain: dict[AgentId, int] = field(default_factory=dict)

    def replan(self, migration: PlanMigration) -> None:
        """Go on with the next plan; who left is forgotten."""
        agents = migration.after.agent_set
        self.silence = {agent: n for agent, n in self.silence.items() if agent in agents}
        self.strain = {agent: n for agent, n in self.strain.items() if agent in agents}

    def note(self, observation: IntervalObservation) -> None:
        """Take in one interval."""
        still = {agent: n for agent, n in self.silence.items() if agent not in observation.delivered}
        self.silence = dict(Counter(still) + Counter(observation.missing))
        self.strain = {agent: self.strain.get(agent, 0) + 1 for agent in observation.strained}

    def call(self, index: PlanIndex, intake: IntervalAssembler, *, now_ns: int) -> LivenessView:
        """How every agent stands now."""
        return LivenessView(
            index,
            now_ns,
            intake.patience_ns,
            self.silence,
            self.strain,
            dict(intake.latest_ns),
            dict(intake.latest_health),
            intake.clocks.offsets_ns,
        )
