"""Assembles reports to intervals of the whole fleet, and closes each when it is complete or overdue.

Rule: an interval closes when every expected agent has reported, or when its waiting time ends; nothing is
evaluated before. Whatever is wrong with a report is counted with its reason, and the rest of it is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from netprobe.analysis.intervals.clocks import AgentClocks
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.model.arrays import BoolArray, IntArray
from netprobe.model.names import AgentId, CheckId
from netprobe.model.window import AgentHealth, ReceivedCount, Report, Window

_AHEAD = 3
"""Intervals that a window may lie in the future, on our clock."""
_STEPPED = "open when our clock was set"
_DEPARTED_CHECK = "check of an earlier plan"
_DEPARTED_AGENT = "agent of an earlier plan"
_BOUND = 600
"""Open intervals kept at most; older ones are closed unjudged."""


@dataclass(frozen=True, slots=True, eq=False)
class QuietWindows:
    """Windows of one interval in columns, of many agents, in which nothing is odd.

    What was asked was answered by whom it was meant for, or timed out. Row *i* of every column is one window.

    Only simulated fleets speak so. It is here because a batch is judged by the assembler's own
    rules (late, repeated, unknown), follows a new plan, and fills the arrays of an observation directly.
    """

    name: tuple[str, int]
    """Boot and sequence of the agent that counted: the same name twice is a repeat."""
    start_ns: int
    length_ns: int
    check: IntArray
    """Identifiers."""
    sent: IntArray
    """0 where a check was not asked: its row says nothing."""
    answered: IntArray
    bucket: IntArray
    """Where the round-trip times lie (`model.window.Histogram`)."""
    heard: IntArray
    """Requests that reached the responder; 0 where it counts none."""
    health: Mapping[AgentId, AgentHealth]
    """Of every agent that speaks here."""


@dataclass(frozen=True, slots=True, eq=False)
class AcceptedQuietWindows:
    """Quiet windows that were let in; *number* is that of the check."""

    number: IntArray
    sent: IntArray
    answered: IntArray
    bucket: IntArray
    heard: IntArray


@dataclass(slots=True)
class Interval:
    """What arrived of one interval."""

    start_ns: int
    length_ns: int
    windows: dict[int, Window] = field(default_factory=dict)
    """By number of the check."""
    heard: dict[int, int] = field(default_factory=dict)
    """Requests that reached the responder, by number of the check."""
    health: dict[AgentId, AgentHealth] = field(default_factory=dict)
    """Of every agent that delivered."""
    quiet: list[AcceptedQuietWindows] = field(default_factory=list)


class IntervalAssembler:
    """Checks reports and files their windows."""

    def __init__(self, index: PlanIndex) -> None:
        self.index = index
        self.rejected: Counter[str] = Counter()
        """Windows (and whole reports) not used, by reason."""
        self.latest_ns: dict[AgentId, int] = {}
        """Until when each agent's newest report speaks."""
        self.latest_health: dict[AgentId, AgentHealth] = {}
        self._quiet_names: set[tuple[str, int]] = set()
        self.clocks = AgentClocks(index.interval_ns)
        self._open: dict[int, Interval] = {}
        self._closed_ns = -1
        self._seen: dict[AgentId, set[tuple[str, int]]] = {agent: set() for agent in index.agents}
        self._departed_checks: frozenset[CheckId] = frozenset()
        self._departed_agents: frozenset[AgentId] = frozenset()

    def replan(self, migration: PlanMigration) -> None:
        """Go on with the next plan; what departed is remembered until the plan after it: its news is late."""
        self.index = migration.after
        self._departed_checks = migration.departed
        self._departed_agents = frozenset(self._seen) - frozenset(migration.after.agents)
        self._seen = {agent: self._seen.get(agent, set()) for agent in migration.after.agents}
        self.latest_ns = {agent: at for agent, at in self.latest_ns.items() if agent in self._seen}
        self.latest_health = {a: health for a, health in self.latest_health.items() if a in self._seen}
        self.clocks.keep(self._seen)
        for interval in self._open.values():
            windows = migration.keys(interval.windows)
            self.rejected[_DEPARTED_CHECK] += len(interval.windows) - len(windows)
            interval.windows, interval.heard = windows, migration.keys(interval.heard)
            interval.quiet = [_carry_filed(filed, migration) for filed in interval.quiet]
            interval.health = {
                agent: health for agent, health in interval.health.items() if agent in self._seen
            }

    def step_clock(self, by_ns: int) -> None:
        """Our own clock was set by *by_ns*: open intervals are dropped, and what was seen keeps its age."""
        for interval in self._open.values():
            self.rejected[_STEPPED] += len(interval.windows)
        self._open.clear()
        self.clocks.step(by_ns)
        if self._closed_ns >= 0:
            self._closed_ns = max(0, self._closed_ns + by_ns)
        self.latest_ns = {agent: at_ns + by_ns for agent, at_ns in self.latest_ns.items()}

    def file(self, report: Report, *, now_ns: int) -> None:
        """Take in one report, at least once delivered: a repeat is counted and dropped."""
        if not self._accept(report):
            return
        report = self.clocks.align(report, arrived_ns=now_ns)
        if not self.clocks.is_known(report.agent):
            self.rejected["of unknown age"] += max(1, len(report.windows))
            return
        if fault := self._find_future(report.start_ns, now_ns):
            self.rejected[fault] += max(1, len(report.windows))
            return
        end_ns = report.start_ns + report.length_ns
        if end_ns >= self.latest_ns.get(report.agent, 0):
            self.latest_ns[report.agent], self.latest_health[report.agent] = end_ns, report.health
        if report.start_ns <= self._closed_ns:
            self.rejected["late"] += len(report.windows)
            return
        interval = self._open.setdefault(report.start_ns, Interval(report.start_ns, report.length_ns))
        interval.health[report.agent] = report.health
        for window in report.windows:
            self._file_window(interval, report, window)
        for heard in report.heard:
            self._file_heard(report, heard)

    def file_quiet(self, batch: QuietWindows, *, now_ns: int) -> None:
        """Take in quiet windows of many agents at once; what is wrong with them is counted as ever."""
        reason = self._find_span_fault(batch.start_ns, batch.length_ns)
        reason = reason or self._find_future(batch.start_ns, now_ns)
        reason = reason or ("repeated" if batch.name in self._quiet_names else "")
        reason = reason or ("late" if batch.start_ns <= self._closed_ns else "")
        if reason:
            self.rejected[reason] += int(np.count_nonzero(batch.sent))
            return
        if len(self._quiet_names) > 10 * _BOUND:
            self._quiet_names.clear()
        self._quiet_names.add(batch.name)
        self.latest_ns.update(dict.fromkeys(batch.health, batch.start_ns + batch.length_ns))
        self.latest_health.update(batch.health)
        interval = self._open.setdefault(batch.start_ns, Interval(batch.start_ns, batch.length_ns))
        interval.health.update(batch.health)
        interval.quiet.append(self._sift(batch))

    def _sift(self, batch: QuietWindows) -> AcceptedQuietWindows:
        """The rows that can be used, each with the number of its check."""
        number, is_known = self._find_numbers(batch.check)
        is_sane = (np.minimum(batch.sent, batch.answered) >= 0) & (batch.heard >= 0)
        is_whole = batch.answered <= batch.sent
        self._reject("unknown check", ~is_known)
        self._reject("negative count", is_known & ~is_sane)
        self._reject("more outcomes than probes", is_known & is_sane & ~is_whole)
        kept = np.flatnonzero(is_known & is_sane & is_whole & (batch.sent > 0))
        columns = (batch.sent, batch.answered, batch.bucket, batch.heard)
        return AcceptedQuietWindows(number[kept], *(column[kept] for column in columns))

    def _find_numbers(self, ids: IntArray) -> tuple[IntArray, BoolArray]:
        """The number of each check, and whether there is one at all."""
        ours = self.index.ids_array
        if np.array_equal(ids, ours):
            return np.arange(len(ours)), np.ones(len(ours), np.bool_)
        order = np.argsort(ours)
        place = np.minimum(np.searchsorted(ours[order], ids), len(ours) - 1)
        return order[place], ours[order[place]] == ids

    def _reject(self, reason: str, rows: BoolArray) -> None:
        if rows.any():
            self.rejected[reason] += int(np.count_nonzero(rows))

    def _accept(self, report: Report) -> bool:
        reason = self._find_fault(report)
        if reason:
            self.rejected[reason] += max(1, len(report.windows))
        return not reason

    def _find_fault(self, report: Report) -> str:
        if report.agent not in self._seen:
            return _DEPARTED_AGENT if report.agent in self._departed_agents else "unknown agent"
        if fault := self._find_span_fault(report.start_ns, report.length_ns):
            return fault
        name = (report.boot, report.sequence)
        if name in self._seen[report.agent]:
            return "repeated"
        if len(self._seen[report.agent]) > 10 * _BOUND:
            self._seen[report.agent].clear()
        self._seen[report.agent].add(name)
        return ""

    def _find_span_fault(self, start_ns: int, length_ns: int) -> str:
        interval = self.index.interval_ns
        is_ours = length_ns == interval and start_ns >= 0 and start_ns % interval == 0
        return "" if is_ours else "not an interval of this plan"

    def _find_future(self, start_ns: int, now_ns: int) -> str:
        return "from the future" if start_ns > now_ns + _AHEAD * self.index.interval_ns else ""

    def _file_window(self, interval: Interval, report: Report, window: Window) -> None:
        index = self.index.by_id.get(window.check)
        reason = _find_window_fault(window, report)
        if index is None:
            reason = self._name_unknown(window.check)
        elif index.source != report.agent:
            reason = "check of another agent"
        if reason or index is None:
            self.rejected[reason] += 1
        else:
            interval.windows[index.number] = window

    def _file_heard(self, report: Report, heard: ReceivedCount) -> None:
        """Responders may tell of earlier intervals. What an impostor heard is not the far end's to count."""
        index = self.index.by_id.get(heard.check)
        if index is None or heard.received < 0:
            self.rejected[self._name_unknown(heard.check) if index is None else "negative count"] += 1
        elif index.asked is None or index.asked == report.agent:
            at = self._open.get(heard.start_ns)
            if at is not None:
                at.heard[index.number] = at.heard.get(index.number, 0) + heard.received

    def _name_unknown(self, check: CheckId) -> str:
        return _DEPARTED_CHECK if check in self._departed_checks else "unknown check"

    def close_next(self, *, now_ns: int, absent: frozenset[AgentId]) -> Interval | None:
        """Close and return the oldest interval if it is complete; *absent* agents are not waited for."""
        if not self._open:
            return None
        start_ns = min(self._open)
        interval = self._open[start_ns]
        if not self._is_complete(interval, now_ns=now_ns, absent=absent) and len(self._open) <= _BOUND:
            return None
        self._closed_ns = start_ns
        return self._open.pop(start_ns)

    def _is_complete(self, interval: Interval, *, now_ns: int, absent: frozenset[AgentId]) -> bool:
        waited = now_ns - interval.start_ns - interval.length_ns
        if waited >= self.patience_ns:
            return True
        return absent.issuperset(self.index.agent_set.difference(interval.health))

    @property
    def patience_ns(self) -> int:
        """How long after its end an interval waits for reports: the last time-out, and time to travel."""
        return self.index.patience_ns + 800_000_000 + self.index.interval_ns // 10


def _carry_filed(filed: AcceptedQuietWindows, migration: PlanMigration) -> AcceptedQuietWindows:
    old, new = migration.arrays
    number = np.full(len(migration.before.checks), -1, np.int64)
    number[old] = new
    kept = np.flatnonzero(number[filed.number] >= 0)
    columns = (filed.sent, filed.answered, filed.bucket, filed.heard)
    return AcceptedQuietWindows(number[filed.number[kept]], *(column[kept] for column in columns))


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
