"""Latency against a learnt baseline, and a path that comes and goes is reported once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from benchmarks.vectorised_world import CalmWorld
from netprobe.analysis.analyst import Analyst, Conclusion
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.status import PathState
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.faults import make_fault
from netprobe.simulate.fleet import FleetShape, build_inventory
from netprobe.simulate.runner import RunScore, follow

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
INTERVAL = 10 * SECOND
BETWEEN = {"source": "c01", "target": "c02"}


@cache
def fleet() -> tuple[Inventory, FleetPlan]:
    inventory = build_inventory(FleetShape(clusters=2, nodes=2))
    return inventory, plan_fleet(inventory, epoch=1, seed=1, interval_ns=INTERVAL, cookie_key=b"key")


def fault(kind: str, start: float, stop: float, **parameters: str) -> SimulatedFault:
    made = make_fault(fleet()[0], kind, BETWEEN | parameters)
    return replace(made, start_ns=T0 + int(start * INTERVAL), end_ns=T0 + int(stop * INTERVAL))


def play(faults: Sequence[SimulatedFault], intervals: int) -> RunScore:
    inventory, plan = fleet()
    world = CalmWorld(PlanIndex(inventory, plan), faults, seed=3, start_ns=T0)
    reports = world.play(start_ns=T0, intervals=intervals)
    return follow(Analyst(inventory, plan), reports, faults, start_ns=T0, interval_ns=INTERVAL)


def between_clusters(said: Conclusion | None) -> set[PathState]:
    assert said is not None
    facts = PlanIndex(*fleet())
    crossing = {c.check.id for c in facts.checks if c.asked and c.asked.cluster != c.source.cluster}
    return {path.state for path in said.paths if path.check in crossing}


def test_a_tunnel_that_has_become_slow_is_named_and_its_paths_are_degraded() -> None:
    slow = fault("tunnel-slow", 40, 50)
    score = play([slow], 50)
    assert (list(score.named), score.false) == ([0], {})
    assert score.last is not None
    (finding,) = score.last.findings
    assert "usually" in str(finding.summary)
    assert between_clusters(score.last) == {PathState.DEGRADED}
    assert {str(path.reason) for path in score.last.paths if path.state is not PathState.UP} == {
        "far slower than usual"
    }


def test_slowness_is_no_news_in_the_first_minutes_nor_below_what_a_busy_host_adds() -> None:
    early = play([fault("tunnel-slow", 12, 25)], 25)
    little = play([fault("tunnel-slow", 40, 50, ms="3")], 50)
    assert (early.named, early.false, little.named, little.false) == ({}, {}, {}, {})
    assert between_clusters(little.last) == {PathState.UP}


def test_a_slow_tunnel_that_then_dies_is_named_dead() -> None:
    score = play([fault("tunnel-slow", 40, 55), fault("tunnel-down", 47, 55)], 55)
    assert (set(score.named), score.false) == ({0, 1}, {})


def test_a_tunnel_that_comes_and_goes_is_told_as_flapping_and_not_again_and_again() -> None:
    downs = [fault("tunnel-down", 12 + 8 * turn, 16 + 8 * turn) for turn in range(6)]
    score = play(downs, 62)
    assert score.last is not None
    (open_one,) = score.last.findings
    assert str(open_one.summary).endswith("It comes and goes.")
    assert len(score.last.past_findings) == 2, "told twice, and then once for all"
    assert between_clusters(score.last) == {PathState.DEGRADED}
    assert {str(path.reason) for path in score.last.paths if path.state is PathState.DEGRADED} == {
        "flapping between up and down"
    }
