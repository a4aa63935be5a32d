"""The collector's own proof that reports arrive: a message of its own takes the way that reports take.

Rules: a beat is published behind the reports that wait, taken like one, written to the history, and then the
analysis has to conclude. While that fails the collector is not ready. A bus that keeps no beat or gives none
back has to be restarted; a history that cannot be written does not get better by that.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import secrets
import time
from collections.abc import Iterable
from typing import Protocol

from netprobe.bus.collector import Delivery
from netprobe.bus.subjects import BEAT
from netprobe.errors import BusAwayError

LEAST_PATIENCE_S = 1.0
"""A busy machine may need as long, however short its intervals are."""

logger = logging.getLogger(__name__)


class BeatLeg(enum.Enum):
    """A part of the way."""

    BUS = "the bus does not give back what the collector tells itself"
    HISTORY = "what arrives cannot be stored"
    ANALYSIS = "the analysis does not conclude"


class BeatBus(Protocol):
    """The bus as the round trip sees it."""

    async def publish_beat(self, data: bytes, *, timeout_s: float) -> None:
        """Return when the stream has stored *data*."""


class RoundTrip:
    """Sends beats and watches them come back."""

    def __init__(self) -> None:
        self._boot = secrets.token_hex(8)
        self._number = 0
        self._taken = self._stored = self._concluded = 0
        self._arrived = asyncio.Event()
        self._broken: BeatLeg | None = None
        self._why = ""
        self._since_s: float | None = None

    @property
    def fault(self) -> str:
        """Why reports do not pass; empty where they do."""
        if self._broken is None:
            return ""
        return f"{self._broken.value}{f': {self._why}' if self._why else ''}"

    def stuck_for_s(self, now_s: float) -> float:
        """For how long the bus has kept the beats to itself; 0 where it does not."""
        is_stuck = self._broken is BeatLeg.BUS and self._since_s is not None
        return now_s - self._since_s if is_stuck and self._since_s is not None else 0.0

    def note_taken(self, deliveries: Iterable[Delivery]) -> int:
        """The newest beat among *deliveries*; 0 where none is ours and new."""
        newest = max(filter(None, map(self._number_of, deliveries)), default=0)
        self._taken = max(self._taken, newest)
        return newest

    def note_stored(self, number: int) -> None:
        """Everything up to the beat *number* is in the history."""
        self._stored = max(self._stored, number)

    def note_concluded(self) -> None:
        """The analysis has concluded."""
        if self._stored > self._concluded:
            self._concluded = self._stored
            self._arrived.set()

    def fail(self, why: str) -> None:
        """The bus cannot be used at all."""
        self._break(BeatLeg.BUS, why)

    async def run(self, bus: BeatBus, *, every_s: float) -> None:
        """Send a beat twice per interval; one that takes an interval does not arrive."""
        patience_s = max(LEAST_PATIENCE_S, every_s)
        while True:
            began_s = time.monotonic()
            await self.beat(bus, patience_s=patience_s)
            await asyncio.sleep(max(0.0, every_s / 2 - (time.monotonic() - began_s)))

    async def beat(self, bus: BeatBus, *, patience_s: float) -> None:
        """Send one beat and wait until it has passed, or for *patience_s*."""
        self._number += 1
        self._arrived.clear()
        try:
            async with asyncio.timeout(patience_s):
                await bus.publish_beat(f"{self._boot} {self._number}".encode(), timeout_s=patience_s)
                while self._concluded < self._number:
                    await self._arrived.wait()
                    self._arrived.clear()
        except BusAwayError as error:
            self._break(BeatLeg.BUS, str(error))
        except TimeoutError:
            self._break(self._find_leg(), "")
        else:
            self._mend()

    def _find_leg(self) -> BeatLeg:
        if self._taken < self._number:
            return BeatLeg.BUS if self._taken <= self._stored else BeatLeg.HISTORY
        return BeatLeg.HISTORY if self._stored < self._number else BeatLeg.ANALYSIS

    def _number_of(self, delivery: Delivery) -> int | None:
        """The number of a beat of this run; those of earlier runs say nothing."""
        boot, _, number = delivery.data.decode(errors="replace").partition(" ")
        is_ours = delivery.subject == BEAT and boot == self._boot and number.isdecimal()
        return int(number) if is_ours else None

    def _break(self, leg: BeatLeg, why: str) -> None:
        if self._broken is not leg:
            self._since_s = time.monotonic()
        was_broken, self._broken, self._why = self._broken is not None, leg, why
        if not was_broken:
            logger.warning("reports do not pass: %s", self.fault)

    def _mend(self) -> None:
        if self._broken is not None:
            logger.warning("reports pass again")
        self._broken, self._why, self._since_s = None, "", None
