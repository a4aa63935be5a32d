"""What the collector reports about itself: health for operators, metrics for Prometheus."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress

from netprobe import __version__
from netprobe.collector.analysis_loop import AnalysisLoop
from netprobe.collector.bus_auth import BusAuth
from netprobe.collector.plan_rotation import PlanRotation
from netprobe.collector.report_ingest import ReportIngest
from netprobe.collector.round_trip import RoundTrip
from netprobe.collector.server_care import ServerCare
from netprobe.collector.snapshot_builder import SnapshotBuilder
from netprobe.errors import HistoryAwayError
from netprobe.model.collector_health import CollectorHealth
from netprobe.model.snapshot import Counters
from netprobe.store.history import History


class HealthReporter:
    """Reads the parts of the collector; changes none."""

    def __init__(
        self, rotation: PlanRotation, auth: BusAuth, history: History, *,
        analysis: AnalysisLoop, ingest: ReportIngest, snapshots: SnapshotBuilder, round_trip: RoundTrip,
        care: ServerCare,
    ) -> None:  # fmt: skip
        self._rotation = rotation
        self._auth = auth
        self._history = history
        self._analysis = analysis
        self._ingest = ingest
        self._snapshots = snapshots
        self._round_trip = round_trip
        self._care = care
        self._started_ns = time.time_ns()
        self._counters = Counters()

    async def read_health(self) -> CollectorHealth:
        """The collector's own counters now."""
        return CollectorHealth(
            version=__version__,
            pid=os.getpid(),
            started_ns=self._started_ns,
            epoch=self._analysis.fleet.epoch,
            interval_ns=self._analysis.fleet.interval_ns,
            agents_planned=len(self._analysis.fleet.plans),
            last_report_ns=self._ingest.last_report_ns,
            analysis_errors=self._analysis.errors,
            inventories_refused=self._rotation.refused,
            windows_rejected_by_reason=dict(sorted(self._snapshots.rejected.items())),
            counters=await self._read_counters(),
            history_fault=self._ingest.fault,
            histories_replaced=len(self._history.moved_aside),
            auth=self._auth.stats(),
            round_trip_fault=self._round_trip.fault,
            bus_restarts=self._care.restarts,
            stream_damages=self._care.damages,
            reports_missing=self._ingest.gaps.missing,
            reports_destroyed=self._ingest.gaps.destroyed,
            reports_sent_again=self._ingest.gaps.recovered,
            volume_free_bytes=self._care.free_bytes,
        )

    async def _read_counters(self) -> Counters:
        """The history's, or those that were read last while it cannot be read."""
        with suppress(HistoryAwayError):
            self._counters = await asyncio.to_thread(self._history.counters)
        return self._counters

    async def encode_metrics(self, accept: str) -> tuple[bytes, str]:
        """Metrics in a format that a client accepts: body and content type."""
        from netprobe.render.documents.prometheus import encode_metrics  # noqa: PLC0415 - only where metrics are on

        health = await self.read_health()
        snapshot = self._snapshots.build(health.counters)
        return await asyncio.to_thread(encode_metrics, snapshot, health, accept=accept)
