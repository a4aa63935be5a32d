"""Finds reports that were destroyed after their agent was told that they are stored.

Rules. Pure. An agent numbers its reports one after another, and they arrive in that order. So a number that
is left out was lost on the way: in a spoilt file of the bus, unless the agent says that its spool dropped
some. What an earlier run has stored counts; what is not known any more does not. The bus holds only a few
reports of one agent, so no agent can claim that many are gone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from netprobe.bus.collector import MAX_WAITING
from netprobe.wire.reports import ReportColumns

_MOST_BOOTS = 20_000

Lookup = Callable[[str, str], int | None]
"""Agent and boot → the greatest number that is stored of it."""


class ReportGaps:
    """Follows the numbers of each agent's reports."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], tuple[int | None, int]] = OrderedDict()
        """By agent and boot: the last number, and the windows that were dropped until then."""
        self.missing = 0
        """Reports that were destroyed, since the start."""

    def prepare(self, agent: str, boot: str, lookup: Lookup) -> None:
        """Before a report is stored: what is known of its boot."""
        if (agent, boot) not in self._last:
            self._last[agent, boot] = lookup(agent, boot), 0
            if len(self._last) > _MOST_BOOTS:
                self._last.popitem(last=False)

    def note(self, columns: ReportColumns) -> int:
        """A report was stored; how many before it are missing."""
        key, dropped = (columns.agent, columns.boot), columns.health.windows_dropped
        last, dropped_before = self._last.get(key, (None, 0))
        gap = 0 if last is None else columns.sequence - last - 1
        if last is None or columns.sequence > last:
            self._last[key] = columns.sequence, dropped
            self._last.move_to_end(key)
        if gap <= 0 or dropped > dropped_before:
            return 0
        self.missing += min(gap, MAX_WAITING)
        return min(gap, MAX_WAITING)
