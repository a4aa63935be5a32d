"""``netprobe simulate``: builds a fleet, plays its faults and scores what netprobe reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from netprobe.analysis.analyst import Analyst
from netprobe.analysis.plan.index import PlanIndex
from netprobe.cli.actions.output import print_view
from netprobe.errors import InputError
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.snapshot import Counters, Snapshot
from netprobe.model.units import SECOND_NS
from netprobe.model.window import Report
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.render.terminal.simulation import SimulatedRun, simulation_document, simulation_table
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.faults import make_fault
from netprobe.simulate.fleet import (
    ClusterJoin,
    FleetShape,
    build_inventory,
    place_dns,
)
from netprobe.simulate.runner import RunScore, follow
from netprobe.simulate.world import ArrivingReport, World
from netprobe.store.bundle import write_bundle

_START_NS = 1_700_000_000 * SECOND_NS
"""SimulatedRun runs begin at a fixed moment, so that equal seeds give equal evidence."""
_FIRST_FAULT = 12.0
"""Intervals after the start at which a fault strikes unless it says otherwise: the fleet has settled."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What the options say."""

    clusters: int
    nodes: int
    joined: str
    gateways: int
    faults: tuple[str, ...]
    intervals: int | None
    seconds: float
    interval_s: float
    seed: int
    evidence: Path | None
    history: bool


def run_simulate(asked: Simulation, *, form: str) -> int:
    """Play, score and print; 0 every fault named right and nothing else reported."""
    inventory = build_inventory(
        FleetShape(asked.clusters, asked.nodes, ClusterJoin(asked.joined), asked.gateways)
    )
    length = _count_intervals(asked.intervals, asked.seconds, asked.interval_s)
    interval_ns = int(asked.interval_s * SECOND_NS)
    fleet = plan_fleet(inventory, epoch=1, seed=asked.seed, interval_ns=interval_ns, cookie_key=b"simulated")
    made = [_read_fault(inventory, text, length, interval_ns) for text in asked.faults]
    kept: list[Report] | None = [] if asked.history else None
    score = _play(inventory, fleet, made, seed=asked.seed, intervals=length, kept=kept)
    if asked.evidence is not None:
        write_bundle(asked.evidence, _snapshot(inventory, fleet, score), kept or ())
    played = SimulatedRun(inventory, fleet, score, _START_NS, length, asked.seed)
    print_view(form, table=lambda: simulation_table(played), document=lambda: simulation_document(played))
    return 0 if score.is_right else 1


def _count_intervals(intervals: int | None, seconds: float, interval_s: float) -> int:
    if not 1 <= interval_s <= 3600:
        raise InputError(f"{interval_s:g} s is not between 1 s and 1 h", where="--interval")
    if intervals is not None and seconds:
        raise InputError("give either --intervals, or --hours and --days")
    length = intervals if intervals is not None else (int(seconds / interval_s) if seconds else 30)
    if length < 1:
        raise InputError(f"{length} is too few; give 1 or more", where="--intervals")
    return length


def _read_fault(inventory: Inventory, text: str, length: int, interval_ns: int) -> SimulatedFault:
    """``KIND KEY=VALUE …``; ``start`` and ``stop`` are intervals from the beginning."""
    kind, *words = text.split() or [""]
    pairs = dict(word.partition("=")[::2] for word in words)
    start = _read_moment(pairs.pop("start", str(_FIRST_FAULT)), "start")
    stop = _read_moment(pairs.pop("stop", str(length)), "stop")
    if not 0 <= start < stop:
        raise InputError(f"it starts at interval {start:g} and stops at {stop:g}", where=f"--fault {text}")
    made = make_fault(inventory, kind, pairs)
    return replace(
        made, start_ns=_START_NS + int(start * interval_ns), end_ns=_START_NS + int(stop * interval_ns)
    )


def _read_moment(text: str, key: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{text!r} is not a number of intervals", where=f"--fault {key}=") from error


def _play(
    inventory: Inventory, fleet: FleetPlan, faults: list[SimulatedFault], *, seed: int, intervals: int,
    kept: list[Report] | None,
) -> RunScore:  # fmt: skip
    """Play and score; every report is also put into *kept*, where there is one."""
    facts = PlanIndex(inventory, fleet)
    world = World(facts, faults, seed=seed, start_ns=_START_NS, dns_nodes=place_dns(inventory))
    deliveries = world.play(start_ns=_START_NS, intervals=intervals)
    return follow(
        Analyst(inventory, fleet),
        deliveries if kept is None else _keep(deliveries, kept),
        faults,
        start_ns=_START_NS,
        interval_ns=fleet.interval_ns,
    )


def _keep(deliveries: Iterable[ArrivingReport], kept: list[Report]) -> Iterator[ArrivingReport]:
    for delivery in deliveries:
        if isinstance(delivery.report, Report):  # a world without quiet spells has nothing else
            kept.append(delivery.report)
        yield delivery


def _snapshot(inventory: Inventory, fleet: FleetPlan, score: RunScore) -> Snapshot:
    assert score.last is not None
    return Snapshot(
        taken_ns=score.ended_ns,
        interval_ns=fleet.interval_ns,
        inventory=inventory,
        checks=fleet.checks,
        legs=fleet.legs,
        coverage=fleet.coverage,
        paths=score.last.paths,
        agents=score.last.agents,
        findings=score.last.findings,
        past_findings=score.last.past_findings,
        counters=Counters(score.reports, 0, score.windows, 0, sum(score.rejected.values())),
        rejected=tuple(sorted(score.rejected.items())),
    )
