"""Selective faults: random parts that drop a random class of traffic, on the planner's own plan.

Beside it, on the same rows: the engines for whole parts alone (set cover for what is dead, then a rate per
part). Every figure is over worlds with one or two faults; seeds are in the code. The simulator draws classes
from the attributes that the localiser knows, so these figures are upper bounds; real packets decide
(`lab-score`).
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.plan_classes import compare_classes, with_ipv6
from netprobe.analysis.diagnosis.loss_rows import LEGS, Leg
from netprobe.analysis.diagnosis.traffic_rows import TrafficRows
from netprobe.analysis.localise.evidence import Observations
from netprobe.analysis.localise.greedy_lr import GreedyLikelihood
from netprobe.analysis.localise.loss_modes import LossMode
from netprobe.analysis.localise.selective import SelectiveLocaliser
from netprobe.analysis.localise.set_cover import SetCover
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.arrays import BoolArray, IntArray
from netprobe.model.component import Component, ComponentKind
from netprobe.model.traffic import Attribute, TrafficCondition
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.simulate.fleet import FleetShape, build_inventory

BACKGROUND = 1e-4
PROBES = 20
SURE = 0.8
_KINDS = (
    ComponentKind.TUNNEL, ComponentKind.GATEWAY_OUT, ComponentKind.GATEWAY_IN, ComponentKind.NODE_OUT,
    ComponentKind.NODE_IN, ComponentKind.POD_OUT, ComponentKind.POD_IN, ComponentKind.OVERLAY,
)  # fmt: skip
_LEAST_CROSSINGS = 4
_WHOLE_DEAD = SetCover(bad_share=0.999, good_share=0.0)
_WHOLE_LOSSY = GreedyLikelihood(threshold=10.0, healthy_bound=1e-3, background=BACKGROUND)
_WHOLE_CONFIDENCE = 0.9
"""What the table says of most parts, whatever the evidence."""


@dataclass(frozen=True, slots=True)
class SelectiveFault:
    """What is broken: a part, for a class of its traffic."""

    component: Component
    conditions: tuple[TrafficCondition, ...]
    mode: LossMode
    loss: float
    rows: frozenset[int]


@dataclass(frozen=True, slots=True)
class LocaliserAnswer:
    """What a localiser said, in the terms of the judge."""

    components: frozenset[Component]
    rows: frozenset[int]
    mode: LossMode
    confidence: float


class SelectiveWorld:
    """One plan's rows, the faults put into it, and what each row then sends and loses."""

    def __init__(self, shape: FleetShape, *, epoch: int = 0, seed: int = 1) -> None:
        inventory = with_ipv6(build_inventory(shape))
        plan = plan_fleet(inventory, epoch=epoch, seed=seed, interval_ns=10**10, cookie_key=b"x" * 32)
        self.index = PlanIndex(inventory, plan)
        self.rows = TrafficRows(self.index)
        self.table = self.rows.table
        counted = np.repeat(self.index.is_counted[self.table.check[:: len(LEGS)]], len(LEGS))
        leg = np.arange(self.table.rows) % len(LEGS)
        self.is_used: BoolArray = (leg == LEGS.index(Leg.BOTH)) ^ counted
        self.is_back: BoolArray = self.is_used & (leg == LEGS.index(Leg.BACK))

    def draw(self, rng: np.random.Generator) -> SelectiveFault:
        """Half dead in a class of up to two conditions, a tenth lossy in one, 15 % hash, else plain loss."""
        parts = list(self.table.components)
        kinds = [part.kind for part in parts]
        while True:
            kind = _KINDS[int(rng.integers(len(_KINDS)))]
            candidates = [number for number, one in enumerate(kinds) if one is kind]
            component = candidates[int(rng.integers(len(candidates)))]
            here = self.table.at(component)
            entries = np.arange(here.start, here.stop)[self.is_used[self.table.row[here]]]
            if len(entries) < _LEAST_CROSSINGS:
                continue
            what = rng.choice(["dead", "class", "hash", "loss"], p=[0.5, 0.1, 0.15, 0.25])
            wanted = int(rng.integers(0, 3)) if what == "dead" else int(what == "class")
            codes = self.table.codes[entries]
            varied = np.flatnonzero(np.ptp(codes, axis=0))
            if len(varied) < wanted:
                continue
            model = codes[int(rng.integers(len(entries)))]
            chosen = sorted(rng.choice(varied, wanted, replace=False).tolist())
            met = np.all(codes[:, chosen] == model[chosen], axis=1)
            loss = {
                "class": rng.uniform(0.05, 0.6),
                "loss": rng.uniform(0.01, 0.2),
                "hash": rng.choice([0.5, 0.25]),
            }
            mode = {"dead": LossMode.DEAD, "hash": LossMode.HASH}.get(str(what), LossMode.RATE)
            conditions = tuple(
                TrafficCondition(self.table.attributes[a], self.table.values[a][int(model[a])])
                for a in chosen
            )
            rows = frozenset(self.table.row[entries[met]].tolist())
            return SelectiveFault(parts[component], conditions, mode, float(loss.get(str(what), 1.0)), rows)

    def play(self, faults: Iterable[SelectiveFault], rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """What every row sent and lost."""
        survive = (1 - BACKGROUND) ** self.table.length
        for fault in faults:
            rows = np.array(sorted(fault.rows), np.int64)
            passing = np.full(len(rows), 1 - fault.loss)
            if fault.mode is LossMode.HASH:
                dies = rng.random(len(rows)) < fault.loss
                passing = np.where(self.table.is_kept[rows], ~dies, passing)
            survive[rows] *= passing
        sent = np.where(self.is_used, PROBES, 0)
        through = rng.binomial(sent, survive)
        back = np.flatnonzero(self.is_back)
        sent[back] = through[back - 1]  # the row of the way out stands before it
        through[back] = rng.binomial(sent[back], survive[back])
        return sent, sent - through


Locate = Callable[[IntArray, IntArray], list[LocaliserAnswer]]


def selective(world: SelectiveWorld) -> Locate:
    """The localiser of selective faults."""
    localiser = SelectiveLocaliser(world.table)

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
        name: np.isin(np.arange(table.rows), _rows_with(world, *condition))
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


@dataclass
class FaultTally:
    """What a localiser got right, by kind of fault."""

    counts: Counter[str] = field(default_factory=Counter)
    told: list[tuple[float, bool]] = field(default_factory=list)
    """Confidence of each answer, and whether exactly its rows and its mode were broken."""
    seconds: list[float] = field(default_factory=list)

    def judge(self, faults: list[SelectiveFault], said: list[LocaliserAnswer], lost: IntArray) -> None:
        """Match answers to faults; a fault that lost nothing or hides behind a dead one is not counted."""
        left = list(said)
        for fault in faults:
            dead = (one.rows for one in faults if one is not fault and one.mode is LossMode.DEAD)
            is_visible = lost[list(fault.rows)].any() and not fault.rows <= frozenset().union(*dead)
            exact = [one for one in left if one.rows == fault.rows and _is_mode(one, fault)]
            near = exact or [
                one for one in left if fault.component in one.components or one.rows == fault.rows
            ]
            if near:
                left.remove(near[0])
            if not is_visible:
                continue
            self.counts["faults"] += 1
            self.counts["parts"] += bool(near)
            self.counts["exact"] += bool(exact)
            group = f"{fault.mode}-{len(fault.conditions)}"
            self.counts[f"faults {group}"] += 1
            self.counts[f"exact {group}"] += bool(exact)
            if near:
                self.told.append((near[0].confidence, bool(exact)))
        self.counts["false"] += len(left)
        self.told += [(one.confidence, False) for one in left]

    @property
    def component_f1(self) -> float:
        """Of parts named: harmonic mean of precision and recall."""
        right = self.counts["parts"]
        return round(2 * right / max(1, 2 * right + self.counts["false"] + self.counts["faults"] - right), 3)

    @property
    def class_share(self) -> float:
        """Share of faults of which exactly the rows and the mode were named."""
        return round(self.counts["exact"] / max(1, self.counts["faults"]), 3)

    @property
    def wrong_confident(self) -> float:
        """Share of wrong answers among those given with at least `SURE`."""
        sure = [is_right for confidence, is_right in self.told if confidence >= SURE]
        return round(sure.count(False) / max(1, len(sure)), 3)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error over ten bins of confidence."""
        confidence = np.array([one for one, _ in self.told] or [0.0])
        is_right = np.array([float(one) for _, one in self.told] or [0.0])
        bins = np.minimum((confidence * 10).astype(int), 9)
        error = sum(
            (bins == b).mean() * abs(confidence[bins == b].mean() - is_right[bins == b].mean())
            for b in np.unique(bins)
        )
        return round(float(error), 3)


def run(arguments: list[str]) -> dict[str, object]:
    """Play worlds; the same ones for every localiser."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks selective")
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--epoch", type=int, default=0)
    parser.add_argument("--seed", type=int, default=10_000)
    asked = parser.parse_args(arguments)
    world = SelectiveWorld(FleetShape(asked.clusters, asked.nodes), epoch=asked.epoch)
    locate = {"": selective(world), "baseline_": whole_parts(world)}
    tallies = {name: FaultTally() for name in locate}
    for number in range(asked.worlds):
        rng = np.random.default_rng(asked.seed + number)
        faults = [world.draw(rng) for _ in range(int(rng.integers(1, 3)))]
        sent, lost = world.play(faults, rng)
        for name, one in locate.items():
            begun = time.process_time()
            said = one(sent, lost)
            tallies[name].seconds.append(time.process_time() - begun)
            tallies[name].judge(faults, said, lost)
    return {
        "worlds": asked.worlds,
        "checks": len(world.index.checks),
        "faults": tallies[""].counts["faults"],
        **{key: value for name, tally in tallies.items() for key, value in _figures(name, tally).items()},
        **compare_classes(asked.clusters, asked.nodes, epoch=asked.epoch, seed=1),
    }


def _figures(prefix: str, tally: FaultTally) -> dict[str, object]:
    groups = sorted(name.removeprefix("faults ") for name in tally.counts if name.startswith("faults "))
    exact = {g: round(tally.counts[f"exact {g}"] / tally.counts[f"faults {g}"], 3) for g in groups}
    return {
        f"{prefix}component_f1": tally.component_f1,
        f"{prefix}class_exact": tally.class_share,
        f"{prefix}wrong_confident": tally.wrong_confident,
        f"{prefix}calibration_error": tally.calibration_error,
        f"{prefix}false": tally.counts["false"],
        f"{prefix}exact_by_kind": exact,
        f"{prefix}cpu_ms_p50": round(1000 * float(np.median(tally.seconds)), 1),
        f"{prefix}cpu_ms_p95": round(1000 * float(np.quantile(tally.seconds, 0.95)), 1),
    }


def _is_mode(one: LocaliserAnswer, fault: SelectiveFault) -> bool:
    return one.mode is fault.mode or (one.mode is LossMode.SPLIT and fault.mode is LossMode.HASH)


def _rows_with(world: SelectiveWorld, attribute: Attribute, value: str) -> IntArray:
    table = world.table
    column = table.attributes.index(attribute)
    rows: IntArray = table.row[table.codes[:, column] == table.values[column].index(value)]
    return rows
