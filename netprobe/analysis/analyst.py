"""The analyst: reports in; path states, agent states and findings out. Pure: time is an argument.

Read in this order: `intervals` (reports assembled to an interval, and its counters), `diagnosis.pipeline`
(what the interval suggests: one detector per module, put into words by `diagnosis.decision_table`),
`state.eligibility` (which failures count as evidence), `findings.lifecycle` (which hypotheses become findings
and how long they last), `findings.missing_agents` (agents whose pod runs and that send no reports),
`claims.contradictions` (what fabrics say that packets deny), `state.path_state`, and `plan.migration` (the
next plan).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from netprobe.analysis.claims.contradictions import ClaimContradictions
from netprobe.analysis.diagnosis.pipeline import DiagnosisPipeline
from netprobe.analysis.findings.clocks import ClockFindings
from netprobe.analysis.findings.lifecycle import FindingLifecycle
from netprobe.analysis.findings.missing_agents import LATE_AFTER_NS, MissingAgents
from netprobe.analysis.findings.unexplained import UnexplainedLoss
from netprobe.analysis.intervals.assembler import Interval, IntervalAssembler, QuietWindows
from netprobe.analysis.intervals.observation import IntervalObservation, observe_interval
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.analysis.state.agent_liveness import AgentLiveness
from netprobe.analysis.state.eligibility import (
    BESIDE_INTERVALS,
    FORGIVEN_INTERVALS,
    SETTLING_INTERVALS,
    EvidenceEligibility,
)
from netprobe.analysis.state.path_state import PathStateMachine
from netprobe.errors import MisuseError
from netprobe.model.component import Component
from netprobe.model.expected_agents import ExpectedAgents
from netprobe.model.fabric import Claim
from netprobe.model.finding import Cause, Finding
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.model.status import AgentStatus, PathStatus
from netprobe.model.window import Report

_QUORUM = 0.4
"""Share of the living agents that must report: when most are silent at once, the bus or this process
stood still.
"""
_QUORUM_WAIT = 5
"""Intervals without a quorum after which the silence is believed."""
_KEPT_OBSERVATIONS = 6


@dataclass(frozen=True, eq=False)  # not slotted: what is not read is never put into words
class Conclusion:
    """What the analysis knows now."""

    findings: tuple[Finding, ...]
    past_findings: tuple[Finding, ...]
    _list_paths: Callable[[], tuple[PathStatus, ...]]
    _list_agents: Callable[[], tuple[AgentStatus, ...]]
    claims: tuple[Claim, ...] = ()
    """What fabrics claim, as far as their claimants still write."""

    @cached_property
    def paths(self) -> tuple[PathStatus, ...]:
        """The state of every path."""
        return self._list_paths()

    @cached_property
    def agents(self) -> tuple[AgentStatus, ...]:
        """The state of every agent."""
        return self._list_agents()


class Analyst:
    """Analyses a fleet, one plan after the other."""

    def __init__(
        self, inventory: Inventory, fleet: FleetPlan, *, settling_intervals: int = SETTLING_INTERVALS,
        late_after_ns: int = LATE_AFTER_NS,
    ) -> None:  # fmt: skip
        """*settling_intervals*: after how many intervals a check that never worked counts.

        *late_after_ns*: how long, at least, an agent whose pod runs may take to report.
        """
        self._index = PlanIndex(inventory, fleet)
        self._assembler = IntervalAssembler(self._index)
        self._pipeline = DiagnosisPipeline(self._index)
        self._trust = EvidenceEligibility(self._index, settling_intervals=settling_intervals)
        self._path_states = PathStateMachine(self._index)
        self._findings = FindingLifecycle(self._index)
        self._observations: deque[IntervalObservation] = deque(maxlen=_KEPT_OBSERVATIONS)
        self._liveness = AgentLiveness()
        self._missing = MissingAgents(late_after_ns=late_after_ns)
        self._clocks = ClockFindings()
        self._unexplained = UnexplainedLoss(self._index)
        self._claims = ClaimContradictions()
        self._without_quorum = 0

    def replan(self, inventory: Inventory, fleet: FleetPlan, *, now_ns: int) -> None:
        """Switch to another plan: the next epoch's, or that of a changed fleet.

        Checks that remain keep their state, counters, eligibility and findings. Removed checks are dropped
        without a finding; new ones begin as unknown. Raises `MisuseError` where the interval differs.
        """
        if fleet.interval_ns != self._index.interval_ns:
            raise MisuseError("a plan with another interval needs another analyst")
        migration = PlanMigration(self._index, PlanIndex(inventory, fleet))
        self._index = migration.after
        self._assembler.replan(migration)
        self._pipeline.replan(migration)
        self._trust.replan(migration)
        self._path_states.replan(migration)
        self._findings.replan(migration, now_ns=now_ns)
        self._unexplained.replan(migration)
        self._observations = deque(
            (one.carried(migration) for one in self._observations), maxlen=_KEPT_OBSERVATIONS
        )
        self._liveness.replan(migration)

    @property
    def known(self) -> frozenset[AgentId]:
        """Agents that have delivered at least once."""
        return self._trust.known

    @property
    def rejected(self) -> Mapping[str, int]:
        """Windows that were not used, by reason."""
        return dict(self._assembler.rejected)

    @property
    def awaited(self) -> frozenset[AgentId]:
        """Agents whose pod runs and that have not reported for a while: worth asking more about."""
        return self._missing.late(self._index)

    def expect(self, expected: ExpectedAgents) -> None:
        """The agents that should run, as their clusters' APIs say; one that does not report is a finding."""
        self._missing.expect(expected)

    def hear_claims(self, claims: tuple[Claim, ...]) -> None:
        """What fabrics claim now about links and routes, by our cluster names."""
        self._claims.hear(claims)

    def observe(self, report: Report, *, now_ns: int) -> None:
        """Take in one report."""
        self._assembler.file(report, now_ns=now_ns)
        self._missing.hear((report.agent,), until_ns=report.start_ns + report.length_ns)

    def step_clock(self, by_ns: int, *, now_ns: int) -> None:
        """Our own clock was set by *by_ns*, to *now_ns*: all is unknown until a whole interval was seen."""
        self._assembler.step_clock(by_ns)
        self._missing.step_clock(by_ns)
        self._path_states.forget(now_ns=now_ns)

    def observe_quiet(self, batch: QuietWindows, *, now_ns: int) -> None:
        """Take in windows of many agents at once in which every probe was answered or timed out."""
        self._assembler.file_quiet(batch, now_ns=now_ns)
        self._missing.hear(batch.health, until_ns=batch.start_ns + batch.length_ns)

    def narrow(self, finding: str, left: tuple[Component, ...], told: tuple[str, ...]) -> bool:
        """Further checks, asked on demand, left only *left* of what the open *finding* could not tell apart.

        *told* is what they said, one sentence each. False where there is no such finding any more.
        """
        return self._findings.narrow(finding, left, told)

    def conclude(self, *, now_ns: int) -> Conclusion:
        """Evaluate every interval that is complete by now."""
        while (interval := self._assembler.close_next(now_ns=now_ns, absent=self._absent)) is not None:
            self._evaluate(interval, now_ns=now_ns)
        last = self._observations[-1] if self._observations else None
        self._missing.see(self._index, last, self._findings.open, now_ns=now_ns)
        self._claims.see(self._index, last, self._findings.open, now_ns=now_ns)
        quoted = tuple(self._claims.quote(self._findings.open))
        agents = self._liveness.call(self._index, self._assembler, now_ns=now_ns)
        self._clocks.see(self._index, self._assembler.clocks.offsets_ns, agents.reporting, now_ns=now_ns)
        return Conclusion(
            self._clocks.merge((*self._missing.merge(quoted), *self._unexplained.open, *self._claims.open)),
            self._clocks.merge_past(
                (
                    *self._missing.merge_past(self._findings.past),
                    *self._unexplained.past,
                    *self._claims.past,
                )
            ),
            self._path_states.states(now_ns=now_ns, sick=self._sick).all,
            agents.all,
            self._claims.current,
        )

    @property
    def _absent(self) -> frozenset[AgentId]:
        """Agents that an interval does not wait for."""
        never = self._index.agent_set - self._trust.known if self._trust.is_settled else frozenset()
        return never | self._liveness.silence.keys()

    @property
    def _sick(self) -> frozenset[AgentId]:
        named = (f.components[0].agent for f in self._findings.open if f.cause is Cause.AGENT_SICK)
        return frozenset(agent for agent in named if agent in self._index.agent_set)

    def _evaluate(self, interval: Interval, *, now_ns: int) -> None:
        """Take in one closed interval: observe it, explain it, update findings, then path states.

        It is explained twice where open findings own troubled checks: without those checks, to find what is
        new beside them, and with them, to see whether they last.
        """
        if self._lacks_quorum(interval):
            return
        observation = self._observe(interval)
        untrusted = self._trust.ignored(observation)
        owned = self._findings.owned & observation.troubled
        context = self._pipeline.begin(observation, tuple(self._observations))
        beside = self._pipeline.explain(context, ignored=untrusted | owned)
        whole = self._pipeline.explain(context, ignored=untrusted) if owned else beside
        trouble = observation.troubled - untrusted - owned
        healing = self._findings.update(observation, beside, whole, trouble=trouble, now_ns=now_ns)
        excused = beside.excused | whole.excused | context.behind_missing | self._findings.owned
        self._unexplained.see(self._index, observation, trouble - excused - healing, now_ns=now_ns)
        self._trust.forgive(healing, intervals=FORGIVEN_INTERVALS)
        self._trust.forgive(beside.excused | whole.excused, intervals=BESIDE_INTERVALS)
        self._observations.append(observation)
        self._path_states.see(observation)

    def _observe(self, interval: Interval) -> IntervalObservation:
        """The counters of an interval, with what is slow or lossy by the baselines."""
        self._trust.begin(interval.health)
        observation = observe_interval(interval, self._index, known=self._trust.known)
        slow = self._pipeline.baselines.see(observation)
        lossy = self._pipeline.losses.see(observation)
        observation = replace(observation, slow=slow, lossy=lossy)
        self._liveness.note(observation)
        self._trust.note(observation)
        return observation

    def _lacks_quorum(self, interval: Interval) -> bool:
        """Whether most agents are silent at once: then the bus or this process stood still."""
        alive = self._trust.known.difference(self._liveness.silence)
        if len(interval.health) >= _QUORUM * len(alive) or self._without_quorum >= _QUORUM_WAIT:
            self._without_quorum = 0
            return False
        self._without_quorum += 1
        return True
