"""How well each engine names what is broken: Flock's fat-tree experiment, and netprobe's own graph.

    python -m benchmarks localise --json [--traces 64] [--rounds 200] [--seed 1] [--quick]
    python -m benchmarks localise --tune          # how the parameters were fixed, on other seeds

F1 counts accusations over all traces of a row; an accused class counts once per component. ``low`` and
``high`` are the 2.5 % and 97.5 % points of a bootstrap over traces. The default engine estimates the
background loss. No figure but ``seconds_per_trace`` depends on the machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from benchmarks.fat_tree import active_trace, passive_trace
from benchmarks.localisers.localiser import Localiser
from benchmarks.localisers.netbouncer import NetBouncer
from benchmarks.localisers.vote007 import Vote007
from benchmarks.own_graph import fleet_round
from netprobe.analysis.localise.evidence import Observations
from netprobe.analysis.localise.greedy_lr import GreedyLikelihood
from netprobe.analysis.localise.set_cover import SetCover

Case = tuple[Observations[Any], frozenset[Any]]
Tally = tuple[int, int, int]
"""Right accusations, wrong ones, faults missed."""

FLOCK = {"S1": 0.987, "S2_k5": 0.429, "S2_k10": 0.765, "S2_k20": 0.911, "S2_k50": 0.942}
"""Flock's F1 in the same experiment: the bars of the default engine."""
OWN_BARS = {"dead_5": 0.99, "lossy_20": 0.95}

DEFAULT = "greedy_lr"
"""The one that production uses where loss is partial."""
ENGINES: dict[str, Localiser] = {
    "greedy_lr": GreedyLikelihood(),
    "set_cover": SetCover(),
    "vote007": Vote007(threshold=0.006),
    "netbouncer": NetBouncer(penalty=0.1, threshold=3e-3),
}
GRIDS: dict[str, list[Localiser]] = {
    "greedy_lr": [GreedyLikelihood(threshold=gain) for gain in (5.5, 6.0, 6.5, 7.0, 8.0)],
    "set_cover": [SetCover(bad, bad / 10) for bad in (0.005, 0.02, 0.05)],
    "vote007": [Vote007(share) for share in (0.0015, 0.002, 0.003, 0.004, 0.006, 0.01)],
    "netbouncer": [NetBouncer(*pair) for pair in product((0.01, 0.03, 0.1, 0.3), (1e-3, 2e-3, 3e-3))],
}
COMPARED = 64
"""How many cases of a row the other engines meet."""
FIRST_TUNING_SEED = 1_000_000
"""Reported seeds stay below, tuning seeds at or above."""


def run(arguments: list[str]) -> dict[str, object]:
    """All rows for all engines; or the tuning table."""
    chosen = _parser().parse_args(arguments)
    traces, rounds = (8, 20) if chosen.quick else (chosen.traces, chosen.rounds)
    if not 0 <= chosen.seed < FIRST_TUNING_SEED // 10_000:
        _parser().error(
            f"--seed must lie in 0–{FIRST_TUNING_SEED // 10_000 - 1}; seeds beyond are for tuning"
        )
    if chosen.tune:
        return _tune(traces, rounds)
    first = chosen.seed * 10_000
    engines = {name: ENGINES[name] for name in ENGINES if name == DEFAULT or name in chosen.engines}
    rows = {name: _score_all(engines, cases, chosen.bootstrap) for name, cases in _fat_tree(first, traces)}
    own = {name: _score_all(engines, cases, chosen.bootstrap) for name, cases in _own_graph(first, rounds)}
    return {
        "rows": rows,
        "own": {name: scores[DEFAULT] for name, scores in own.items()},
        "own_engines": own,
        "bars": {"flock": FLOCK, "own": OWN_BARS},
        "held": _held(rows, own),
        "traces": traces,
        "rounds": rounds,
        "first_seed": first,
        "first_tuning_seed": FIRST_TUNING_SEED,
        "parameters": {name: dataclasses.asdict(engine) for name, engine in ENGINES.items()},  # type: ignore[call-overload]
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks localise", description=__doc__)
    parser.add_argument("--traces", type=int, default=64, help="fat-tree traces per row")
    parser.add_argument("--rounds", type=int, default=300, help="rounds of the own graph per row")
    parser.add_argument(
        "--engines", nargs="*", default=list(ENGINES), choices=list(ENGINES), help="beside the default"
    )
    parser.add_argument("--seed", type=int, default=1, help="which fresh seeds")
    parser.add_argument("--bootstrap", type=int, default=2000, help="resamples of an interval")
    parser.add_argument("--quick", action="store_true", help="8 traces and 20 rounds: wide intervals")
    parser.add_argument("--tune", action="store_true", help="F1 over a grid of parameters, on tuning seeds")
    return parser


def _fat_tree(first: int, traces: int) -> Iterator[tuple[str, list[Case]]]:
    """S1: f = 1..8 in turn. S2: f = 4, k flows per host."""
    seeds = range(first, first + traces)
    passive = (passive_trace(seed, faults=1 + seed % 8) for seed in seeds)
    yield "S1", [(trace.observations, trace.faults) for trace in passive]
    for flows in (5, 10, 20, 50):
        active = (active_trace(seed, faults=4, flows_per_host=flows) for seed in seeds)
        yield f"S2_k{flows}", [(trace.observations, trace.faults) for trace in active]


def _own_graph(first: int, rounds: int) -> Iterator[tuple[str, list[Case]]]:
    """10 clusters × 100 nodes. In the plain rows the kind of each fault is drawn first; ``_any`` rows draw
    among all parts alike, 94 % of which are ``node-out`` and ``node-in``."""
    for suffix, by_kind in (("", True), ("_any", False)):
        for name, packets, loss in (("dead_5", 5, (1.0, 1.0)), ("lossy_20", 20, (0.01, 0.2))):
            seeds = range(first, first + rounds)
            drawn = (fleet_round(seed, packets=packets, loss=loss, by_kind=by_kind) for seed in seeds)
            yield name + suffix, [(one.observations, one.faults) for one in drawn]


def _score_all(
    engines: dict[str, Localiser], cases: Sequence[Case], resamples: int
) -> dict[str, dict[str, float]]:
    """The default engine meets all cases, the others (NetBouncer takes its time) the first of them."""
    return {
        name: _score(engine, cases if name == DEFAULT else cases[:COMPARED], resamples)
        for name, engine in engines.items()
    }


def _score(engine: Localiser, cases: Sequence[Case], resamples: int) -> dict[str, float]:
    begin = time.perf_counter()
    tallies = np.array([_judge(engine, case) for case in cases])
    seconds = time.perf_counter() - begin
    right, wrong, missed = tallies.sum(axis=0).tolist()
    pick = np.random.default_rng(0).integers(0, len(cases), (resamples, len(cases)))
    samples = [_f1(*tally) for tally in tallies[pick].sum(axis=1).tolist()]
    low, high = np.quantile(samples, (0.025, 0.975)).tolist()
    return {
        "f1": _f1(right, wrong, missed),
        "low": low,
        "high": high,
        "precision": right / (right + wrong) if right + wrong else 1.0,
        "recall": right / (right + missed) if right + missed else 1.0,
        "cases": len(cases),
        "faults": right + missed,
        "seconds_per_trace": seconds / len(cases),
    }


def _judge(engine: Localiser, case: Case) -> Tally:
    """A fault reported as hidden counts as right: no check could have seen it."""
    observations, faults = case
    answer = engine.localise(observations)
    accused = {part for suspect in answer.suspects for part in suspect.components}
    named = faults & (accused | set(answer.hidden))
    return len(named), len(accused - faults), len(faults - named)


def _f1(right: float, wrong: float, missed: float) -> float:
    return 2 * right / (2 * right + wrong + missed) if right + wrong + missed else 1.0


def _held(
    rows: dict[str, dict[str, dict[str, float]]], own: dict[str, dict[str, dict[str, float]]]
) -> dict[str, bool]:
    """Whether each bar lies at or below the upper end of the interval of the default engine's F1."""
    held = {name: rows[name][DEFAULT]["high"] >= bar for name, bar in FLOCK.items()}
    return held | {f"own_{name}": own[name][DEFAULT]["high"] >= bar for name, bar in OWN_BARS.items()}


def _tune(traces: int, rounds: int) -> dict[str, object]:
    first = FIRST_TUNING_SEED
    every: list[tuple[str, list[Case]]] = [*_fat_tree(first, traces), *_own_graph(first, rounds)]
    return {name: dict(_grid(engines, every)) for name, engines in GRIDS.items()}


def _grid(
    engines: Iterable[Localiser], rows: Sequence[tuple[str, list[Case]]]
) -> Iterator[tuple[str, dict[str, float]]]:
    for engine in engines:
        scores = {}
        for name, cases in rows:
            tallies = [_judge(engine, case) for case in cases]
            scores[name] = _f1(*np.sum(tallies, axis=0).tolist())
        yield str(engine), scores | {"mean": float(np.mean(list(scores.values())))}
