"""Clocks that are an hour off: the collector's, and an agent's.

Rule: what must hold is that every report is kept, that no path has a state which was not measured lately,
that the clock is named, and that what is measured counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import structs

from netprobe.model.component import Component, agent, collector
from netprobe.model.status import AgentState, PathState
from netprobe.model.window import Report
from tests.attack.tally import AttackTally
from tests.unit.analysis.test_clocks import (
    HOUR,
    T0,
    TRAVEL_NS,
    ClockedFleet,
    clock_findings,
    plans,
    states,
)
from tests.unit.collector.parts import Collector, ListBus, collector_parts, delivery_of
from tests.unit.collector.test_service import measure

HOURS = (-1, 1)
SILENT_S = 18
"""As long as the experiment that found the fault."""
WARM_S = 8
"""Intervals until everything is known."""
JUDGED_S = 10
"""Intervals until a clock is known, and what was measured counts again."""


async def attack_clock_of_the_collector() -> AttackTally:
    """Set it by an hour, back and forth, while all report and while none does; and start with a wrong one."""
    tally = AttackTally()
    for hours in HOURS:
        name = f"the collector's clock at {hours:+} h"
        with _collector() as here:
            # what is an hour ahead of our clock when it is behind
            await _offer(here, tally, name, by_ns=-hours * HOUR)
        fleet = _fleet()
        fleet.run(WARM_S)
        fleet.set_our_clock(hours * HOUR)
        tally.note(f"{name}: unknown at once", held=states(fleet.conclude()) == {PathState.UNKNOWN})
        said = fleet.run(SILENT_S, silent=frozenset(fleet.agents))
        tally.note(f"{name}: unknown while all are silent", held=states(said) == {PathState.UNKNOWN})
        _judge(fleet, tally, name, {collector()})
        late = _fleet()
        late.ours_ns = hours * HOUR
        _judge(late, tally, f"{name} from the start", {collector()})
    return tally


async def attack_clocks_of_agents() -> AttackTally:
    """One agent's clock is an hour off: it measures on, and is named."""
    tally = AttackTally()
    for hours in HOURS:
        name = f"an agent's clock at {hours:+} h"
        with _collector() as here:
            await _offer(here, tally, name, by_ns=hours * HOUR)
        fleet = _fleet()
        wrong = fleet.agents[3]
        fleet.run(WARM_S)
        fleet.clocks_ns[wrong] = hours * HOUR
        _judge(fleet, tally, name, {agent(wrong)})
        said = fleet.run(SILENT_S, silent=frozenset({wrong}))
        green = [
            path for check, path in zip(fleet.plan.checks, said.paths, strict=True)
            if check.source == wrong and path.state is not PathState.UNKNOWN
        ]  # fmt: skip
        tally.note(f"{name}: unknown while it is silent", held=not green)
    return tally


def _fleet() -> ClockedFleet:
    return ClockedFleet(*plans(), true_ns=T0 + TRAVEL_NS)


def _judge(fleet: ClockedFleet, tally: AttackTally, name: str, wrong: set[Component]) -> None:
    said = fleet.run(JUDGED_S)
    tally.note(f"{name}: measured again", held=states(said) == {PathState.UP})
    tally.note(f"{name}: all alive", held={one.state for one in said.agents} == {AgentState.ALIVE})
    tally.note(f"{name}: named", held=clock_findings(said) == wrong)


@contextmanager
def _collector() -> Iterator[Collector]:
    with TemporaryDirectory() as made, collector_parts(Path(made)) as here:
        yield here


async def _offer(here: Collector, tally: AttackTally, name: str, *, by_ns: int) -> None:
    """Reports whose times are off by *by_ns* from the clock of the collector that takes them."""
    sent = [_moved(measure(plan, 1), by_ns) for plan in here.service.analysis.fleet.plans]
    bus = ListBus([delivery_of(report) for report in sent])
    await here.service.ingest.take(bus)
    stored = sorted(here.history.reports_since(0), key=lambda one: one.agent)
    tally.note(f"{name}: all is stored", held=stored == sorted(sent, key=lambda one: one.agent))
    tally.note(f"{name}: all is acknowledged", held=len(bus.acknowledged) == len(sent))


def _moved(report: Report, by_ns: int) -> Report:
    windows = tuple(structs.replace(one, start_ns=one.start_ns + by_ns) for one in report.windows)
    return replace(report, start_ns=report.start_ns + by_ns, windows=windows)
