"""The way of a report to the bus: memory while the bus takes them, disk while it does not.

Rules: reports leave in order; one leaves only after the stream's acknowledgement; while the bus is healthy
nothing is written to disk; as soon as it is away, everything that waits is on disk before anything else.
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


class Publisher(Protocol):
    """What the outbox needs of the bus."""

    async def publish(self, report: Report) -> None:
        """Return when the report is stored; :class:`BusAwayError` otherwise."""


class Outbox:
    """Takes reports without waiting, and sends them."""

    def __init__(
        self,
        spool: Spool,
        *,
        pause_s: float = PAUSE_S,
        tell: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """*tell* hears whether reports leave, each time that one has been tried."""
        self._tell = tell
        self._spool = spool
        self._pause_s = pause_s
        self._memory: deque[Report] = deque()
        self._news = asyncio.Event()
        self._is_away = False

    def put(self, report: Report) -> None:
        """Take a report."""
        self._memory.append(report)
        if self._is_away or len(self._spool) or len(self._memory) > MAX_IN_MEMORY:
            self.spill()
        self._news.set()

    def spill(self) -> None:
        """Bring everything that waits in memory to disk."""
        while self._memory:
            self._spool.put(self._memory.popleft())

    async def send_forever(self, bus: Publisher) -> None:
        """Send whatever comes, until cancelled; what is left in memory then goes to disk."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                await self._send_all(bus)
        finally:
            self.spill()

    async def _send_all(self, bus: Publisher) -> None:
        while len(self._spool) or self._memory:
            try:
                await self._send_oldest(bus)
            except BusAwayError:
                self._is_away = True
                self._tell(False)
                self.spill()
                await asyncio.sleep(self._pause_s)
            else:
                self._is_away = False
                self._tell(True)

    async def _send_oldest(self, bus: Publisher) -> None:
        """A report stays where it is until it is stored: nothing is lost when we are cancelled in between."""
        report = self._spool.peek()
        if report is not None:
            await bus.publish(report)
            self._spool.pop()
        elif self._memory:
            oldest = self._memory[0]
            await bus.publish(oldest)
            if self._memory and self._memory[0] is oldest:
                self._memory.popleft()
            elif len(self._spool):  # it was brought to disk meanwhile
                self._spool.pop()
