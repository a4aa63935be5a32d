"""Reports filed by interval until an interval is complete enough to be judged.

Rule: a frame is one interval of the whole fleet. It closes when every agent that is expected has delivered,
or when patience ends; nothing is judged before. Whatever is wrong with a report is counted with its reason,
and the rest of it is used.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from netprobe.analysis.carry import Carry
from netprobe.analysis.facts import Facts
from netprobe.model.names import AgentId, CheckId
from netprobe.model.window import AgentHealth, Heard, Report, Window

_AHEAD = 3
"""Intervals a window may lie in the future before its clock is not believed."""
_DEPARTED_CHECK = "check of an earlier plan"
_DEPARTED_AGENT = "agent of an earlier plan"
_BOUND = 600
"""Open frames kept at most; older ones are closed unjudged."""


@dataclass(slots=True)
class Frame:
    """What arrived of one interval."""

    start_ns: int
    length_ns: int
    windows: dict[int, Window] = field(default_factory=dict)
    """By number of the check."""
    heard: dict[int, int] = field(default_factory=dict)
    """Requests that reached the responder, by number of the check."""
    health: dict[AgentId, AgentHealth] = field(default_factory=dict)
    """Of every agent that delivered."""


class Intake:
    """Checks reports and files their windows."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.rejected: Counter[str] = Counter()
        """Windows (and whole reports) not used, by reason."""
        self.latest: dict[AgentId, Report] = {}
        self._open: dict[int, Frame] = {}
        self._closed_ns = -1
        self._seen: dict[AgentId, set[tuple[str, int]]] = {agent: set() for agent in facts.agents}
        self._departed_checks: frozenset[CheckId] = frozenset()
        self._departed_agents: frozenset[AgentId] = frozenset()

    def replan(self, carry: Carry) -> None:
        """Go on with the next plan; what departed is remembered until the plan after it: its news is late."""
        self.facts = carry.after
        self._departed_checks = carry.departed
        self._departed_agents = frozenset(self._seen) - frozenset(carry.after.agents)
        self._seen = {agent: self._seen.get(agent, set()) for agent in carry.after.agents}
        self.latest = {agent: report for agent, report in self.latest.items() if agent in self._seen}
        for frame in self._open.values():
            windows = carry.keys(frame.windows)
            self.rejected[_DEPARTED_CHECK] += len(frame.windows) - len(windows)
            frame.windows, frame.heard = windows, carry.keys(frame.heard)
            frame.health = {agent: health for agent, health in frame.health.items() if agent in self._seen}

    def file(self, report: Report, *, now_ns: int) -> None:
        """Take in one report, at least once delivered: a repeat is counted and dropped."""
        if not self._accept(report, now_ns):
            return
        latest = self.latest.get(report.agent)
        if latest is None or report.start_ns >= latest.start_ns:
            self.latest[report.agent] = report
        if report.start_ns <= self._closed_ns:
            self.rejected["late"] += len(report.windows)
            return
        frame = self._open.setdefault(report.start_ns, Frame(report.start_ns, report.length_ns))
        frame.health[report.agent] = report.health
        for window in report.windows:
            self._file_window(frame, report, window)
        for heard in report.heard:
            self._file_heard(report, heard)

    def _accept(self, report: Report, now_ns: int) -> bool:
        reason = self._find_fault(report, now_ns)
        if reason:
            self.rejected[reason] += max(1, len(report.windows))
        return not reason

    def _find_fault(self, report: Report, now_ns: int) -> str:
        interval = self.facts.interval_ns
        if report.agent not in self._seen:
            return _DEPARTED_AGENT if report.agent in self._departed_agents else "unknown agent"
        if report.length_ns != interval or report.start_ns < 0 or report.start_ns % interval:
            return "not an interval of this plan"
        if report.start_ns > now_ns + _AHEAD * interval:
            return "from the future"
        name = (report.boot, report.sequence)
        if name in self._seen[report.agent]:
            return "repeated"
        if len(self._seen[report.agent]) > 10 * _BOUND:
            self._seen[report.agent].clear()
        self._seen[report.agent].add(name)
        return ""

    def _file_window(self, frame: Frame, report: Report, window: Window) -> None:
        facts = self.facts.by_id.get(window.check)
        reason = _find_window_fault(window, report)
        if facts is None:
            reason = self._name_unknown(window.check)
        elif facts.source != report.agent:
            reason = "check of another agent"
        if reason or facts is None:
            self.rejected[reason] += 1
        else:
            frame.windows[facts.number] = window

    def _file_heard(self, report: Report, heard: Heard) -> None:
        """Responders may tell of earlier intervals. What an impostor heard is not the far end's to count."""
        facts = self.facts.by_id.get(heard.check)
        if facts is None or heard.received < 0:
            self.rejected[self._name_unknown(heard.check) if facts is None else "negative count"] += 1
        elif facts.asked is None or facts.asked == report.agent:
            at = self._open.get(heard.start_ns)
            if at is not None:
                at.heard[facts.number] = at.heard.get(facts.number, 0) + heard.received

    def _name_unknown(self, check: CheckId) -> str:
        return _DEPARTED_CHECK if check in self._departed_checks else "unknown check"

    def close_next(self, *, now_ns: int, absent: frozenset[AgentId]) -> Frame | None:
        """Close and return the oldest frame if it is complete; *absent* agents are not waited for."""
        if not self._open:
            return None
        start_ns = min(self._open)
        frame = self._open[start_ns]
        if not self._is_complete(frame, now_ns=now_ns, absent=absent) and len(self._open) <= _BOUND:
            return None
        self._closed_ns = start_ns
        return self._open.pop(start_ns)

    def _is_complete(self, frame: Frame, *, now_ns: int, absent: frozenset[AgentId]) -> bool:
        waited = now_ns - frame.start_ns - frame.length_ns
        if waited >= self.patience_ns:
            return True
        return all(agent in frame.health or agent in absent for agent in self.facts.agents)

    @property
    def patience_ns(self) -> int:
        """How long after its end a frame waits for reports: the last time-out, and time to travel."""
        return self.facts.patience_ns + 800_000_000 + self.facts.interval_ns // 10


def _find_window_fault(window: Window, report: Report) -> str:
    if window.start_ns != report.start_ns or window.length_ns != report.length_ns:
        return "window outside its report"
    counts = (
        window.sent,
        window.answered,
        window.lost_out,
        window.lost_back,
        *dict(window.outcomes).values(),
    )
    if min(counts) < 0:
        return "negative count"
    if sum(count for _, count in window.outcomes) > window.sent or window.answered > window.sent:
        return "more outcomes than probes"
    return ""
