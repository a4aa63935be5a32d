"""``netprobe simulate``: a fleet without packets, and whether netprobe names what is broken in it.

Exit codes: 0 every fault named right and nothing else said, 1 otherwise, 2 the question was wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import fill

import click

from netprobe.analysis.analyst import Analyst
from netprobe.analysis.plan.index import PlanIndex
from netprobe.cli.options.output import form_option, print_view
from netprobe.errors import InputError
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.snapshot import Counters, Snapshot
from netprobe.model.window import Report
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.render.terminal.simulation import SimulatedRun, simulation_document, simulation_table
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.faults import KINDS, make_fault
from netprobe.simulate.fleet import (
    ClusterJoin,
    FleetShape,
    build_inventory,
    place_dns,
)
from netprobe.simulate.runner import RunScore, follow
from netprobe.simulate.world import ArrivingReport, World
from netprobe.store.bundle import write_bundle

_START_NS = 1_700_000_000 * 1_000_000_000
"""Simulated runs begin at a fixed moment, so that equal seeds give equal evidence."""
_SECOND = 1_000_000_000
_FIRST_FAULT = 12.0
"""Intervals after the start at which a fault strikes unless it says otherwise: the fleet has settled."""


@click.command(
    epilog="\b\n" + fill(f"Kinds of faults: {', '.join(sorted(KINDS))}.", 76, break_on_hyphens=False)
)
@click.option("--clusters", type=int, metavar="N", default=3, show_default=True, help="How many clusters.")
@click.option("--nodes", type=int, metavar="N", default=4, show_default=True,
              help="Nodes per cluster, gateways included.")  # fmt: skip
@click.option(
    "--links",
    "joined",
    type=click.Choice([way.value for way in ClusterJoin]),
    default=ClusterJoin.FULL.value,
    show_default=True,
    help="Every pair of clusters linked, all to c01, or a ring with chords.",
)
@click.option(
    "--gateways",
    type=int,
    metavar="N",
    default=1,
    show_default=True,
    help="Gateways per cluster; its links are shared out among them.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="'KIND KEY=VALUE …'",
    help="A labelled fault, with start= and stop= in intervals; may be repeated.",
)
@click.option("--intervals", type=int, metavar="N", show_default="30", help="How many intervals to play.")
@click.option("--hours", type=float, metavar="N", default=0.0, help="How many hours to play instead.")
@click.option("--days", type=float, metavar="N", default=0.0, help="How many days, beside --hours.")
@click.option("--interval", "interval_s", type=float, metavar="SECONDS", default=10.0, show_default=True,
              help="How long an interval lasts.")  # fmt: skip
@click.option(
    "--seed", type=int, metavar="N", default=1, show_default=True, help="Decides everything that is random."
)
@click.option(
    "--evidence",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the last moment as an evidence bundle, for show --from.",
)
@click.option("--history", is_flag=True, help="Keep every report in the evidence, too.")
@form_option
@click.pass_context
def simulate(  # noqa: PLR0913 - one argument per option
    context: click.Context, *, clusters: int, nodes: int, joined: str, gateways: int, faults: tuple[str, ...],
    intervals: int | None, hours: float, days: float, interval_s: float, seed: int, evidence: Path | None,
    history: bool, form: str,
) -> None:  # fmt: skip
    """Play a fleet with labelled faults, without packets, and score what netprobe says about it.

    The planner, the judge and the localiser are the real ones; only the windows are made up. Example:

    \b
      netprobe simulate --clusters 5 --nodes 10 \\
        --fault 'tunnel-down source=c01 target=c02 stop=24'
    """  # noqa: D301 - click knows a real backspace
    inventory = build_inventory(FleetShape(clusters, nodes, ClusterJoin(joined), gateways))
    length = _count_intervals(intervals, hours * 3600 + days * 86400, interval_s)
    interval_ns = int(interval_s * _SECOND)
    fleet = plan_fleet(inventory, epoch=1, seed=seed, interval_ns=interval_ns, cookie_key=b"simulated")
    made = [_read_fault(inventory, text, length, interval_ns) for text in faults]
    kept: list[Report] | None = [] if history else None
    score = _play(inventory, fleet, made, seed=seed, intervals=length, kept=kept)
    if evidence is not None:
        write_bundle(evidence, _snapshot(inventory, fleet, score), kept or ())
    told = SimulatedRun(inventory, fleet, score, _START_NS, length, seed)
    print_view(form, table=lambda: simulation_table(told), document=lambda: simulation_document(told))
    context.exit(0 if score.is_right else 1)


def _count_intervals(intervals: int | None, seconds: float, interval_s: float) -> int:
    if not 1 <= interval_s <= 3600:
        raise InputError(f"{interval_s:g} s is not between 1 s and 1 h", where="--interval")
    if intervals is not None and seconds:
        raise InputError("say either --intervals or --hours and --days")
    length = intervals if intervals is not None else (int(seconds / interval_s) if seconds else 30)
    if length < 1:
        raise InputError(f"{length} intervals are nothing to play", where="--intervals")
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
        raise InputError(f"{text!r} is no number of intervals", where=f"--fault {key}=") from error


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
