"""Reports from the bus into the history and the analysis.

Rules: a report is acknowledged after it is stored and before it is analysed, so that a crash loses no window
and counts none twice. While the history cannot be written, reports wait on the bus, unacknowledged; a damaged
one is replaced by an empty one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from itertools import compress

from netprobe.collector.analysis_loop import AnalysisLoop
from netprobe.collector.limited_log import LimitedLog
from netprobe.collector.ports import ReportBus
from netprobe.collector.report_validation import ReportValidator, ValidatedReports
from netprobe.errors import HistoryAwayError, HistoryDamagedError
from netprobe.logs import printable
from netprobe.model.fleet import FleetPlan
from netprobe.store.history import History, Ingested

RETRY_S = 1.0
"""Between two attempts to write to a history that refuses."""

logger = logging.getLogger(__name__)


class ReportIngest:
    """Validates, stores, acknowledges and analyses what agents report."""

    def __init__(self, fleet: FleetPlan, history: History, analysis: AnalysisLoop) -> None:
        self._validator = ReportValidator(fleet)
        self._history = history
        self._analysis = analysis
        self._rejected_before: Counter[str] = Counter()
        """By the validators of earlier plans."""
        self.fault = ""
        """Why reports cannot be stored now; empty where they can."""
        self._said = LimitedLog()
        self.last_report_ns: int | None = None
        """Wall time of the last report that was new; None where none has come since the start."""

    @property
    def rejected(self) -> Counter[str]:
        """Windows that were dropped since the start, by reason."""
        return self._rejected_before + self._validator.rejected

    def replan(self, fleet: FleetPlan) -> None:
        """From now on accept what the plans of *fleet* ask."""
        self._rejected_before += self._validator.rejected
        self._validator = ReportValidator(fleet)

    async def run(self, bus: ReportBus) -> None:
        """Take reports until the bus is lost."""
        while True:
            await self.take(bus)
            await asyncio.sleep(0)  # a long queue must not delay queries

    async def take(self, bus: ReportBus) -> None:
        """One batch of deliveries."""
        deliveries = await bus.take()
        if not deliveries:
            return
        now_ns = time.time_ns()
        validated = self._validator.admit(deliveries)
        for subject, complaint in validated.complaints:
            self._say_dropped(subject, complaint, now_ns)
        ingested = await self._store(validated)
        await bus.acknowledge(deliveries)
        for columns in compress(validated.reports, ingested.fresh):
            self._analysis.observe(columns, now_ns=now_ns)
            self.last_report_ns = now_ns

    async def _store(self, validated: ValidatedReports) -> Ingested:
        """Try until the history takes them; say so once per outage."""
        while True:
            try:
                ingested = await asyncio.to_thread(
                    self._history.ingest_columns,
                    validated.reports, rejected=validated.rejected, malformed=len(validated.complaints),
                )  # fmt: skip
            except HistoryDamagedError:
                await asyncio.to_thread(self._history.replace_damaged)
            except HistoryAwayError as error:
                if not self.fault:
                    logger.warning("%s; reports wait on the bus until it can be written", error)
                self.fault = str(error)
                await asyncio.sleep(RETRY_S)
            else:
                if self.fault:
                    logger.warning("the history can be written again")
                self.fault = ""
                return ingested

    def _say_dropped(self, subject: str, complaint: str, now_ns: int) -> None:
        """One line per agent and minute: an agent can send what is malformed as fast as it likes."""
        left_out = self._said.take(subject, now_ns=now_ns)
        if left_out is not None:
            others = f" ({left_out} more before)" if left_out else ""
            logger.warning("dropped a malformed message: %s%s", printable(complaint), others)
