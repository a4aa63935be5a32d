"""How soon a stored report may be acknowledged. Pure: time is an argument.

Rules: the stream holds a few unacknowledged reports of each agent and refuses more. So an agent that sends
more than its allowance is acknowledged late, and from then on the bus server refuses its reports, which costs
others nothing. Within the allowance, and for the first reports after a pause, nothing is held. No
acknowledgement is held for longer than the stream waits for one: the report would be delivered again.

The allowance is a virtual schedule (the generic cell rate algorithm, ITU-T I.371 appendix I): each report
takes its agent's time, by number and by size.
"""

from __future__ import annotations

from dataclasses import replace
from heapq import heappop, heappush
from itertools import count

from netprobe.bus.collector import Delivery
from netprobe.bus.subjects import BEAT

REPORTS_PER_S = 64.0
BYTES_PER_S = 512 * 1024
"""What one agent may send for ever: the largest report every eight seconds."""
BURST_S = 2.0
"""Reports for so long may come at once: 128, or 1 MiB."""
HOLD_S = 20.0
"""The longest that an acknowledgement is held back; the stream waits for 30 s."""
_MOST_AGENTS = 10_000


class ReportAllowance:
    """Holds back the acknowledgements of agents that send more than they may."""

    def __init__(self) -> None:
        self._paid_s: dict[str, float] = {}
        """By subject, until when its reports have taken its time."""
        self._held: list[tuple[float, int, Delivery]] = []
        self._number = count()

    def hold(self, delivery: Delivery, *, now_s: float) -> bool:
        """Whether *delivery* is acknowledged later; :meth:`take_due` returns it then, without its data."""
        if delivery.subject == BEAT:
            return False
        wait_s = self._charge(delivery.subject, len(delivery.data), now_s)
        if wait_s > 0:
            heappush(self._held, (now_s + wait_s, next(self._number), replace(delivery, data=b"")))
        return wait_s > 0

    def take_due(self, *, now_s: float) -> list[Delivery]:
        """Those that need not be held any more."""
        due = []
        while self._held and self._held[0][0] <= now_s:
            due.append(heappop(self._held)[2])
        return due

    def forget_held(self) -> None:
        """Their connection is lost: the reports are delivered again, and are known."""
        self._held.clear()

    def _charge(self, subject: str, size: int, now_s: float) -> float:
        if len(self._paid_s) > _MOST_AGENTS:
            self._paid_s = {each: paid_s for each, paid_s in self._paid_s.items() if paid_s > now_s}
        cost_s = max(1.0 / REPORTS_PER_S, size / BYTES_PER_S)
        paid_s = max(self._paid_s.get(subject, now_s), now_s) + cost_s
        self._paid_s[subject] = min(paid_s, now_s + BURST_S + HOLD_S)
        return self._paid_s[subject] - BURST_S - now_s
