"""Answers the queries of operators on the bus: snapshots of now and of earlier, health, watched intents.

Rule: a snapshot is encoded once per conclusion, however many ask for it.
"""

from __future__ import annotations

import asyncio
import json
import time

from netprobe.analysis.analyst import Conclusion
from netprobe.bus.collector import CollectorBus
from netprobe.collector.analysis_loop import AnalysisLoop
from netprobe.collector.health_reporter import HealthReporter
from netprobe.collector.incident_archive import IncidentArchive
from netprobe.collector.intent_watches import IntentWatches
from netprobe.collector.replay import Replay
from netprobe.collector.snapshot_builder import SnapshotBuilder
from netprobe.errors import SystemRefusedError
from netprobe.store.history import History
from netprobe.wire.conclusions import decode_moment, encode_snapshot
from netprobe.wire.intent_watch import decode_watched


class QueryService:
    """One method per query; each takes and returns encoded messages."""

    def __init__(
        self, snapshots: SnapshotBuilder, health: HealthReporter, replay: Replay, history: History, *,
        analysis: AnalysisLoop, watches: IntentWatches, incidents: IncidentArchive,
    ) -> None:  # fmt: skip
        self._snapshots = snapshots
        self._health = health
        self._replay = replay
        self._replaying = asyncio.Lock()
        self._history = history
        self._analysis = analysis
        self._watches = watches
        self._incidents = incidents
        self._encoded: tuple[Conclusion | None, bytes] | None = None
        """The last snapshot that was encoded, and the conclusion that it shows."""

    async def register(self, bus: CollectorBus) -> None:
        """Answer queries that arrive on *bus*."""
        await bus.serve("snapshot", self.answer_snapshot)
        await bus.serve("moment", self.answer_moment)
        await bus.serve("watched", self.take_watched)
        await bus.serve("health", self.answer_health)

    async def answer_snapshot(self, _: bytes) -> bytes:
        """The fleet as it was concluded last."""
        if self._encoded is None or self._encoded[0] is not self._analysis.conclusion:
            counters = await asyncio.to_thread(self._history.counters)
            snapshot = self._snapshots.build(counters)
            if snapshot is None:
                raise SystemRefusedError("no analysis is available yet; retry shortly")
            self._encoded = self._analysis.conclusion, encode_snapshot(snapshot)
        return self._encoded[1]

    async def answer_moment(self, query: bytes) -> bytes:
        """The fleet as it was at an earlier time, analysed again from the history."""
        at_ns = decode_moment(query)
        known = (*self._snapshots.find_ended(), *self._snapshots.find_open())
        async with self._replaying:  # one at a time: each fills the memory with reports
            snapshot = await asyncio.to_thread(
                self._replay.snapshot_at, at_ns, now_ns=time.time_ns(), known=known
            )
            return await asyncio.to_thread(encode_snapshot, snapshot)

    async def take_watched(self, message: bytes) -> bytes:
        """Take in the deviations of a watched intent."""
        self._watches.update(decode_watched(message), now_ns=time.time_ns())
        self._encoded = None
        await self._incidents.archive(self._watches.ended)
        return b""

    async def answer_health(self, _: bytes) -> bytes:
        """The collector's own counters."""
        return json.dumps((await self._health.read_health()).flat()).encode()
