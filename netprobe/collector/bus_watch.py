"""Looks after the bus while it is served: what is gone is restored, and what the bus refuses is said.

Rule: while reports cannot be taken the collector is not ready. It goes on, because agents keep what the bus
does not take.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from netprobe.collector.readiness import Readiness
from netprobe.errors import BusAwayError, SystemRefusedError

MOST_PAUSE_S = 5.0
"""Between two looks, at most."""

logger = logging.getLogger(__name__)


class WatchedBus(Protocol):
    """The bus as its watch sees it."""

    @property
    def refusal(self) -> str:
        """Why reports cannot be taken; empty where they can."""

    async def find_missing(self) -> tuple[str, ...]:
        """Streams, buckets and consumers that should be there and are not."""

    async def prepare(self) -> None:
        """Make what is missing."""


class BusWatch:
    """Watches one bus connection after the other."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._said = ""
        self.restored = 0
        """How often something was gone and restored."""

    async def run(self, bus: WatchedBus, restore: Callable[[], Awaitable[None]], *, every_s: float) -> None:
        """Look until the bus is lost; *restore* brings back the plans where the bucket is new."""
        while True:
            await self.look(bus, restore)
            await asyncio.sleep(min(every_s, MOST_PAUSE_S))

    async def look(self, bus: WatchedBus, restore: Callable[[], Awaitable[None]]) -> None:
        """One look."""
        try:
            missing = await bus.find_missing()
            if missing:
                self._say(f"gone from the bus: {', '.join(missing)}")
                await bus.prepare()
                await restore()
                self.restored += 1
                logger.warning("restored on the bus: %s", ", ".join(missing))
        except BusAwayError:
            raise
        except SystemRefusedError as error:
            self._say(str(error))
        else:
            self._say(bus.refusal)

    def _say(self, why: str) -> None:
        self._readiness.hinder(why)
        if why and why != self._said:
            logger.warning("reports cannot be taken: %s", why)
        if self._said and not why:
            logger.info("reports can be taken again")
        self._said = why
