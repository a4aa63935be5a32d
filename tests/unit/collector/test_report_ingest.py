"""Reports are stored, then acknowledged, then analysed; what is malformed or repeated stops nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from netprobe.bus.collector import Delivery
from netprobe.bus.subjects import BEAT, windows_subject
from netprobe.collector.report_ingest import LARGE_BYTES, take_turns
from netprobe.model.names import CheckId
from netprobe.model.window import Report
from netprobe.wire.resend import ResendRequest
from tests.unit.collector.parts import Collector, ListBus, collector_parts, delivery_of
from tests.unit.collector.process import Counting
from tests.unit.collector.test_report_allowance import BURST
from tests.unit.collector.test_service import measure
from tests.unit.nats_server import until


class Failing(Counting):
    """Cannot analyse any report."""

    def observe(self, report: Report, *, now_ns: int) -> None:
        raise ZeroDivisionError


def report_of_first(here: Collector) -> Report:
    return measure(here.service.analysis.fleet.plans[0], 1)


async def test_a_report_is_stored_acknowledged_and_analysed(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        report = report_of_first(here)
        bus = ListBus([delivery_of(report)])
        await here.service.ingest.take(bus)
        here.service.analysis.run_analysis(now_ns=1)
        assert list(here.history.reports_since(0)) == [report]
        assert [one.token for one in bus.acknowledged] == ["token 1"]
        conclusion = here.service.analysis.conclusion
        assert conclusion is not None
        assert str(conclusion.findings[0].components[0].source) == str(len(report.windows))
        assert here.service.ingest.last_report_ns is not None


async def test_a_repeated_report_is_acknowledged_and_not_analysed_again(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        report = report_of_first(here)
        bus = ListBus([delivery_of(report)] * 2)
        await here.service.ingest.take(bus)
        here.service.analysis.run_analysis(now_ns=1)
        assert len(bus.acknowledged) == 2
        conclusion = here.service.analysis.conclusion
        assert conclusion is not None
        assert str(conclusion.findings[0].components[0].source) == str(len(report.windows))


async def test_a_malformed_message_is_counted_and_its_neighbours_are_stored(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        report = report_of_first(here)
        malformed = Delivery(windows_subject(report.agent), b"\x01\xc1", "token 0")
        bus = ListBus([malformed, delivery_of(report)])
        await here.service.ingest.take(bus)
        counters = here.history.counters()
        assert (counters.messages_malformed, counters.reports_stored) == (1, 1)
        assert len(bus.acknowledged) == 2


async def test_an_agent_that_sends_junk_writes_one_line_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with collector_parts(tmp_path) as here:
        malformed = [
            Delivery(windows_subject(plan.agent), b"\x01\xc1", "token 0")
            for plan in here.service.analysis.fleet.plans[:2]
            for _ in range(100)
        ]
        await here.service.ingest.take(ListBus(list(malformed)))
        await here.service.ingest.take(ListBus(list(malformed)))
        assert here.history.counters().messages_malformed == 400
        assert sum("dropped a malformed message" in line.message for line in caplog.records) == 2


async def test_an_agent_that_sends_more_than_it_may_is_stored_at_once_and_acknowledged_late(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with collector_parts(tmp_path) as here:
        first = report_of_first(here)
        other = measure(here.service.analysis.fleet.plans[1], 1)
        flood = [delivery_of(replace(first, sequence=number)) for number in range(1, 201)]
        bus = ListBus([*flood, delivery_of(other), Delivery(windows_subject(first.agent), b"junk", "junk")])
        await here.service.ingest.take(bus)
        assert here.history.counters().reports_stored == 201
        senders = [one.subject for one in bus.acknowledged]
        assert senders.count(windows_subject(other.agent)) == 1
        assert BURST <= senders.count(windows_subject(first.agent)) < len(flood)
        assert len(caplog.records) == 1, "one line per agent and minute, whatever is wrong"


async def test_what_was_held_is_acknowledged_while_reports_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netprobe.collector.report_ingest.HELD_LOOK_S", 0.001)
    monkeypatch.setattr("netprobe.collector.report_allowance.REPORTS_PER_S", 500.0)
    monkeypatch.setattr("netprobe.collector.report_allowance.BURST_S", 0.1)
    with collector_parts(tmp_path) as here:
        first = report_of_first(here)
        flood = [delivery_of(replace(first, sequence=number)) for number in range(1, 201)]
        bus = ListBus(list(flood))
        await here.service.ingest.take(bus)
        assert len(bus.acknowledged) < len(flood)
        running = asyncio.ensure_future(here.service.ingest.run(bus))
        try:
            bus.deliveries = list(flood)
            await until(lambda: len(bus.acknowledged) >= len(flood))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert here.history.counters().reports_stored == len(flood)


async def test_an_error_of_the_analysis_is_counted_and_the_report_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with collector_parts(tmp_path, new_analyst=Failing) as here:
        bus = ListBus([delivery_of(report_of_first(here))])
        await here.service.ingest.take(bus)
        assert (here.service.analysis.errors, here.history.counters().reports_stored) == (1, 1)
        assert len(bus.acknowledged) == 1
        assert "the analysis failed while observing a report" in caplog.text


async def test_reports_wait_unacknowledged_while_the_history_is_locked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netprobe.store.history_tables.BUSY_MS", 20)
    monkeypatch.setattr("netprobe.collector.report_ingest.RETRY_S", 0.02)
    with collector_parts(tmp_path) as here:
        other = sqlite3.connect(here.settings.data / "history.db", isolation_level=None)
        with closing(other):
            other.execute("BEGIN IMMEDIATE")
            bus = ListBus([delivery_of(report_of_first(here))])
            taking = asyncio.ensure_future(here.service.ingest.take(bus))
            await until(lambda: "locked" in here.service.ingest.fault)
            await asyncio.sleep(0.2)
            assert bus.acknowledged == []
            assert "locked" in (await here.service.health.read_health()).history_fault
            other.execute("ROLLBACK")
            await taking
        assert len(bus.acknowledged) == 1
        assert here.history.counters().reports_stored == 1
        assert here.service.ingest.fault == ""
        assert caplog.text.count("reports wait on the bus") == 1


async def test_a_history_that_is_damaged_while_it_is_used_is_replaced(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        await here.service.publication.record_epoch()
        file = here.settings.data / "history.db"
        here.history.close()
        for end in ("-wal", "-shm"):
            file.with_name(file.name + end).unlink(missing_ok=True)
        size = file.stat().st_size
        file.write_bytes(file.read_bytes()[:100] + b"\xff" * (size - 100))
        bus = ListBus([delivery_of(report_of_first(here))])
        await here.service.ingest.take(bus)
        await here.service.publication.record_epoch()
        assert here.history.counters().reports_stored == 1
        assert len(bus.acknowledged) == 1
        assert (await here.service.health.read_health()).histories_replaced == 1
        assert len(here.history.epochs_between(0, 2**62)) == 1


async def test_rejected_windows_stay_counted_after_other_plans(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        report = report_of_first(here)
        stray = structs.replace(report.windows[0], check=CheckId(1))
        await here.service.ingest.take(ListBus([delivery_of(replace(report, windows=(stray,)))]))
        assert here.service.ingest.rejected == {"unknown check": 1}
        here.service.ingest.replan(here.service.analysis.fleet)
        assert here.service.ingest.rejected == {"unknown check": 1}


def test_an_agent_that_sends_much_waits_for_its_own_reports() -> None:
    def delivery(sender: str, token: str, *, size: int = 1) -> Delivery:
        return Delivery(sender, bytes(size), token)

    flood = [delivery("a", f"a{number}", size=LARGE_BYTES + 1) for number in range(2)]
    small = [delivery("b", "b0"), delivery("b", "b1"), delivery("c", "c0"), delivery("b", "b2")]
    after = delivery("a", "a2")  # of one agent the order stays
    turns = [[one.token for one in turn] for turn in take_turns([*flood, *small, after])]
    assert turns == [["b0", "c0"], ["b1", "b2"], ["a0"], ["a1"], ["a2"]]


async def test_a_beat_is_stored_and_acknowledged_like_a_report(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        bus = ListBus()
        trip = here.service.round_trip

        class Looped:
            async def publish_beat(self, data: bytes, *, timeout_s: float) -> None:
                bus.deliveries.append(Delivery(BEAT, data, "beat"))
                await here.service.ingest.take(bus)
                here.service.analysis.run_analysis(now_ns=1)

        await trip.beat(Looped(), patience_s=60)
        assert trip.fault == ""
        assert [one.token for one in bus.acknowledged] == ["beat"]
        assert here.history.counters().messages_malformed == 0


async def test_a_report_that_is_left_out_is_asked_for_and_comes_again(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        first = report_of_first(here)
        bus = ListBus([delivery_of(first), delivery_of(replace(first, sequence=3))], sends_again=(2,))
        await here.service.ingest.take(bus)
        await here.service.ingest.close_gaps(bus)
        assert bus.asked_again == [ResendRequest(first.agent, first.boot, 2, 2)]
        bus.deliveries = [delivery_of(replace(first, sequence=2))]
        await here.service.ingest.take(bus)
        health = await here.service.health.read_health()
        assert (health.reports_destroyed, health.reports_sent_again) == (0, 1)
        assert here.history.newest_sequences(str(first.agent), first.boot, most=9) == (3, 2, 1)


async def test_an_agent_that_is_away_is_asked_again(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        first = report_of_first(here)
        bus = ListBus([delivery_of(first), delivery_of(replace(first, sequence=3))], sends_again=None)
        await here.service.ingest.take(bus)
        for _ in range(2):
            await here.service.ingest.close_gaps(bus)
        assert len(bus.asked_again) == 2
        assert (await here.service.health.read_health()).reports_destroyed == 0


async def test_a_report_that_its_agent_has_no_more_is_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with collector_parts(tmp_path) as here:
        first = report_of_first(here)
        bus = ListBus([delivery_of(first), delivery_of(replace(first, sequence=4))])
        await here.service.ingest.take(bus)
        await here.service.ingest.close_gaps(bus)
        assert (await here.service.health.read_health()).reports_destroyed == 2
        assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
            f"2 reports of {first.agent} were destroyed on the bus, and it has them no more"
        ]
