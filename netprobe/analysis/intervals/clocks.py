"""How far each agent's clock is from ours, read from when its reports arrive.

Rules: a report cannot arrive before it was made, so one that does shows a clock that is ahead, at once. A
report that arrives late shows a clock that is behind only where the delay stays the same for several reports
in a row and the agent keeps none back: a queue that drains looks different. An agent numbers its reports in
the order in which it makes them, so a later one of an earlier time shows a clock that was set back. Until an
agent has delivered a report that was not kept back, nothing is known of its clock, and what it kept may be of
any age. Times of an agent whose clock is off are moved by whole intervals onto ours, so that what it measures
still counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from msgspec import structs

from netprobe.model.names import AgentId
from netprobe.model.window import Report

STEADY_REPORTS = 3
"""Reports in a row with the same delay, before a clock is called behind.

The first two of a queue say that nothing is kept back: when they were made, it held none, or only the one
that was on its way."""
_BEHIND_NS = 5_000_000_000
_BEHIND_INTERVALS = 3
"""A delay below both is the bus's, not the clock's."""


@dataclass(slots=True)
class _AgentClock:
    offset_ns: int = 0
    """Believed: its clock minus ours; 0 where it is within tolerance."""
    lead_ns: int = 0
    """Of the reports in a row that agree: the least delayed one's."""
    reports: int = 0
    """How many agree."""
    arrived_ns: int = 0
    """When the last report that counts arrived."""
    is_known: bool = False
    """Whether any report of it was compared with our clock."""
    boot: str = ""
    sequence: int = 0
    start_ns: int = 0
    """Of the report with the greatest number, on its own clock."""

    def is_set_back(self, report: Report) -> bool:
        """Whether *report* is a later one of an earlier time; remember it."""
        is_same = report.boot == self.boot
        if is_same and report.sequence <= self.sequence:
            return False
        before_ns = self.start_ns
        self.boot, self.sequence, self.start_ns = report.boot, report.sequence, report.start_ns
        return is_same and report.start_ns + report.length_ns <= before_ns


class AgentClocks:
    """Offsets of the agents' clocks. Times are nanoseconds; *arrived_ns* is our wall time."""

    def __init__(self, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._behind_ns = max(_BEHIND_NS, _BEHIND_INTERVALS * interval_ns)
        self._clocks: dict[AgentId, _AgentClock] = {}

    @property
    def offsets_ns(self) -> Mapping[AgentId, int]:
        """By agent whose clock is off, its clock minus ours."""
        return {agent: clock.offset_ns for agent, clock in self._clocks.items() if clock.offset_ns}

    def keep(self, agents: Collection[AgentId]) -> None:
        """Forget everybody who is not one of *agents*."""
        self._clocks = {agent: clock for agent, clock in self._clocks.items() if agent in agents}

    def is_known(self, agent: AgentId) -> bool:
        """Whether the times in an agent's reports mean anything yet."""
        clock = self._clocks.get(agent)
        return clock is not None and clock.is_known

    def step(self, by_ns: int) -> None:
        """Our own clock was set by *by_ns*: everybody else's is off by as much the other way."""
        for clock in self._clocks.values():
            clock.offset_ns = self._believable(clock.offset_ns - by_ns)
            clock.lead_ns -= by_ns
            clock.arrived_ns += by_ns

    def align(self, report: Report, *, arrived_ns: int) -> Report:
        """Learn from *report*, and give it back on our clock: its times moved by whole intervals."""
        clock = self._clocks.setdefault(report.agent, _AgentClock())
        self._learn(clock, report, arrived_ns)
        by_ns = round(clock.offset_ns / self._interval_ns) * self._interval_ns
        return _move(report, -by_ns) if by_ns else report

    def _learn(self, clock: _AgentClock, report: Report, arrived_ns: int) -> None:
        lead_ns = max(report.health.at_ns, report.start_ns + report.length_ns) - arrived_ns
        if lead_ns > max(0, clock.offset_ns) + self._interval_ns:
            clock.offset_ns = lead_ns
        if clock.is_set_back(report):
            clock.offset_ns = self._believable(lead_ns)
            clock.reports = 0
        if report.health.windows_spooled > len(report.windows):
            clock.reports = 0  # a queue: its delay says nothing
            return
        if clock.reports and abs(lead_ns - clock.lead_ns) > self._interval_ns // 2:
            clock.reports = 0
        elif clock.reports and arrived_ns - clock.arrived_ns < self._interval_ns // 2:
            return  # out of a queue, one right after the other
        clock.is_known = True
        clock.lead_ns = max(lead_ns, clock.lead_ns) if clock.reports else lead_ns
        clock.reports += 1
        clock.arrived_ns = arrived_ns
        if clock.reports >= STEADY_REPORTS and abs(clock.lead_ns - clock.offset_ns) > self._interval_ns // 2:
            clock.offset_ns = self._believable(clock.lead_ns)

    def _believable(self, offset_ns: int) -> int:
        """*offset_ns*, or 0 where it may as well be the way of a report to us."""
        is_within = -self._behind_ns <= offset_ns <= self._interval_ns
        return 0 if is_within else offset_ns


def _move(report: Report, by_ns: int) -> Report:
    return replace(
        report,
        start_ns=report.start_ns + by_ns,
        windows=tuple(structs.replace(one, start_ns=one.start_ns + by_ns) for one in report.windows),
        heard=tuple(structs.replace(one, start_ns=one.start_ns + by_ns) for one in report.heard),
    )
