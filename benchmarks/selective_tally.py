"""What a localiser of selective faults got right.

Rules of judging: rows that sent nothing, and rows that lose everything by another fault, cannot show whether
a fault is in them; answer and fault are compared on the others. A fault that no such row shows is not
counted. Where the localiser has no name for a dead class (an attribute is hidden from it), the right answer
is ``split``: this part, some of its rows, by nothing that is known; for a lossy class it is the part with
that mode.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.selective_world import SelectiveFault
from netprobe.analysis.localise.loss_modes import LossMode
from netprobe.model.arrays import FloatArray, IntArray
from netprobe.model.component import Component

SURE = 0.8
_BINS = 10
_STEPS, _SMALL = 50, 1e-6
"""Of Newton's method: how many at most, and a step that changes nothing."""


@dataclass(frozen=True, slots=True)
class LocaliserAnswer:
    """What a localiser said, in the terms of the judge."""

    components: frozenset[Component]
    rows: frozenset[int]
    mode: LossMode
    confidence: float


@dataclass
class FaultTally:
    """Faults and answers, counted by kind of fault."""

    counts: Counter[str] = field(default_factory=Counter)
    said: list[tuple[float, bool]] = field(default_factory=list)
    """Confidence of each answer, and whether exactly its rows and its mode were broken."""
    seconds: list[float] = field(default_factory=list)
    """CPU time of each answer."""

    def judge(
        self,
        faults: Sequence[SelectiveFault],
        said: Sequence[LocaliserAnswer],
        sent: IntArray,
        lost: IntArray,
        *,
        nameless: frozenset[int] = frozenset(),
        parts: int = 0,
    ) -> None:
        """Match answers to faults; *nameless*: places of faults whose class the localiser cannot name.

        *parts*: how many parts the fleet has.
        """
        left = list(said)
        measured = frozenset(np.flatnonzero(sent).tolist())
        hidden = list[SelectiveFault]()
        for place, fault in enumerate(faults):
            dead = (one.rows for one in faults if one is not fault and one.mode is LossMode.DEAD)
            shown = measured.difference(*dead)
            rows = fault.rows & shown
            if not rows or not lost[list(rows)].any():
                hidden.append(fault)
                continue
            is_nameless = place in nameless
            exact = [one for one in left if _is_exact(one, fault, rows, shown, is_nameless=is_nameless)]
            near = exact or [
                one for one in left if fault.component in one.components or one.rows & shown == rows
            ]
            self._count(fault, bool(near), bool(exact))
            if near:
                left.remove(near[0])
                self.said.append((near[0].confidence, bool(exact)))
        for fault in hidden:  # an answer about it is neither right nor wrong
            left = [one for one in left if fault.component not in one.components]
        guilty = frozenset(fault.component for fault in faults)
        self.counts["answers"] += len(said)
        self.counts["false"] += len(left)
        self.counts["innocent"] += sum(not one.components & guilty for one in left)
        self.counts["healthy parts"] += parts - len(guilty)
        self.said += [(one.confidence, False) for one in left]

    def _count(self, fault: SelectiveFault, is_near: bool, is_exact: bool) -> None:
        group = f"{fault.mode}-{len(fault.conditions)}"
        self.counts["faults"] += 1
        self.counts["parts"] += is_near
        self.counts["exact"] += is_exact
        self.counts[f"faults {group}"] += 1
        self.counts[f"exact {group}"] += is_exact

    def add(self, other: FaultTally) -> None:
        """Count what *other* counted."""
        self.counts += other.counts
        self.said += other.said
        self.seconds += other.seconds

    @property
    def component_f1(self) -> float:
        """Of parts named: harmonic mean of precision and recall."""
        return self._f1(self.counts["parts"], self.counts["faults"] - self.counts["parts"])

    @property
    def class_f1(self) -> float:
        """Of exactly the rows and the mode of loss: harmonic mean of precision and recall."""
        right = self.counts["exact"]
        inexact = self.counts["parts"] - right
        return self._f1(right, self.counts["faults"] - right, inexact)

    def _f1(self, right: int, missed: int, inexact: int = 0) -> float:
        wrong = self.counts["false"] + inexact
        return round(2 * right / max(1, 2 * right + wrong + missed), 3)

    @property
    def class_exact(self) -> float:
        """Share of faults of which exactly the rows and the mode were named."""
        return round(self.counts["exact"] / max(1, self.counts["faults"]), 3)

    @property
    def innocent_blamed(self) -> float:
        """Share of the healthy parts that an answer names, unless a broken part is among its names."""
        return round(self.counts["innocent"] / max(1, self.counts["healthy parts"]), 6)

    @property
    def wrong_confident(self) -> float:
        """Share of wrong answers among those given with at least `SURE`."""
        sure = [is_right for confidence, is_right in self.said if confidence >= SURE]
        return round(sure.count(False) / max(1, len(sure)), 3)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error over ten bins of confidence."""
        confidence = np.array([one for one, _ in self.said] or [0.0])
        is_right = np.array([float(one) for _, one in self.said] or [0.0])
        bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
        error = sum(
            (bins == b).mean() * abs(confidence[bins == b].mean() - is_right[bins == b].mean())
            for b in np.unique(bins)
        )
        return round(float(error), 3)

    @property
    def exact_by_kind(self) -> dict[str, float]:
        """`class_exact` by mode of loss and number of conditions."""
        groups = sorted(name.removeprefix("faults ") for name in self.counts if name.startswith("faults "))
        return {g: round(self.counts[f"exact {g}"] / self.counts[f"faults {g}"], 3) for g in groups}


def fit_calibration(said: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """Slope and offset of the log odds that make *said* (log odds, whether right) most likely.

    Logistic regression (Platt 1999) by Newton's method, with Platt's targets instead of 0 and 1.
    """
    odds: FloatArray = np.array([one for one, _ in said])
    right = np.array([float(one) for _, one in said])
    high, low = (right.sum() + 1) / (right.sum() + 2), 1 / (len(right) - right.sum() + 2)
    target = np.where(right > 0, high, low)
    inputs, weights = np.stack((odds, np.ones_like(odds)), 1), np.array([1.0, 0.0])

    def cost(trial: FloatArray) -> float:
        return float((np.logaddexp(0, inputs @ trial) - target * (inputs @ trial)).sum())

    for _ in range(_STEPS):
        likely = 1 / (1 + np.exp(-inputs @ weights))
        curvature = (inputs * (likely * (1 - likely))[:, None]).T @ inputs + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, inputs.T @ (target - likely))
        while cost(weights + step) > cost(weights) and np.abs(step).max() > _SMALL:
            step = step / 2
        weights = weights + step
    return round(float(weights[0]), 2), round(float(weights[1]), 2)


def _is_exact(
    one: LocaliserAnswer,
    fault: SelectiveFault,
    rows: frozenset[int],
    shown: frozenset[int],
    *,
    is_nameless: bool,
) -> bool:
    if is_nameless:
        mode = LossMode.SPLIT if fault.mode is LossMode.DEAD else fault.mode
        return one.mode is mode and fault.component in one.components and one.rows >= rows
    is_mode = one.mode is fault.mode or (one.mode is LossMode.SPLIT and fault.mode is LossMode.HASH)
    return is_mode and one.rows & shown == rows
