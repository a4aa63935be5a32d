"""Selective faults: random parts that drop a random class of traffic, on the planner's own plans.

Beside it, on the same rows: the engines for whole parts alone (set cover for what is dead, then a rate per
part). Every figure is over worlds with one or two faults in random fleets; seeds are in the code. The
simulator draws classes from the attributes that a plan's packets have, so these figures are upper bounds;
real packets decide (`lab-score`). Four harder modes have figures of their own: attributes hidden from the
localiser, bursts, two faults at one part, and faults of services and names.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat

import numpy as np

from benchmarks.plan_classes import compare_classes
from benchmarks.selective_tally import FaultTally, LocaliserAnswer, fit_calibration
from benchmarks.selective_world import KINDS, SERVED_KINDS, SelectiveFault, SelectiveWorld
from netprobe.analysis.localise.confidence import log_odds_of
from netprobe.analysis.localise.evidence import Observations
from netprobe.analysis.localise.greedy_lr import GreedyLikelihood
from netprobe.analysis.localise.loss_modes import LossMode
from netprobe.analysis.localise.selective import SelectiveLocaliser
from netprobe.analysis.localise.set_cover import SetCover
from netprobe.model.arrays import IntArray
from netprobe.model.component import Component
from netprobe.model.traffic import RANGES, Attribute
from netprobe.simulate.fleet import ClusterJoin, FleetShape

_WHOLE_DEAD = SetCover(bad_share=0.999, good_share=0.0)
_WHOLE_LOSSY = GreedyLikelihood(threshold=10.0, healthy_bound=1e-3, background=1e-4)
_WHOLE_CONFIDENCE = 0.9
"""What the table says of most parts, whatever the evidence."""
_HIDDEN: tuple[frozenset[str], ...] = (
    frozenset({Attribute.PROTOCOL}),
    frozenset({Attribute.SIZE}),
    frozenset({Attribute.FAMILY, *RANGES}),
    frozenset({Attribute.SOURCE_PLANE, Attribute.TARGET_PLANE, *RANGES}),
)
"""What one localiser does not know; ranges say plane and family, too."""
_CLUSTERS, _NODES = (3, 11), (4, 21)
"""Least and one more than the most of a random fleet."""
_LARGE = FleetShape(10, 100)
_TIMED = 9
Locate = Callable[[IntArray, IntArray], list[LocaliserAnswer]]


class Difficulty(StrEnum):
    """How the faults of a world are drawn, and what makes them hard."""

    PLAIN = "plain"
    HIDDEN = "hidden"
    BURSTS = "bursts"
    SAME_PART = "same-part"
    SERVICES = "services"


@dataclass(frozen=True, slots=True)
class FleetTask:
    """Worlds of one fleet: seeds ``first`` to ``first + worlds - 1``."""

    difficulty: Difficulty
    shape: FleetShape
    epoch: int
    first: int
    worlds: int
    with_baseline: bool


def selective(world: SelectiveWorld, *, hidden: frozenset[str] = frozenset()) -> Locate:
    """The localiser of selective faults, which does not know the attributes *hidden*."""
    localiser = SelectiveLocaliser(world.without(hidden))

    def locate(sent: IntArray, lost: IntArray) -> list[LocaliserAnswer]:
        return [
            LocaliserAnswer(
                frozenset((one.component, *(part for part, _ in one.alike))),
                frozenset(one.rows),
                one.mode,
                one.confidence,
            )
            for one in localiser.localise(sent, lost)
        ]

    return locate


def whole_parts(world: SelectiveWorld) -> Locate:
    """Parts that either carry or lose: set cover for each kind of packet, then a rate per part."""
    matrix, table = world.rows.matrix, world.table
    families = {
        name: np.isin(np.arange(table.rows), world.rows_with(*condition))
        for name, condition in {
            "IPv6": (Attribute.FAMILY, "IPv6"),
            "large": (Attribute.SIZE, "large"),
        }.items()
    }
    families = {"main": ~(families["IPv6"] | families["large"]), **families}

    def rows_of(part: Component) -> frozenset[int]:
        rows = matrix.rows_crossing(np.array([matrix.number_of[part]]))[0]
        return frozenset(rows[world.is_used[rows]].tolist())

    def locate(sent: IntArray, lost: IntArray) -> list[LocaliserAnswer]:
        said: list[LocaliserAnswer] = []
        explained = np.zeros(table.rows, np.bool_)
        for name, family in families.items():
            used = family & ~explained
            for one in _WHOLE_DEAD.localise(Observations(matrix, sent * used, lost * used)).suspects:
                rows = frozenset(r for r in rows_of(one.components[0]) if name == "main" or family[r])
                said.append(
                    LocaliserAnswer(frozenset(one.components), rows, LossMode.DEAD, _WHOLE_CONFIDENCE)
                )
            for answer in said:
                explained[list(answer.rows)] = True
        used = families["main"] & ~explained
        for one in _WHOLE_LOSSY.localise(Observations(matrix, sent * used, lost * used)).suspects:
            mode = LossMode.DEAD if one.loss > 0.98 else LossMode.RATE
            said.append(
                LocaliserAnswer(
                    frozenset(one.components), rows_of(one.components[0]), mode, _WHOLE_CONFIDENCE
                )
            )
        return said

    return locate


def draw_faults(
    world: SelectiveWorld, difficulty: Difficulty, rng: np.random.Generator
) -> list[SelectiveFault]:
    """One or two faults; two at one part, or half of them of services, where *difficulty* says so.

    Two faults of the same rows and mode are one fault: nothing that is measured tells them apart.
    """
    is_same = difficulty is Difficulty.SAME_PART
    faults: list[SelectiveFault] = []
    wanted = 2 if is_same else int(rng.integers(1, 3))
    for _ in range(50):  # a part may have one class only
        is_served = difficulty is Difficulty.SERVICES and not rng.integers(0, 2)
        at = faults[0].component if is_same and faults else None
        fault = world.draw(rng, kinds=SERVED_KINDS if is_served else KINDS, at=at)
        if all(fault.rows != one.rows for one in faults):
            faults.append(fault)
        if len(faults) == wanted:
            break
    return faults


def play_task(task: FleetTask) -> tuple[FaultTally, FaultTally]:
    """The worlds of one fleet; what the localiser and the engines for whole parts got right."""
    is_served = task.difficulty is Difficulty.SERVICES
    world = SelectiveWorld(task.shape, epoch=task.epoch, with_services=is_served)
    is_hidden = task.difficulty is Difficulty.HIDDEN
    hides = _HIDDEN if is_hidden else (frozenset[str](),)
    localisers = [selective(world, hidden=hidden) for hidden in hides]
    tallies = FaultTally(), FaultTally()
    compared = whole_parts(world) if task.with_baseline else None
    for seed in range(task.first, task.first + task.worlds):
        rng = np.random.default_rng(seed)
        faults = draw_faults(world, task.difficulty, rng)
        sent, lost = world.play(faults, rng, with_bursts=task.difficulty is Difficulty.BURSTS)
        turn = seed % len(hides)
        nameless = frozenset(
            place for place, one in enumerate(faults) if hides[turn] & {c.attribute for c in one.conditions}
        )
        for tally, locate in zip(tallies, (localisers[turn], compared), strict=True):
            if locate is None:
                continue
            begun = time.process_time()
            said = locate(sent, lost)
            tally.seconds.append(time.process_time() - begun)
            tally.judge(faults, said, sent, lost, nameless=nameless, parts=len(world.table.components))
    return tallies


def run(arguments: list[str]) -> dict[str, object]:
    """Play worlds; the same ones for every localiser."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks selective")
    parser.add_argument("--worlds", type=int, default=200, help="of each mode")
    parser.add_argument("--modes", nargs="+", type=Difficulty, default=list(Difficulty))
    parser.add_argument("--fleets", type=int, default=8, help="random ones; 0: one of --clusters and --nodes")
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--epoch", type=int, default=0)
    parser.add_argument("--seed", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--refit", action="store_true", help="print the constants of the confidence only")
    asked = parser.parse_args(arguments)
    found: dict[str, object] = {}
    tallies: list[FaultTally] = []
    for difficulty in asked.modes:
        now, before = _play(difficulty, asked)
        tallies.append(now)
        prefix = "" if difficulty is Difficulty.PLAIN else f"{difficulty.replace('-', '_')}_"
        found |= _figures(prefix, now)
        if before.seconds:
            found |= _figures("baseline_", before)
    if asked.refit:
        said = [(log_odds_of(confidence), right) for tally in tallies for confidence, right in tally.said]
        slope, offset = fit_calibration(said)
        return {"slope": slope, "offset": offset, "answers": len(said)}
    return {
        "worlds": asked.worlds,
        **found,
        "seconds_per_interval_10x100": _time_large(asked.seed),
        **compare_classes(asked.clusters, asked.nodes, epoch=asked.epoch, seed=1),
    }


def _play(difficulty: Difficulty, asked: argparse.Namespace) -> tuple[FaultTally, FaultTally]:
    """All worlds of a difficulty, shared out among the fleets."""
    now, before = FaultTally(), FaultTally()
    with ProcessPoolExecutor(asked.processes) as pool:
        for one, other in pool.map(play_task, _tasks(difficulty, asked)):
            now.add(one)
            before.add(other)
    return now, before


def _tasks(difficulty: Difficulty, asked: argparse.Namespace) -> Iterator[FleetTask]:
    rng = np.random.default_rng(asked.seed)
    drawn = ((_draw_shape(rng), int(rng.integers(0, 50))) for _ in range(asked.fleets))
    fixed = repeat((FleetShape(asked.clusters, asked.nodes), asked.epoch), 1)
    fleets = list(drawn if asked.fleets else fixed)
    ends = np.linspace(0, asked.worlds, len(fleets) + 1).astype(int).tolist()
    for (shape, epoch), begin, end in zip(fleets, ends, ends[1:], strict=False):
        is_plain = difficulty is Difficulty.PLAIN and not asked.refit
        yield FleetTask(difficulty, shape, epoch, asked.seed + begin, end - begin, is_plain)


def _draw_shape(rng: np.random.Generator) -> FleetShape:
    joins = tuple(ClusterJoin)
    clusters, nodes = int(rng.integers(*_CLUSTERS)), int(rng.integers(*_NODES))
    return FleetShape(clusters, nodes, joins[int(rng.integers(len(joins)))], int(rng.integers(1, 3)))


def _time_large(seed: int) -> float:
    """Median CPU time of one answer in a fleet of 10 clusters × 100 nodes where one or two parts fail."""
    task = FleetTask(Difficulty.PLAIN, _LARGE, 0, seed, _TIMED, with_baseline=False)
    return round(float(np.median(play_task(task)[0].seconds)), 3)


def _figures(prefix: str, tally: FaultTally) -> dict[str, object]:
    return {
        f"{prefix}faults": tally.counts["faults"],
        f"{prefix}component_f1": tally.component_f1,
        f"{prefix}class_f1": tally.class_f1,
        f"{prefix}class_exact": tally.class_exact,
        f"{prefix}wrong_confident": tally.wrong_confident,
        f"{prefix}calibration_error": tally.calibration_error,
        f"{prefix}innocent_blamed": tally.innocent_blamed,
        f"{prefix}false": tally.counts["false"],
        f"{prefix}exact_by_kind": tally.exact_by_kind,
        f"{prefix}cpu_ms_p50": round(1000 * float(np.median(tally.seconds)), 1),
        f"{prefix}cpu_ms_p95": round(1000 * float(np.quantile(tally.seconds, 0.95)), 1),
    }
