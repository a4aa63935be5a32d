"""The analyst: reports in; path states, agent states and findings out. Pure: time is an argument.

Read in this order: ``frames`` (an interval of the fleet), ``look`` (what was seen in it), ``explain`` (what
it suggests: ``health``, ``strangers``, ``network``, ``services``, put into words by ``table``), ``trust``
(which failures count), ``findings`` (what lasts), ``arrivals`` (who is said to run and does not report),
``judge`` (path states), ``carry`` (the next plan).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from netprobe.analysis.diagnosis.pipeline import DiagnosisPipeline
from netprobe.analysis.findings.lifecycle import FindingLifecycle
from netprobe.analysis.findings.missing_agents import LATE_AFTER_NS, MissingAgents
from netprobe.analysis.intervals.assembler import Interval, IntervalAssembler, QuietWindows
from netprobe.analysis.intervals.observation import IntervalObservation, look_at
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.analysis.state.agent_liveness import AgentLiveness
from netprobe.analysis.state.eligibility import (
    BESIDE_FRAMES,
    FORGIVEN_FRAMES,
    SETTLING_FRAMES,
    EvidenceEligibility,
)
from netprobe.analysis.state.path_state import PathStateMachine
from netprobe.errors import MisuseError
from netprobe.model.component import Component
from netprobe.model.expected_agents import ExpectedAgents
from netprobe.model.finding import Cause, Finding
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.model.status import AgentStatus, PathStatus
from netprobe.model.window import Report

_QUORUM = 0.4
"""Share of the agents alive that must deliver: when most are silent at once, the bus or we ourselves
stood still.
"""
_VOID_FRAMES = 5
"""Frames without a quorum after which it is believed all the same."""
_LOOKS = 6


@dataclass(frozen=True, eq=False)  # not slotted: what nobody reads is never put into words
class Conclusion:
    """What is known now."""

    findings: tuple[Finding, ...]
    past_findings: tuple[Finding, ...]
    _list_paths: Callable[[], tuple[PathStatus, ...]]
    _list_agents: Callable[[], tuple[AgentStatus, ...]]

    @cached_property
    def paths(self) -> tuple[PathStatus, ...]:
        """The state of every path."""
        return self._list_paths()

    @cached_property
    def agents(self) -> tuple[AgentStatus, ...]:
        """The state of every agent."""
        return self._list_agents()


class Analyst:
    """Judges a fleet, one plan after the other."""

    def __init__(
        self, inventory: Inventory, fleet: FleetPlan, *, settling_frames: int = SETTLING_FRAMES,
        late_after_ns: int = LATE_AFTER_NS,
    ) -> None:  # fmt: skip
        """*settling_frames*: after how many intervals a check that never worked counts.

        *late_after_ns*: so long, at least, an agent that is said to run may take to report.
        """
        self._facts = PlanIndex(inventory, fleet)
        self._intake = IntervalAssembler(self._facts)
        self._explainer = DiagnosisPipeline(self._facts)
        self._trust = EvidenceEligibility(self._facts, settling_frames=settling_frames)
        self._judge = PathStateMachine(self._facts)
        self._findings = FindingLifecycle(self._facts)
        self._looks: deque[IntervalObservation] = deque(maxlen=_LOOKS)
        self._attendance = AgentLiveness()
        self._arrivals = MissingAgents(late_after_ns=late_after_ns)
        self._void = 0

    def replan(self, inventory: Inventory, fleet: FleetPlan, *, now_ns: int) -> None:
        """Go on with another plan: of the next epoch, or of a fleet that has changed.

        Whatever continues keeps its state, counters, trust and findings. What is gone vanishes without a
        finding; what is new begins as unknown. Raises `MisuseError` where the interval differs.
        """
        if fleet.interval_ns != self._facts.interval_ns:
            raise MisuseError("a plan with another interval needs another analyst")
        carry = PlanMigration(self._facts, PlanIndex(inventory, fleet))
        self._facts = carry.after
        self._intake.replan(carry)
        self._explainer.replan(carry)
        self._trust.replan(carry)
        self._judge.replan(carry)
        self._findings.replan(carry, now_ns=now_ns)
        self._looks = deque((look.carried(carry) for look in self._looks), maxlen=_LOOKS)
        self._attendance.replan(carry)

    @property
    def known(self) -> frozenset[AgentId]:
        """Agents that have delivered at least once."""
        return self._trust.known

    @property
    def rejected(self) -> Mapping[str, int]:
        """Windows that were not used, by reason."""
        return dict(self._intake.rejected)

    @property
    def awaited(self) -> frozenset[AgentId]:
        """Agents that are said to run and have not reported for a while: more may be known of them."""
        return self._arrivals.late(self._facts)

    def expect(self, muster: ExpectedAgents) -> None:
        """These agents are said to run; of one that is and does not report a finding is made."""
        self._arrivals.expect(muster)

    def observe(self, report: Report, *, now_ns: int) -> None:
        """Take in one report."""
        self._intake.file(report, now_ns=now_ns)
        self._arrivals.hear((report.agent,), until_ns=report.start_ns + report.length_ns)

    def observe_quiet(self, batch: QuietWindows, *, now_ns: int) -> None:
        """Take in windows of many agents at once in which nothing is odd."""
        self._intake.file_quiet(batch, now_ns=now_ns)
        self._arrivals.hear(batch.health, until_ns=batch.start_ns + batch.length_ns)

    def narrow(self, finding: str, left: tuple[Component, ...], told: tuple[str, ...]) -> bool:
        """Further checks, asked on demand, left only *left* of what the open *finding* could not tell apart.

        *told* is what they said, one sentence each. False where there is no such finding any more.
        """
        return self._findings.narrow(finding, left, told)

    def conclude(self, *, now_ns: int) -> Conclusion:
        """Judge every interval that is complete by now."""
        while (frame := self._intake.close_next(now_ns=now_ns, absent=self._absent)) is not None:
            self._judge_frame(frame, now_ns=now_ns)
        last = self._looks[-1] if self._looks else None
        self._arrivals.see(self._facts, last, self._findings.open, now_ns=now_ns)
        return Conclusion(
            self._arrivals.tell(self._findings.open),
            self._arrivals.tell_past(self._findings.past),
            self._judge.states(now_ns=now_ns, sick=self._sick).all,
            self._attendance.call(self._facts, self._intake, now_ns=now_ns).all,
        )

    @property
    def _absent(self) -> frozenset[AgentId]:
        """Agents nobody waits for."""
        never = self._facts.agent_set - self._trust.known if self._trust.is_settled else frozenset()
        return never | self._attendance.silence.keys()

    @property
    def _sick(self) -> frozenset[AgentId]:
        named = {f.components[0].agent for f in self._findings.open if f.cause is Cause.AGENT_SICK}
        return frozenset(agent for agent in named if agent in self._facts.agent_set)

    def _judge_frame(self, frame: Interval, *, now_ns: int) -> None:
        if self._is_void(frame):
            return
        self._trust.begin(frame.health)
        look = look_at(frame, self._facts, known=self._trust.known)
        slow, lossy = self._explainer.baselines.see(look), self._explainer.losses.see(look)
        look = replace(look, slow=slow, lossy=lossy)
        self._attendance.note(look)
        self._trust.note(look)
        untrusted = self._trust.ignored(look)
        owned = self._findings.owned & look.troubled
        before = list(self._looks)
        fresh = self._explainer.explain(look, before, ignored=untrusted | owned)
        whole = self._explainer.explain(look, before, ignored=untrusted) if owned else fresh
        trouble = look.troubled - untrusted - owned
        healing = self._findings.update(look, fresh, whole, trouble=trouble, now_ns=now_ns)
        self._trust.forgive(healing, frames=FORGIVEN_FRAMES)
        self._trust.forgive(fresh.excused | whole.excused, frames=BESIDE_FRAMES)
        self._looks.append(look)
        self._judge.see(look)

    def _is_void(self, frame: Interval) -> bool:
        alive = self._trust.known.difference(self._attendance.silence)
        if len(frame.health) >= _QUORUM * len(alive) or self._void >= _VOID_FRAMES:
            self._void = 0
            return False
        self._void += 1
        return True
