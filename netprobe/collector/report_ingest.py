"""Reports from the bus into the history and the analysis.

Rules: a report is acknowledged after it is stored and before it is analysed, so that a crash loses no window
and counts none twice. While the history cannot be written, reports wait on the bus, unacknowledged; a damaged
one is replaced by an empty one. An agent that sends much waits for its own reports, and not others for it:
each agent's first report of a batch is stored before the rest, large ones come last, and who sends more than
its allowance is acknowledged late (`report_allowance`). What the bus lost is asked for at its agent, which
keeps the last ones (`report_gaps`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import compress
from typing import TypeVar

from netprobe.bus.collector import Delivery
from netprobe.bus.subjects import BEAT, windows_subject
from netprobe.collector.analysis_loop import AnalysisLoop
from netprobe.collector.limited_log import LimitedLog
from netprobe.collector.ports import ReportBus
from netprobe.collector.report_allowance import ReportAllowance
from netprobe.collector.report_gaps import MOST_OPEN, ReportGap, ReportGaps
from netprobe.collector.report_validation import ReportValidator, ValidatedReports
from netprobe.collector.round_trip import RoundTrip
from netprobe.errors import HistoryAwayError, HistoryDamagedError
from netprobe.logs import printable
from netprobe.model.fleet import FleetPlan
from netprobe.model.names import AgentId
from netprobe.model.units import HOUR_NS
from netprobe.store.history import History, Ingested
from netprobe.tasks import run_until_first
from netprobe.wire.resend import ResendRequest

RETRY_S = 1.0
"""Between two attempts to write to a history that refuses."""
LARGE_BYTES = 256 * 1024
"""A report above this waits for the smaller ones of its batch."""
HELD_LOOK_S = 0.25
"""Between two looks for acknowledgements that were held back."""
GAPS_LOOK_S = 0.5
"""Between two looks for reports that are missing."""
GAPS_AT_ONCE = 64
"""Agents that are asked at a time."""

T = TypeVar("T")
logger = logging.getLogger(__name__)


class ReportIngest:
    """Validates, stores, acknowledges and analyses what agents report."""

    def __init__(
        self, fleet: FleetPlan, history: History, analysis: AnalysisLoop, round_trip: RoundTrip
    ) -> None:
        self._validator = ReportValidator(fleet)
        self._history = history
        self._analysis = analysis
        self._round_trip = round_trip
        self.gaps = ReportGaps()
        self._allowance = ReportAllowance()
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
        self._allowance.forget_held()
        await run_until_first(self._take_forever(bus), self._acknowledge_held(bus), self._close_gaps(bus))

    async def _take_forever(self, bus: ReportBus) -> None:
        while True:
            await self.take(bus)
            await asyncio.sleep(0)  # a long queue must not delay queries

    async def _acknowledge_held(self, bus: ReportBus) -> None:
        while True:
            await asyncio.sleep(HELD_LOOK_S)
            await bus.acknowledge(self._allowance.take_due(now_s=time.monotonic()))

    async def _close_gaps(self, bus: ReportBus) -> None:
        while True:
            await asyncio.sleep(GAPS_LOOK_S)
            await self.close_gaps(bus)

    async def close_gaps(self, bus: ReportBus) -> None:
        """Ask agents for reports that are missing; say which are gone for good."""
        gaps = self.gaps.unasked[:GAPS_AT_ONCE]
        asked = [frozenset(gap.numbers) for gap in gaps]
        answers = await asyncio.gather(*(bus.ask_again(_request_of(gap)) for gap in gaps))
        for gap, numbers, sent in zip(gaps, asked, answers, strict=True):
            if sent is not None:
                self._say_destroyed(gap.agent, self.gaps.settle(gap, asked=numbers, sent=sent))
        for agent, gone in self.gaps.expire(now_s=time.monotonic()).items():
            self._say_destroyed(agent, gone)

    async def take(self, bus: ReportBus) -> None:
        """One batch of deliveries."""
        deliveries = await bus.take()
        if not deliveries:
            return
        beat = self._round_trip.note_taken(deliveries)
        for turn in take_turns(one for one in deliveries if one.subject != BEAT):
            await self._pass_on(turn)
        if beat:
            await self._patiently(self._history.prove_writable)
            self._round_trip.note_stored(beat)
        await bus.acknowledge([one for one in deliveries if not self._hold(one)])

    def _hold(self, delivery: Delivery) -> bool:
        """Whether this report, which is stored, is acknowledged later: its agent sends more than it may."""
        is_held = self._allowance.hold(delivery, now_s=time.monotonic())
        if is_held:
            told = "its agent sends more than it may, and the bus refuses some"
            self._say_of_sender(delivery.subject, f"{delivery.subject}: {told}", time.time_ns())
        return is_held

    async def _pass_on(self, deliveries: tuple[Delivery, ...]) -> None:
        now_ns = time.time_ns()
        validated = await asyncio.to_thread(self._validator.admit, deliveries)
        for subject, complaint in validated.complaints:
            self._say_of_sender(subject, f"dropped a malformed message: {complaint}", now_ns)
        ingested = await self._patiently(partial(self._write, validated))
        arrived = compress(zip(validated.reports, validated.stored_ns, strict=True), ingested.fresh)
        for columns, stored_ns in arrived:
            self.gaps.note(columns, now_s=time.monotonic())
            self._analysis.observe(columns, now_ns=time.time_ns(), stored_ns=stored_ns)
            self.last_report_ns = time.time_ns()

    async def _patiently(self, write: Callable[[], T]) -> T:
        """Try until the history takes them; say so once per outage."""
        while True:
            try:
                written = await asyncio.to_thread(write)
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
                return written

    def _write(self, validated: ValidatedReports) -> Ingested:
        lookup = partial(self._history.newest_sequences, most=MOST_OPEN + 1)
        for columns in validated.reports:
            self.gaps.prepare(columns.agent, columns.boot, lookup, now_s=time.monotonic())
        return self._history.ingest_columns(
            validated.reports,
            rejected=validated.rejected,
            malformed=len(validated.complaints),
            not_after_ns=time.time_ns() + 24 * HOUR_NS,
        )

    def _say_of_sender(self, subject: str, complaint: str, now_ns: int) -> None:
        """One line per agent and minute: an agent can send what is wrong as fast as it likes."""
        left_out = self._said.take(subject, now_ns=now_ns)
        if left_out is not None:
            others = f" ({left_out} more before)" if left_out else ""
            logger.warning("%s%s", printable(complaint), others)

    def _say_destroyed(self, agent: str, gone: int) -> None:
        subject = windows_subject(AgentId.parse(agent))
        if gone and self._said.take(subject, now_ns=time.time_ns()) is not None:
            told = "%d reports of %s were destroyed on the bus, and it has them no more"
            logger.error(told, gone, agent)


def _request_of(gap: ReportGap) -> ResendRequest:
    return ResendRequest(AgentId.parse(gap.agent), gap.boot, min(gap.numbers), max(gap.numbers))


def take_turns(deliveries: Iterable[Delivery]) -> Iterator[tuple[Delivery, ...]]:
    """The first report of each agent, the others, and one by one all from an agent's first large one on.

    Of one agent the order stays.
    """
    first: list[Delivery] = []
    others: list[Delivery] = []
    last: list[Delivery] = []
    seen, large = set[str](), set[str]()
    for delivery in deliveries:
        if len(delivery.data) > LARGE_BYTES:
            large.add(delivery.subject)
        if delivery.subject in large:
            last.append(delivery)
        else:
            (others if delivery.subject in seen else first).append(delivery)
        seen.add(delivery.subject)
    yield from (tuple(turn) for turn in (first, others) if turn)
    yield from ((delivery,) for delivery in last)
