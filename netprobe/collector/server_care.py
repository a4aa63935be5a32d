"""Starts our bus server again where it lives and does nothing, as after a disk that was full.

Rules: nats-server keeps a stream that could not be written closed, also when there is room again; only a new
start opens it. We wait until the bus has been stuck for a while and its volume has room, and longer from try
to try. Agents keep meanwhile what the bus does not take.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from netprobe.bus.accounts import Accounts
from netprobe.bus.server import Server
from netprobe.collector.round_trip import RoundTrip
from netprobe.errors import SystemRefusedError

ROOM_BYTES = 4 * 1024 * 1024
"""Less than this left on the volume, and a new start would end as the last one."""
STUCK_INTERVALS = 3
LEAST_STUCK_S = 3.0
MOST_PAUSE_S = 600.0

logger = logging.getLogger(__name__)


class ServerCare:
    """Watches one server."""

    def __init__(self, round_trip: RoundTrip, data: Path, *, interval_s: float) -> None:
        self._round_trip = round_trip
        self._data = data
        self._stuck_s = max(LEAST_STUCK_S, STUCK_INTERVALS * interval_s)
        self._pause_s = self._stuck_s
        self._next_s = 0.0
        self.restarts = 0
        """Since the start of the collector."""
        self.damages = 0
        """Complaints of the server about spoilt files, since the start of the collector."""

    @property
    def free_bytes(self) -> int | None:
        """Bytes left on the volume of the collector's data; None where it does not tell."""
        try:
            told = os.statvfs(self._data)
        except OSError:
            return None
        return told.f_bavail * told.f_frsize

    @property
    def shortage(self) -> str:
        """That the volume is full; empty where it is not."""
        free = self.free_bytes
        return (
            f"{free} bytes are left on the volume of {self._data}"
            if free is not None and free < ROOM_BYTES
            else ""
        )

    def note_start(self, server: Server) -> None:
        """It has started; say what it complains about."""
        self.damages += len(server.damages)
        for told in server.damages:
            logger.error("the bus server found spoilt files: %s", told)

    async def run(self, server: Server, accounts: Callable[[], Accounts], *, every_s: float) -> None:
        """Look until it is cancelled."""
        while True:
            await asyncio.sleep(every_s)
            await self.look(server, accounts, now_s=time.monotonic())

    async def look(self, server: Server, accounts: Callable[[], Accounts], *, now_s: float) -> None:
        """One look."""
        stuck_s = self._round_trip.stuck_for_s(now_s)
        if not stuck_s and now_s >= self._next_s:
            self._pause_s = self._stuck_s
        if stuck_s < self._stuck_s or now_s < self._next_s or self.shortage:
            return
        self._next_s, self._pause_s = now_s + self._pause_s, min(MOST_PAUSE_S, 2 * self._pause_s)
        self.restarts += 1
        logger.warning("nats-server is started again: %s for %.0f s", self._round_trip.fault, stuck_s)
        try:
            await server.restart(accounts())
        except SystemRefusedError as error:
            logger.warning("%s; trying again in %.0f s", error, self._pause_s)
        else:
            self.note_start(server)
