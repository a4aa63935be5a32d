"""The analyst: reports in; path states, agent states and findings out. Pure: time is an argument.

Read in this order: ``frames`` (an interval of the fleet), ``look`` (what was seen in it), ``explain`` (what
it suggests: ``health``, ``strangers``, ``network``, ``services``, put into words by ``table``), ``trust``
(which failures count), ``findings`` (what lasts), ``judge`` (path states), ``carry`` (the next plan).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from netprobe.analysis.carry import Carry
from netprobe.analysis.explain import Explainer
from netprobe.analysis.facts import Facts
from netprobe.analysis.findings import Findings
from netprobe.analysis.frames import Frame, Intake
from netprobe.analysis.judge import Judge
from netprobe.analysis.look import Look, look_at
from netprobe.analysis.trust import BESIDE_FRAMES, FORGIVEN_FRAMES, SETTLING_FRAMES, Trust
from netprobe.errors import MisuseError
from netprobe.model.finding import Cause, Finding
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.model.state import AgentState, AgentStatus, PathStatus
from netprobe.model.window import Report

_QUORUM = 0.4
"""Share of the agents alive that must deliver: when most are silent at once, the bus or we ourselves
stood still.
"""
_VOID_FRAMES = 5
"""Frames without a quorum after which it is believed all the same."""
_SILENT_FRAMES = 2
_SICK_FRAMES = 3
_LOOKS = 6


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is known now."""

    paths: tuple[PathStatus, ...]
    agents: tuple[AgentStatus, ...]
    findings: tuple[Finding, ...]
    past_findings: tuple[Finding, ...]


class Analyst:
    """Judges a fleet, one plan after the other."""

    def __init__(
        self, inventory: Inventory, fleet: FleetPlan, *, settling_frames: int = SETTLING_FRAMES
    ) -> None:
        """*settling_frames*: after how many intervals a check that never worked counts."""
        self._facts = Facts(inventory, fleet)
        self._intake = Intake(self._facts)
        self._explainer = Explainer(self._facts)
        self._trust = Trust(self._facts, settling_frames=settling_frames)
        self._judge = Judge(self._facts)
        self._findings = Findings(self._facts)
        self._looks: deque[Look] = deque(maxlen=_LOOKS)
        self._silence: Counter[AgentId] = Counter()
        self._strain: Counter[AgentId] = Counter()
        self._void = 0

    def replan(self, inventory: Inventory, fleet: FleetPlan, *, now_ns: int) -> None:
        """Go on with another plan: of the next epoch, or of a fleet that has changed.

        Whatever continues keeps its state, counters, trust and findings. What is gone vanishes without a
        finding; what is new begins as unknown. Raises `MisuseError` where the interval differs.
        """
        if fleet.interval_ns != self._facts.interval_ns:
            raise MisuseError("a plan with another interval needs another analyst")
        carry = Carry(self._facts, Facts(inventory, fleet))
        agents = frozenset(carry.after.agents)
        self._facts = carry.after
        self._intake.replan(carry)
        self._explainer.replan(carry)
        self._trust.replan(carry)
        self._judge.replan(carry)
        self._findings.replan(carry, now_ns=now_ns)
        self._looks = deque((look.carried(carry) for look in self._looks), maxlen=_LOOKS)
        self._silence = Counter({agent: n for agent, n in self._silence.items() if agent in agents})
        self._strain = Counter({agent: n for agent, n in self._strain.items() if agent in agents})

    @property
    def rejected(self) -> Mapping[str, int]:
        """Windows that were not used, by reason."""
        return dict(self._intake.rejected)

    def observe(self, report: Report, *, now_ns: int) -> None:
        """Take in one report."""
        self._intake.file(report, now_ns=now_ns)

    def conclude(self, *, now_ns: int) -> Conclusion:
        """Judge every interval that is complete by now."""
        while (frame := self._intake.close_next(now_ns=now_ns, absent=self._absent)) is not None:
            self._judge_frame(frame, now_ns=now_ns)
        sick = self._sick
        return Conclusion(
            self._judge.states(now_ns=now_ns, sick=sick),
            tuple(self._status(agent, now_ns) for agent in self._facts.agents),
            self._findings.open,
            self._findings.past,
        )

    @property
    def _absent(self) -> frozenset[AgentId]:
        """Agents nobody waits for."""
        late = self._facts.agents if self._trust.is_settled else ()
        never = frozenset(late) - self._trust.known
        return never | {agent for agent, frames in self._silence.items() if frames}

    @property
    def _sick(self) -> frozenset[AgentId]:
        named = {f.components[0].source for f in self._findings.open if f.cause is Cause.AGENT_SICK}
        return frozenset(agent for agent in self._facts.agents if str(agent) in named)

    def _judge_frame(self, frame: Frame, *, now_ns: int) -> None:
        if self._is_void(frame):
            return
        self._trust.begin(frame.health)
        look = look_at(frame, self._facts, known=self._trust.known)
        look = replace(look, slow=self._explainer.baselines.see(look))
        self._count_agents(look)
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

    def _is_void(self, frame: Frame) -> bool:
        alive = [agent for agent in self._trust.known if not self._silence[agent]]
        if len(frame.health) >= _QUORUM * len(alive) or self._void >= _VOID_FRAMES:
            self._void = 0
            return False
        self._void += 1
        return True

    def _count_agents(self, look: Look) -> None:
        for agent in look.delivered:
            self._silence[agent] = 0
        for agent in look.missing:
            self._silence[agent] += 1
        for agent in self._facts.agents:
            self._strain[agent] = self._strain[agent] + 1 if agent in look.strained else 0

    def _status(self, agent: AgentId, now_ns: int) -> AgentStatus:
        report = self._intake.latest.get(agent)
        checks = len(self._facts.from_agent.get(agent, ()))
        if report is None:
            return AgentStatus(str(agent), AgentState.ABSENT, reason="never reported", checks=checks)
        state, reason = self._feel(agent, report, now_ns)
        health = report.health
        return AgentStatus(
            agent=str(agent),
            state=state,
            last_report_ns=report.start_ns + report.length_ns,
            reason=reason,
            checks=checks,
            loop_lag_ns=health.loop_lag_ns,
            windows_spooled=health.windows_spooled,
            windows_dropped=health.windows_dropped,
            version=health.version,
        )

    def _feel(self, agent: AgentId, report: Report, now_ns: int) -> tuple[AgentState, str]:
        interval = self._facts.interval_ns
        age = now_ns - report.start_ns - report.length_ns
        if self._silence[agent] >= _SILENT_FRAMES or age > 3 * interval + self._intake.patience_ns:
            return AgentState.SILENT, f"last reported {age / 1e9:.0f} s ago"
        if self._strain[agent] >= _SICK_FRAMES:
            return AgentState.SICK, f"its event loop lags {report.health.loop_lag_ns / 1e6:.0f} ms"
        return AgentState.ALIVE, ""
