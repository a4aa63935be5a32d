"""Delivery queue of reports to the bus: in memory while the bus accepts them, on disk while it does not.

Rules: reports are sent in order and removed only after the stream's acknowledgement; while the bus works,
nothing is written to disk; as soon as it is down, all waiting reports are written to disk first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from netprobe.errors import BusAwayError
from netprobe.model.window import Report
from netprobe_agent.spool import Spool

MAX_IN_MEMORY = 4
PAUSE_S = 0.5
"""The longest between two attempts."""
_FIRST_PAUSE = 16
"""The first pause is so much shorter: a stream that holds enough of our reports soon has room again."""


class Publisher(Protocol):
    """What the outbox needs of the bus."""

    async def publish(self, report: Report) -> None:
        """Return when the bus has stored the report; raise :class:`BusAwayError` otherwise."""


class Outbox:
    """Accepts reports without blocking, and sends them."""

    def __init__(
        self,
        spool: Spool,
        *,
        pause_s: float = PAUSE_S,
        report_state: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """*report_state* is called after each attempt with whether the bus accepted the report."""
        self._report_state = report_state
        self._spool = spool
        self._pause_s = pause_s
        self._memory: deque[Report] = deque()
        self._has_reports = asyncio.Event()
        self._is_away = False

    def __len__(self) -> int:
        """Reports that the bus has not taken."""
        return len(self._spool) + len(self._memory)

    def put(self, report: Report) -> None:
        """Add a report."""
        self._memory.append(report)
        if self._is_away or len(self._spool) or len(self._memory) > MAX_IN_MEMORY:
            self.spill()
        self._has_reports.set()

    def spill(self) -> None:
        """Move the reports in memory to disk."""
        while self._memory:
            self._spool.put(self._memory.popleft())

    async def send_forever(self, bus: Publisher) -> None:
        """Send reports until cancelled; then move those in memory to disk."""
        try:
            while True:
                await self._has_reports.wait()
                self._has_reports.clear()
                await self._send_all(bus)
        finally:
            self.spill()

    async def _send_all(self, bus: Publisher) -> None:
        pause_s = self._pause_s / _FIRST_PAUSE
        while len(self._spool) or self._memory:
            try:
                await self._send_oldest(bus)
            except BusAwayError:
                self._is_away = True
                self._report_state(False)
                self.spill()
                await asyncio.sleep(pause_s)
                pause_s = min(self._pause_s, 2 * pause_s)
            else:
                pause_s = self._pause_s / _FIRST_PAUSE
                self._is_away = False
                self._report_state(True)

    async def _send_oldest(self, bus: Publisher) -> None:
        """Remove a report only after it is stored, so that a cancellation loses nothing."""
        report = self._spool.peek()
        if report is not None:
            await bus.publish(report)
            self._spool.pop()
        elif self._memory:
            oldest = self._memory[0]
            await bus.publish(oldest)
            if self._memory and self._memory[0] is oldest:
                self._memory.popleft()
            elif len(self._spool):  # it was moved to disk meanwhile
                self._spool.pop()
