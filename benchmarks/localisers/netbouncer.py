"""NetBouncer (Tan et al., NSDI 2019): fit a success rate to every part by least squares.

Minimises Σ (y_j − Π x_i)² + λ Σ x_i(1 − x_i) over 0 ≤ x_i ≤ 1, y_j the success rate of row j, by coordinate
descent; the second term pulls each x to 0 or 1, so that healthy parts stand out. Rows are weighed by what
they sent. Rows whose path is unknown are left out: NetBouncer chooses its paths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netprobe.analysis.localise.evidence import L, Observations
from netprobe.analysis.localise.interface import Localisation
from netprobe.analysis.localise.verdict import Accused, conclude
from netprobe.model.arrays import FloatArray, IntArray

_FLOOR = 1e-6
"""Success rates stay above this, so that a row's product can be divided by one of its factors."""


@dataclass(frozen=True, slots=True)
class NetBouncer:
    """Regularised least squares. The gain of a suspect is its loss rate."""

    penalty: float = 1.0
    """λ, in units of the mean weight of a row."""
    threshold: float = 2e-3
    """A part is accused when its fitted loss is at least this."""
    sweeps: int = 30
    settled: float = 1e-6
    """Stop when no success rate moved further in one sweep."""

    def localise(self, observations: Observations[L]) -> Localisation[L]:
        """Fit all success rates and accuse those that are too low."""
        problem = _Problem.of(observations)
        success = problem.fit(self)
        bad = np.flatnonzero(1 - success >= self.threshold)
        accused = [
            Accused(part, loss, loss)
            for part, loss in zip(bad.tolist(), (1 - success[bad]).tolist(), strict=True)
        ]
        return conclude(observations, accused)


@dataclass(frozen=True, eq=False)
class _Problem:
    row: IntArray
    """Rows that cross component c: ``row[slice_of[c]:slice_of[c + 1]]``."""
    slice_of: IntArray
    success: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, observations: Observations[L]) -> _Problem:
        matrix, crossings = observations.matrix, observations.matrix.crossings
        known = (observations.sent > 0) & (matrix.paths_per_row == 1)
        kept = known[crossings.row] & (observations.classes[crossings.component] == crossings.component)
        row, component = crossings.row[kept], crossings.component[kept]
        order = np.argsort(component, kind="stable")
        slice_of = np.searchsorted(component[order], np.arange(len(matrix.components) + 1))
        mean = observations.sent[known].mean() if known.any() else 1.0
        success = 1 - observations.lost / np.maximum(observations.sent, 1)
        return cls(row[order], slice_of.astype(np.int64), success, observations.sent / mean)

    def fit(self, settings: NetBouncer) -> FloatArray:
        """Success rate of every component; 1 where no row tells."""
        parts = np.flatnonzero(np.diff(self.slice_of) > 0).tolist()
        success = np.ones(len(self.slice_of) - 1)
        for part in parts:
            rows = self._rows(part)
            success[part] = max(float(np.average(self.success[rows], weights=self.weight[rows])), _FLOOR)
        product = np.ones(len(self.success))
        for part in parts:
            product[self._rows(part)] *= success[part]
        for _ in range(settings.sweeps):
            before = success.copy()
            for part in parts:
                rows = self._rows(part)
                others = product[rows] / success[part]
                success[part] = self._minimise(rows, others, settings.penalty)
                product[rows] = others * success[part]
            if float(np.abs(success - before).max(initial=0.0)) <= settings.settled:
                break
        return success

    def _rows(self, part: int) -> IntArray:
        return self.row[self.slice_of[part] : self.slice_of[part + 1]]

    def _minimise(self, rows: IntArray, others: FloatArray, penalty: float) -> float:
        """The lowest point of the objective in one success rate, all others standing still: a parabola."""
        weighted = self.weight[rows] * others
        square, cross = float(weighted @ others), float(weighted @ self.success[rows])
        if square <= penalty:  # the parabola opens downwards: an end is lowest
            return 1.0 if square - 2 * cross <= 0 else _FLOOR
        return min(max((2 * cross - penalty) / (2 * (square - penalty)), _FLOOR), 1.0)
