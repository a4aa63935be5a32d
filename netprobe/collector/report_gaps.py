"""Finds reports that were destroyed after the bus had taken them, and follows their way back.

Rules. Pure; times are seconds of the monotonic clock. An agent numbers its reports one after another, and
they arrive in that order. So a number that is left out was lost on the way: in a spoilt file of the bus,
unless the agent says that its spool dropped some. The agent still has what it sent last and is asked for it.
A report is destroyed once its agent has it no more, or has not sent it again within `PATIENCE_S`. What an
earlier run of the collector has stored counts; what that run found missing is asked for again, and not
counted twice. The bus holds only a few reports of one agent, so no agent can claim that many are gone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from netprobe.bus.collector import MAX_WAITING
from netprobe.wire.reports import ReportColumns

PATIENCE_S = 60.0
MOST_OPEN = 4 * MAX_WAITING
"""Reports of one run of an agent that are waited for at a time."""
_MOST_BOOTS = 20_000

Lookup = Callable[[str, str], Collection[int]]
"""Agent and boot → the greatest numbers that are stored of it."""


@dataclass(slots=True)
class ReportGap:
    """Reports that are missing of one run of an agent."""

    agent: str
    boot: str
    numbers: set[int]
    deadline_s: float
    counted: set[int] = field(default_factory=set)
    """Those that an earlier run of the collector found missing."""
    is_promised: bool = False
    """Whether the agent said that it sends them again."""


class ReportGaps:
    """Follows the numbers of each agent's reports."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], tuple[int | None, int]] = OrderedDict()
        """By agent and boot: the last number, and the windows that were dropped until then."""
        self._open: dict[tuple[str, str], ReportGap] = {}
        self.destroyed = 0
        """Reports that are gone, since the start."""
        self.recovered = 0
        """Reports that were missing and that their agent sent again, since the start."""

    @property
    def missing(self) -> int:
        """Reports that are waited for now."""
        return sum(len(gap.numbers) for gap in self._open.values())

    @property
    def unasked(self) -> tuple[ReportGap, ...]:
        """Gaps whose agent has not answered yet."""
        return tuple(gap for gap in self._open.values() if not gap.is_promised)

    def prepare(self, agent: str, boot: str, lookup: Lookup, *, now_s: float) -> None:
        """Before a report is stored: what is known of its boot."""
        key = agent, boot
        if key in self._last:
            return
        stored = set(lookup(agent, boot))
        newest = max(stored, default=0)
        self._last[key] = max(stored, default=None), 0
        if len(self._last) > _MOST_BOOTS:
            self._open.pop(self._last.popitem(last=False)[0], None)
        oldest = max(min(stored, default=0), newest - MOST_OPEN)  # numbers are the agent's word
        if left_out := set(range(oldest, newest)) - stored:
            self._expect(key, left_out, counted=left_out, now_s=now_s)

    def note(self, columns: ReportColumns, *, now_s: float) -> int:
        """A report was stored; how many before it are missing."""
        key, dropped = (columns.agent, columns.boot), columns.health.windows_dropped
        if self._came_again(key, columns.sequence):
            return 0
        last, dropped_before = self._last.get(key, (None, 0))
        gap = 0 if last is None else columns.sequence - last - 1
        if last is None or columns.sequence > last:
            self._last[key] = columns.sequence, dropped
            self._last.move_to_end(key)
        if gap <= 0 or dropped > dropped_before:
            return 0
        missing = min(gap, MAX_WAITING)
        self._expect(key, set(range(columns.sequence - missing, columns.sequence)), now_s=now_s)
        return missing

    def settle(self, gap: ReportGap, *, asked: Collection[int], sent: Collection[int]) -> int:
        """The agent of *gap* was *asked* for some of it and sends *sent* again; how many are gone for good.

        Meanwhile some may have come, and others may be missing.
        """
        gone = gap.numbers.intersection(asked).difference(sent)
        gap.numbers -= gone
        gap.is_promised = gap.numbers.issubset(asked)
        return self._count(gap, gone)

    def expire(self, *, now_s: float) -> dict[str, int]:
        """By agent, how many reports did not come again in time."""
        late = [gap for gap in self._open.values() if now_s >= gap.deadline_s]
        gone: dict[str, int] = {}
        for gap in late:
            numbers, gap.numbers = gap.numbers, set()
            gone[gap.agent] = gone.get(gap.agent, 0) + self._count(gap, numbers)
        return {agent: count for agent, count in gone.items() if count}

    def _expect(
        self, key: tuple[str, str], numbers: set[int], *, now_s: float, counted: Collection[int] = ()
    ) -> None:
        gap = self._open.setdefault(key, ReportGap(*key, set(), now_s))
        gap.numbers = set(sorted(gap.numbers | numbers)[-MOST_OPEN:])
        gap.counted = gap.numbers.intersection(gap.counted.union(counted))
        gap.deadline_s, gap.is_promised = now_s + PATIENCE_S, False

    def _came_again(self, key: tuple[str, str], number: int) -> bool:
        gap = self._open.get(key)
        if gap is None or number not in gap.numbers:
            return False
        gap.numbers.discard(number)
        self.recovered += 1
        if not gap.numbers:
            del self._open[key]
        return True

    def _count(self, gap: ReportGap, gone: set[int]) -> int:
        if not gap.numbers and self._open.get((gap.agent, gap.boot)) is gap:
            del self._open[gap.agent, gap.boot]
        new = len(gone - gap.counted)
        self.destroyed += new
        return new
