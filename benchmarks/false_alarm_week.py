"""A simulated week of ordinary days: how many findings are told although nothing is broken. The bar is none.

    python -m benchmarks week --json                 # the whole week, an interval a minute
    python -m benchmarks week --json --hours 6 --interval 10

20 clusters × 50 nodes, all linked, planned by the real planner; the real analyst judges every interval. The
days hold bursts of loss, latency that swings over the day, every cluster's agents restarted one after the
other once a day, nodes that join and leave for good (each a new plan and a new epoch), and nodes that reboot.
Those are labelled: they are truly down, and must be named if they were down for three whole intervals.
Windows of checks that nothing touches are drawn and filed as arrays, all others are played probe by probe.
``share_of_week`` says how much of the week was played.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from benchmarks.background_noise import (
    DAY_NS,
    draw_reboots,
    draw_weather,
)
from benchmarks.vectorised_world import CalmWorld
from netprobe.analysis.analyst import Analyst
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Cluster, Inventory
from netprobe.model.units import SECOND_NS
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.fleet import FleetShape, build_inventory, place_dns
from netprobe.simulate.runner import RunScore, follow

_START_NS = 1_700_006_400 * SECOND_NS
_WEEK_NS = 7 * DAY_NS
_DUE_INTERVALS = 3
"""A reboot that lasts so many whole intervals within the time that is played has to be named."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time over which the fleet stays as it is."""

    inventory: Inventory
    start_ns: int
    intervals: int


def run(arguments: list[str]) -> dict[str, object]:
    """Play the asked share of the week."""
    chosen = _parser().parse_args(arguments)
    interval_ns = int(chosen.interval * SECOND_NS)
    intervals = max(1, int(chosen.hours * 3600 / chosen.interval))
    length_ns = intervals * interval_ns
    stretches = tuple(_draw_stretches(chosen, intervals, interval_ns))
    first = stretches[0].inventory
    fleet = _plan(first, 1, chosen.seed, interval_ns)
    facts = PlanIndex(first, fleet)
    span = {"seed": chosen.seed, "start_ns": _START_NS, "length_ns": length_ns}
    weather = draw_weather(facts, **span)
    reboots = draw_reboots(facts, per_day=chosen.reboots, **span)
    begin = time.process_time()
    analyst, score = Analyst(first, fleet), RunScore(tuple(reboots))
    for epoch, stretch in enumerate(stretches, 1):
        if epoch > 1:
            fleet = _plan(stretch.inventory, epoch, chosen.seed, interval_ns)
            analyst.replan(stretch.inventory, fleet, now_ns=stretch.start_ns)
        _play(stretch, fleet, (*weather, *reboots), analyst, score, seed=chosen.seed * 1000 + epoch)
        _say(stretch, score, begin)
    end_ns = _START_NS + length_ns
    due = [n for n, fault in enumerate(reboots) if _is_due(fault, stretches, interval_ns, end_ns)]
    share = length_ns / _WEEK_NS
    return {
        "false_findings": len(score.false),
        "false_findings_per_week": len(score.false) / share,
        "false": sorted(score.false),
        "reboots": len(due),
        "reboots_named": sum(place in score.named for place in due),
        "reboots_too_short_to_be_due": len(reboots) - len(due),
        "not_named": [reboots[place].name for place in due if place not in score.named],
        "bursts_and_restarts": len(weather),
        "nodes_joined_or_left": len(stretches) - 1,
        "clusters": chosen.clusters,
        "nodes": chosen.nodes,
        "checks": len(facts.checks),
        "interval_seconds": chosen.interval,
        "frames": intervals,
        "share_of_week": share,
        "windows_judged": score.windows,
        "windows_rejected": score.rejected,
        "cpu_seconds": time.process_time() - begin,
        "seed": chosen.seed,
    }


def _play(
    stretch: Stretch,
    fleet: FleetPlan,
    faults: Sequence[SimulatedFault],
    analyst: Analyst,
    score: RunScore,
    *,
    seed: int,
) -> None:
    facts = PlanIndex(stretch.inventory, fleet)
    end_ns = stretch.start_ns + stretch.intervals * fleet.interval_ns
    present = [
        fault for fault in faults if fault.start_ns < end_ns + DAY_NS and stretch.start_ns < fault.end_ns
    ]
    world = CalmWorld(
        facts,
        present,
        seed=seed,
        start_ns=stretch.start_ns,
        dns_nodes=place_dns(stretch.inventory),
        boot=f"epoch {fleet.epoch}",
        running=analyst.known & facts.agent_set,
    )
    reports = world.play(start_ns=stretch.start_ns, intervals=stretch.intervals)
    follow(
        analyst, reports, score.faults, start_ns=stretch.start_ns, interval_ns=fleet.interval_ns, score=score
    )


def _plan(inventory: Inventory, epoch: int, seed: int, interval_ns: int) -> FleetPlan:
    return plan_fleet(inventory, epoch=epoch, seed=seed, interval_ns=interval_ns, cookie_key=b"simulated")


def _draw_stretches(chosen: argparse.Namespace, intervals: int, interval_ns: int) -> Iterator[Stretch]:
    """At moments of a Poisson process a node leaves, or one more joins, in turns."""
    random = Random(f"churn {chosen.seed}")
    inventory = build_inventory(FleetShape(chosen.clusters, chosen.nodes))
    mean = DAY_NS / interval_ns / chosen.churn if chosen.churn else float("inf")
    at, number = 0, 0
    while at < intervals:
        pause = max(1, int(random.expovariate(1 / mean))) if chosen.churn else intervals
        length = min(pause, intervals - at)
        yield Stretch(inventory, _START_NS + at * interval_ns, length)
        at, number = at + length, number + 1
        place = random.randrange(len(inventory.clusters))
        changed = _change(inventory.clusters[place], random, is_leaving=number % 2 == 1, number=number)
        clusters = (*inventory.clusters[:place], changed, *inventory.clusters[place + 1 :])
        inventory = replace(inventory, clusters=clusters)


def _change(cluster: Cluster, random: Random, *, is_leaving: bool, number: int) -> Cluster:
    """Without one of its workers, or with a new one; gateways and the DNS server's node stay."""
    if is_leaving:
        gone = random.randrange(1, len(cluster.nodes) - 1)
        gone_addresses = cluster.nodes[gone].pod_addresses
        nodes = cluster.nodes[:gone] + cluster.nodes[gone + 1 :]
        services = tuple(
            replace(s, endpoints=tuple(a for a in s.endpoints if a not in gone_addresses))
            for s in cluster.services
        )
        return replace(cluster, nodes=nodes, services=services)
    like, third = cluster.nodes[-1], 200 + number % 50
    base = like.pod_addresses[0].split(".")[1]
    new = replace(
        like,
        name=type(like.name)(f"n{number:03}"),
        host_addresses=(f"192.168.{base}.{third}",),
        pod_addresses=(f"10.{base}.{third}.2",),
        pod_cidrs=(f"10.{base}.{third}.0/24",),
    )
    services = tuple(replace(s, endpoints=(*s.endpoints, *new.pod_addresses)) for s in cluster.services)
    return replace(cluster, nodes=(*cluster.nodes[:-1], new, like), services=services)


def _is_due(fault: SimulatedFault, stretches: Sequence[Stretch], interval_ns: int, end_ns: int) -> bool:
    """Whether a reboot lasted long enough, of a node that had not left."""
    first = -(-fault.start_ns // interval_ns)
    there = [stretch.inventory for stretch in stretches if stretch.start_ns <= fault.start_ns][-1]
    node = fault.label.components[0].node
    is_there = node is not None and there.find_node(node) is not None
    return is_there and min(fault.end_ns, end_ns) // interval_ns - first >= _DUE_INTERVALS


def _say(stretch: Stretch, score: RunScore, begin: float) -> None:
    """One line per stretch: a week takes minutes."""
    day = (stretch.start_ns - _START_NS) / DAY_NS
    nodes = sum(len(cluster.nodes) for cluster in stretch.inventory.clusters)
    spent = time.process_time() - begin
    print(
        f"day {day:.2f}: {stretch.intervals} intervals of {nodes} nodes, {len(score.false)} false findings, "
        f"{len(score.named)} reboots named, {spent:.0f} s of CPU",
        flush=True,
        file=sys.stderr,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks week", description=__doc__)
    parser.add_argument("--hours", type=float, default=168.0, help="how much of the week; 168 is all of it")
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=50, help="per cluster")
    parser.add_argument("--interval", type=float, default=60.0, help="seconds")
    parser.add_argument("--reboots", type=float, default=6.0, help="nodes that reboot, a day")
    parser.add_argument("--churn", type=float, default=2.0, help="nodes that join or leave for good, a day")
    parser.add_argument("--seed", type=int, default=1)
    return parser
