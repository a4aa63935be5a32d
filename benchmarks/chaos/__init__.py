"""Bad days: disks, locks, spoilt files, clocks and kills, on the real collector and the real ``nats-server``.

Simulated agents measure nothing; each sends a real report every interval, over the real bus, through a real
outbox and spool, as an agent does. Everything lives on a small tmpfs in a mount and process namespace of its
own, so that nothing is left behind whatever happens. Time is compressed: an interval is a second. Nothing is
compared with a peer; the bars are ours:

- ``reports_sent`` = ``reports_stored``. A report is stored once it was in a history, also in one that was
  spoilt later. ``reports_destroyed`` counts those whose every copy was in files that the experiment spoilt;
  ``destroyed_unsaid`` (bar 0) counts experiments in which health does not say so.
- ``green_while_unmeasured`` (bar 0): paths shown up although nothing was stored for longer than the analysis
  waits.
- ``restarts_by_hand`` (bar 0): experiments after which reports are not taken again. A killed collector is
  started again at once, as a kubelet does; that is not by hand.
- ``seconds_unseen`` (bar: two intervals): from the fault until ``/readyz`` or a metric says it, at most.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.chaos.experiments import EXPERIMENTS, ChaosOptions
from benchmarks.chaos.namespaces import enter
from benchmarks.chaos.tally import ChaosTally, summarise
from benchmarks.chaos.world import COLLECTOR, PATIENCE_S

INTERVAL_S = 1.0
LONGEST = "kills"


def run(arguments: list[str]) -> dict[str, object]:
    """Run every experiment, or the chosen ones."""
    asked = _read(arguments)
    enter("chaos", arguments)
    began_s = time.monotonic()
    options = ChaosOptions(asked.small, tuple(shlex.split(asked.program)), asked.patience)
    tallies = asyncio.run(_play_all(asked.only or list(EXPERIMENTS), options))
    return summarise(tallies, interval_s=INTERVAL_S) | {"seconds": round(time.monotonic() - began_s, 1)}


async def _play_all(names: list[str], options: ChaosOptions) -> dict[str, ChaosTally]:
    """The longest beside the others, one after another: most of the time each waits."""
    tallies: dict[str, ChaosTally] = {}

    async def play(lane: list[str]) -> None:
        for name in lane:
            tallies[name] = await _play(name, options)

    await asyncio.gather(
        play([name for name in names if name == LONGEST]), play([name for name in names if name != LONGEST])
    )
    return {name: tallies[name] for name in names}


async def _play(name: str, options: ChaosOptions) -> ChaosTally:
    tally = ChaosTally()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="netprobe-chaos-", ignore_cleanup_errors=True) as made:
        await EXPERIMENTS[name](Path(made), tally, options)
    print(f"{name}: {tally} in {time.monotonic() - began_s:.1f} s", file=sys.stderr)
    return tally


def _read(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks chaos")
    parser.add_argument(
        "--only", action="append", choices=sorted(EXPERIMENTS), help="may be given repeatedly"
    )
    parser.add_argument("--small", action="store_true", help="each experiment once, a few kills and files")
    parser.add_argument(
        "--program", default=shlex.join(COLLECTOR), help="the module run as the collector (%(default)s)"
    )
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_S, metavar="SECONDS",
        help="after so long, what has not healed counts as such (%(default)s)",
    )  # fmt: skip
    return parser.parse_args(arguments)
