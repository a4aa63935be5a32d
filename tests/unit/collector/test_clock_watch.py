"""A wall clock that is set is noticed; one that is steered is not taken for it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from netprobe.collector.analysis_loop import AnalysisLoop
from netprobe.collector.clock_watch import ClockWatch
from netprobe.collector.incident_archive import IncidentArchive
from netprobe.collector.intent_watches import IntentWatches
from netprobe.model.window import Report
from netprobe.wire.intent_watch import IntentReport
from netprobe.wire.reports import columns_of
from tests.unit.collector.parts import collector_parts
from tests.unit.collector.process import Counting
from tests.unit.collector.test_service import measure

SECOND = 1_000_000_000


class Clocks:
    """A wall clock and a monotonic one."""

    wall_ns = 1_700_000_000 * SECOND
    monotonic_ns = 5 * SECOND

    def pass_ns(self, span_ns: int, *, wall_ns: int | None = None) -> None:
        self.monotonic_ns += span_ns
        self.wall_ns += span_ns if wall_ns is None else wall_ns


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def watch(clocks: Clocks) -> ClockWatch:
    return ClockWatch(lambda: clocks.wall_ns, lambda: clocks.monotonic_ns)


@pytest.mark.parametrize("by_s", [3600, -3600, 2, -2])
def test_a_step_is_told_once(clocks: Clocks, watch: ClockWatch, by_s: int) -> None:
    clocks.pass_ns(SECOND, wall_ns=SECOND + by_s * SECOND)
    assert watch.take_step() == by_s * SECOND
    clocks.pass_ns(SECOND)
    assert watch.take_step() == 0


def test_a_clock_that_is_steered_is_not_set(clocks: Clocks, watch: ClockWatch) -> None:
    for _ in range(10_000):
        clocks.pass_ns(SECOND, wall_ns=SECOND + SECOND // 2000)  # the most that adjtime does
        assert watch.take_step() == 0


def test_time_that_was_slept_through_is_a_step(clocks: Clocks, watch: ClockWatch) -> None:
    """A suspended machine's monotonic clock stands; its wall clock goes on."""
    clocks.pass_ns(SECOND, wall_ns=900 * SECOND)
    assert watch.take_step() == 899 * SECOND


async def test_all_that_keeps_times_follows_a_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clocks = Clocks()
    steps: list[int] = []

    class Following(Counting):
        def step_clock(self, by_ns: int, *, now_ns: int) -> None:
            steps.append(by_ns)

    with collector_parts(tmp_path, new_analyst=Following) as here:
        watches, archive = IntentWatches(), IncidentArchive(here.history)
        watches.update(IntentReport("w", "x.yaml", 60 * SECOND, ()), now_ns=clocks.wall_ns)
        loop = AnalysisLoop(
            Following, here.service.analysis.inventory, here.service.analysis.fleet,
            watches=watches, incidents=archive,
            clock=ClockWatch(lambda: clocks.wall_ns, lambda: clocks.monotonic_ns),
        )  # fmt: skip
        loop.run_analysis(now_ns=clocks.wall_ns)
        clocks.pass_ns(SECOND, wall_ns=3600 * SECOND)
        loop.run_analysis(now_ns=clocks.wall_ns)
        loop.run_analysis(now_ns=clocks.wall_ns)
        assert steps == [3599 * SECOND]
        assert not watches.expire(now_ns=clocks.wall_ns)
        assert "clock was set by +3599.0 s" in caplog.text


class Arrivals(Counting):
    """Remembers when reports arrived."""

    arrived_ns: ClassVar[list[int]] = []

    def observe(self, report: Report, *, now_ns: int) -> None:
        self.arrived_ns.append(now_ns)


@pytest.mark.parametrize("by_s", [0, 3600, -3600])
def test_a_report_arrives_when_the_bus_has_it_whatever_our_clock_did_since(
    tmp_path: Path, clocks: Clocks, watch: ClockWatch, by_s: int
) -> None:
    Arrivals.arrived_ns.clear()
    with collector_parts(tmp_path, new_analyst=Arrivals) as here:
        loop = AnalysisLoop(
            Arrivals, here.rotation.inventory, here.rotation.fleet,
            watches=IntentWatches(), incidents=IncidentArchive(here.history), clock=watch,
        )  # fmt: skip
        report = columns_of(measure(here.service.analysis.fleet.plans[0], 1))
        stored_ns = clocks.wall_ns
        clocks.pass_ns(7 * SECOND, wall_ns=7 * SECOND + by_s * SECOND)
        loop.observe(report, now_ns=clocks.wall_ns, stored_ns=stored_ns)
        loop.observe(report, now_ns=clocks.wall_ns)
    waited = [(clocks.wall_ns - at) // SECOND for at in Arrivals.arrived_ns]
    assert waited == [0 if by_s < 0 else 7, 0]
