"""The engine's one timer: work that can wait is done together on each tick.

Rule: waking up costs more than handling a packet, so an agent wakes once per tick for everything due: it
reads what arrived, answers requests, sends probes, and notes a late tick: then this agent stalled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from netprobe.engine.clock import Clock
from netprobe.engine.stall_tracker import StallTracker


class Ticker:
    """Calls *on_tick* every *period_ns* while it runs, and wakes all that await :meth:`next`."""

    def __init__(
        self, stalls: StallTracker, clock: Clock, on_tick: Callable[[], None], *, period_ns: int
    ) -> None:
        self._period_ns = period_ns
        self._stalls = stalls
        self._clock = clock
        self._on_tick = on_tick
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[asyncio.Future[int]] = []
        self._due_ns = 0
        self._noted_ns = 0
        """The lateness of the current tick was noted up to this time."""

    @property
    def period_ns(self) -> int:
        """From tick to tick; may be changed at any time.

        If the new period is shorter, the current tick comes earlier too: otherwise the rest of the old period
        would look like a stall.
        """
        return self._period_ns

    @period_ns.setter
    def period_ns(self, period_ns: int) -> None:
        self._period_ns = period_ns
        soon_ns = self._clock.mono_ns() + period_ns
        if self._timer and not self._timer.cancelled() and soon_ns < self._due_ns:
            self._timer.cancel()
            self._due_ns = soon_ns
            self._call_when_due()

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._due_ns = self._clock.mono_ns()
        self._plan_next(self._due_ns)

    def stop(self) -> None:
        """End; nothing is woken any more."""
        if self._timer:
            self._timer.cancel()

    def check(self) -> None:
        """Note a tick that is overdue right now, before losses are judged."""
        self._note(self._clock.mono_ns())

    async def next(self) -> int:
        """Wait for the next tick; return its monotonic time."""
        woken: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(woken)
        return await woken

    def _note(self, now_ns: int) -> None:
        """Lateness of the same tick that was noted before is not a second stall."""
        self._stalls.note(due_ns=max(self._due_ns, self._noted_ns), now_ns=now_ns)
        self._noted_ns = max(self._noted_ns, now_ns)

    def _plan_next(self, now_ns: int) -> None:
        self._due_ns = max(self._due_ns, now_ns - self._period_ns) + self._period_ns
        self._call_when_due()

    def _call_when_due(self) -> None:
        self._timer = asyncio.get_running_loop().call_at(self._due_ns / 1e9, self._tick)

    def _tick(self) -> None:
        now_ns = self._clock.mono_ns()
        self._note(now_ns)
        self._plan_next(now_ns)
        self._on_tick()
        waiting, self._waiting = self._waiting, []
        for woken in waiting:
            if not woken.done():  # its waiter may have been cancelled
                woken.set_result(now_ns)
