"""A simulated week of ordinary days: how many findings are told although nothing is broken. The bar is none.

    python -m benchmarks week --json                # the first hour of the week
    python -m benchmarks week --json --hours 168    # the whole week; takes as long as it says

20 clusters × 50 nodes, all linked, planned by the real planner, judged by the real analyst, every interval.
20 clusters × 50 nodes, all linked, planned by the real planner; the real analyst judges every interval.
over the day, every cluster's agents restarted one after the other once a day, nodes that reboot (labelled:
they are truly down). ``share_of_week`` says how much of the week was played; ``false_findings_per_week`` is
scaled by it only where something was found.
"""

from __future__ import annotations

import argparse
import time

from netprobe.analysis.analyst import Analyst
from netprobe.analysis.facts import Facts
from netprobe.analysis.simulate.fleet import Shape, build_inventory, place_dns
from netprobe.analysis.simulate.run import follow
from netprobe.analysis.simulate.weather import DAY_NS, SECOND_NS, CalmWorld, draw_reboots, draw_weather
from netprobe.planning.fleet import plan_fleet

_START_NS = 1_700_006_400 * SECOND_NS
_WEEK_NS = 7 * DAY_NS


def run(arguments: list[str]) -> dict[str, object]:
    """Play the asked share of the week."""
    chosen = _parser().parse_args(arguments)
    inventory = build_inventory(Shape(chosen.clusters, chosen.nodes))
    interval_ns = int(chosen.interval * SECOND_NS)
    fleet = plan_fleet(inventory, epoch=1, seed=chosen.seed, interval_ns=interval_ns, cookie_key=b"simulated")
    facts = Facts(inventory, fleet)
    intervals = max(1, int(chosen.hours * 3600 / chosen.interval))
    length_ns = intervals * interval_ns
    span = {"seed": chosen.seed, "start_ns": _START_NS, "length_ns": length_ns}
    weather = draw_weather(facts, **span)
    reboots = draw_reboots(facts, per_day=chosen.reboots, **span)
    world = CalmWorld(
        facts, (*weather, *reboots), seed=chosen.seed, start_ns=_START_NS, dns_nodes=place_dns(inventory)
    )
    begin = time.perf_counter()
    score = follow(
        Analyst(inventory, fleet),
        world.play(start_ns=_START_NS, intervals=intervals),
        reboots,
        start_ns=_START_NS,
        interval_ns=interval_ns,
    )
    share = length_ns / _WEEK_NS
    return {
        "false_findings": len(score.false),
        "false_findings_per_week": len(score.false) / share,
        "false": sorted(score.false),
        "reboots": len(reboots),
        "reboots_named": len(score.named),
        "bursts_and_restarts": len(weather),
        "clusters": chosen.clusters,
        "nodes": chosen.nodes,
        "checks": len(facts.checks),
        "frames": intervals,
        "share_of_week": share,
        "windows_judged": score.windows,
        "windows_rejected": score.rejected,
        "seconds": time.perf_counter() - begin,
        "seed": chosen.seed,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks week", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="how much of the week; 168 is all of it")
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=50, help="per cluster")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds")
    parser.add_argument("--reboots", type=float, default=6.0, help="nodes that reboot, a day")
    parser.add_argument("--seed", type=int, default=1)
    return parser
