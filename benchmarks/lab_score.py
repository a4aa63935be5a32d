"""Is every fault of the lab named right, on real packets?

Each kind of the catalogue and each scripted kind at two places, one after another; then pairs of different
faults at once; then healthy minutes while every processor is kept busy, in which nothing may be found; then
faults of two equal links, in a lab of their own. Faults that no check of the plan crosses are counted apart:
about them nothing may be said. A lab that does not settle after a fault is in ``unsettled``, and the next
faults are played in a new one. Prints the score; ``--docs FILE`` also writes the tables of what each was
called. Nothing is compared with a peer: the truth is the label.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from benchmarks.equal_path_faults import EQUAL_PATH_FAULTS, TOPOLOGY
from benchmarks.fault_drill_cases import CATALOGUE, PAIRS
from benchmarks.lab_score_page import count, describe, to_markdown
from benchmarks.lab_stage import LabStage
from benchmarks.scripted_faults import SCRIPTED
from netprobe.lab.fault_drill import DrillFault, FaultDrill
from netprobe.lab.fault_script import ScriptedFault

_LINGER_S = 3.0
"""Read on for so long after a fault was named, for findings that come later."""
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Programme:
    """What is played: in a lab of the default topology, and then in one with two equal links."""

    singles: tuple[DrillFault, ...]
    equal_paths: tuple[DrillFault, ...]
    pairs: tuple[tuple[DrillFault, DrillFault, float], ...]
    healthy_minutes: float
    interval_ns: int


def run(arguments: list[str]) -> dict[str, object]:
    """Inject every fault of the catalogue and count the right names."""
    asked = _read(arguments)
    programme = _choose(asked)
    with LabStage(programme.interval_ns) as stage:
        figures, singles, pairs = asyncio.run(_play_all(stage, programme))
        unsettled = stage.unsettled
    equal_paths: FaultDrill | None = None
    if programme.equal_paths:
        topology = Path(str(resources.files("netprobe.lab").joinpath(TOPOLOGY)))
        with LabStage(programme.interval_ns, topology) as stage:
            equal_paths = asyncio.run(_play_singles(stage, programme.equal_paths))
            unsettled = unsettled | stage.unsettled
        figures |= {f"equal_paths_{key}": value for key, value in count(equal_paths).items()}
    figures |= {"unsettled": unsettled}
    if asked.docs:
        asked.docs.write_text(to_markdown(figures, singles, pairs, equal_paths))
    return figures


def _read(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks lab-score")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds of one round of questions")
    parser.add_argument("--only", default="", help="kinds to play, separated by commas")
    parser.add_argument("--places", type=int, choices=(0, 1, 2), default=2)
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="how many pairs to play")
    parser.add_argument("--healthy-minutes", type=float, default=10.0)
    parser.add_argument("--docs", type=Path, help="Markdown file to write")
    return parser.parse_args(arguments)


def _choose(asked: argparse.Namespace) -> Programme:
    kinds = set(filter(None, asked.only.split(",")))

    def choose(catalogue: Iterable[tuple[DrillFault, ...]]) -> tuple[DrillFault, ...]:
        played = (fault for places in catalogue for fault in places[: asked.places])
        return tuple(fault for fault in played if not kinds or fault.kind in kinds)

    return Programme(
        choose((*CATALOGUE, *map(_to_drill, SCRIPTED.values()))),
        choose(map(_to_drill, EQUAL_PATH_FAULTS.values())),
        tuple(pair for pair in PAIRS if not kinds or {pair[0].kind, pair[1].kind} & kinds)[: asked.pairs],
        asked.healthy_minutes,
        round(asked.interval * 1e9),
    )


def _to_drill(places: Iterable[ScriptedFault]) -> tuple[DrillFault, ...]:
    return tuple(fault.drill_fault for fault in places)


async def _play_singles(stage: LabStage, faults: Iterable[DrillFault]) -> FaultDrill:
    drill = stage.new_drill()
    await stage.settle(drill, after="its start")
    for fault in faults:
        _tell(describe(await drill.play(fault, linger_s=_LINGER_S)))
        await stage.settle(drill, after=fault.name)
    return drill


async def _play_all(
    stage: LabStage, programme: Programme
) -> tuple[dict[str, object], FaultDrill, FaultDrill]:
    singles = await _play_singles(stage, programme.singles)
    pairs = stage.new_drill()
    for one, other, gap_s in programme.pairs:
        verdicts = await pairs.play_together((one, other), gap_s=gap_s)
        _tell(" + ".join(map(describe, verdicts)))
        await stage.settle(pairs, after=f"{one.name} and {other.name}")
    healthy = stage.new_drill()
    with _busy_processors():
        await healthy.watch(seconds=programme.healthy_minutes * _MINUTE_S)
    figures = count(singles) | {f"pairs_{key}": value for key, value in count(pairs).items()}
    figures |= {
        "healthy_minutes_under_load": programme.healthy_minutes,
        "healthy_false_findings": len(healthy.scorer.false_findings),
        "healthy_false": sorted(healthy.scorer.false_findings),
    }
    return figures, singles, pairs


@contextlib.contextmanager
def _busy_processors() -> Iterator[None]:
    """Keep every processor busy with a loop of its own; a loop whose parent was killed ends by itself."""
    loop = f"import os\nwhile os.getppid() == {os.getpid()}: pass"
    loops = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in loops:
            process.kill()
            process.wait()


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
