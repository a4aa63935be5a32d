"""The engine's heartbeat: the one timer on which everything that can wait is done together.

Rule: waking costs more than what there is to do for a packet, so an agent wakes once per tick, for all that
is due: what came is read, requests are answered, probes go out, and it is noted when the beat came late,
because then we ourselves stood still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from netprobe.engine.clock import Clock
from netprobe.engine.stall_tracker import StallTracker


class Ticker:
    """Calls *on_beat* every *period_ns* while it runs, and wakes whoever awaits :meth:`next`."""

    def __init__(
        self, stalls: StallTracker, clock: Clock, on_beat: Callable[[], None], *, period_ns: int
    ) -> None:
        self._period_ns = period_ns
        self._stalls = stalls
        self._clock = clock
        self._on_beat = on_beat
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[asyncio.Future[int]] = []
        self._due_ns = 0
        self._noted_ns = 0
        """Up to here it was noted that the beat under way is late."""

    @property
    def period_ns(self) -> int:
        """How long from beat to beat; may be changed at any time.

        A beat under way that would come later than a shorter period wants it is called earlier: who goes by
        the new period would take the rest of the old one for a stall.
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
        """End; nobody is woken any more."""
        if self._timer:
            self._timer.cancel()

    def check(self) -> None:
        """Note a beat that is overdue right now, before a verdict is drawn."""
        self._note(self._clock.mono_ns())

    async def next(self) -> int:
        """The monotonic time of the next beat, once it has come."""
        woken: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(woken)
        return await woken

    def _note(self, now_ns: int) -> None:
        """What was noted of the same beat before is not a second stall."""
        self._stalls.note(due_ns=max(self._due_ns, self._noted_ns), now_ns=now_ns)
        self._noted_ns = max(self._noted_ns, now_ns)

    def _plan_next(self, now_ns: int) -> None:
        self._due_ns = max(self._due_ns, now_ns - self._period_ns) + self._period_ns
        self._call_when_due()

    def _call_when_due(self) -> None:
        self._timer = asyncio.get_running_loop().call_at(self._due_ns / 1e9, self._beat)

    def _beat(self) -> None:
        now_ns = self._clock.mono_ns()
        self._note(now_ns)
        self._plan_next(now_ns)
        self._on_beat()
        waiting, self._waiting = self._waiting, []
        for woken in waiting:
            if not woken.done():  # who waited may have been cancelled
                woken.set_result(now_ns)
