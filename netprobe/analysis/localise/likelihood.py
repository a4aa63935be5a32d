"""How likely the losses are, given a loss rate per component.

Model: a packet survives component c with probability exp(−r_c), so a path with rate R = Σ r_c loses
Binomial(n, 1 − exp(−R)). A row that may have taken one of several paths has the mean of their likelihoods.
Working with rates instead of probabilities keeps dead parts (r large) and background (r tiny) in one formula,
and makes a row on a known path that lost nothing *linear* in every rate: such rows are summed up once per
component, and only the few rows that lost something are looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from netprobe.analysis.localise.evidence import L, Observations, ranges
from netprobe.model.arrays import FloatArray, IntArray

MAX_RATE = 7.0
"""exp(−7): 99.9 % lost is as dead as anything can be seen to be."""
MIN_RATE = 1e-6
_GRID = np.geomspace(1e-4, MAX_RATE, 25)
_GOLDEN = (np.sqrt(5.0) - 1) / 2
_GOLDEN_STEPS = 12


class Rows(NamedTuple):
    """The rows whose likelihood is not linear, spread over their paths."""

    number: IntArray
    """Row numbers of the observations, ascending."""
    path_start: IntArray
    """Index of each row's first path below; a row's paths stand together."""
    path_row: IntArray
    """For each path its position in *number*."""
    through: FloatArray
    """Per path: packets of its row that came through."""
    lost: FloatArray
    length: FloatArray
    """Per path: how many components it crosses."""
    log_weight: FloatArray
    """Per path: −log of the number of its row's paths."""


class Entries(NamedTuple):
    """(path, component) pairs of the non-linear rows, grouped by component, then by row."""

    path: IntArray
    component: IntArray
    slice_of: IntArray
    """Entries of component c: ``slice_of[c]:slice_of[c + 1]``."""


@dataclass(frozen=True, eq=False)
class LossEvidence:
    """The observations in the shape that the likelihood needs; built once per answer."""

    rows: Rows
    entries: Entries
    through: FloatArray
    """Per component: packets that came through it on known paths that lost nothing (the linear rows)."""
    healthy_crossings: float
    """Σ over the linear rows of packets × components crossed."""
    candidates: IntArray
    """Components (one per class) that a row with losses crosses."""

    @classmethod
    def of(cls, observations: Observations[L]) -> LossEvidence:
        """Sort the rows into linear ones, which are summed up, and the rest."""
        matrix = observations.matrix
        linear = (matrix.paths_per_row == 1) & (observations.lost == 0)
        open_rows = np.flatnonzero(~linear & (observations.sent > 0))
        rows, path_number = _spread(observations, open_rows)
        entries = _enter(observations, path_number)
        crossings = matrix.crossings
        survived = np.where(linear, observations.sent, 0).astype(np.float64)[crossings.row]
        size = len(matrix.components)
        through = np.bincount(crossings.component, weights=survived, minlength=size)
        lossy = np.bincount(entries.component, weights=rows.lost[entries.path], minlength=size)
        return cls(
            rows, entries, through.astype(np.float64), float(survived.sum()), np.flatnonzero(lossy > 0)
        )

    def path_rates(self, background: float) -> FloatArray:
        """Rate of each path when every component it crosses has rate *background*."""
        return self.rows.length * background

    def score_paths(self, rates: FloatArray) -> FloatArray:
        """Log-likelihood of each path (with its weight) at *rates*, without the binomial coefficient."""
        rows = self.rows
        return -rows.through * rates + rows.lost * np.log(-np.expm1(-rates)) + rows.log_weight

    def score_rows(self, rates: FloatArray) -> FloatArray:
        """Log-likelihood of each non-linear row: over its paths, whichever it took."""
        scores = self.score_paths(rates)
        if len(self.rows.number) == len(scores):  # one path each; and reduceat cannot sum up nothing
            return scores
        together: FloatArray = np.logaddexp.reduceat(scores, self.rows.path_start)
        return together

    def crossing(self, component: int) -> IntArray:
        """The non-linear paths that cross *component*."""
        begin, end = self.entries.slice_of[component : component + 2]
        return self.entries.path[begin:end]


class Profile:
    """How the log-likelihood moves with the rate of each of several components, one at a time."""

    def __init__(self, evidence: LossEvidence, rates: FloatArray, components: IntArray) -> None:
        """*rates* are the paths' rates without the components in question."""
        self._components = components
        self._linear = evidence.through[components]
        begin, end = evidence.entries.slice_of[components], evidence.entries.slice_of[components + 1]
        entry = ranges(begin, end)
        path = evidence.entries.path[entry]
        which = np.repeat(np.arange(len(components)), end - begin)
        row = evidence.rows.path_row[path]
        # Entries of one component and one row stand together: paths ascend within a component.
        starts = np.flatnonzero(np.diff(row, prepend=-1) | np.diff(which, prepend=-1))
        self._starts = None if len(starts) == len(path) else starts
        self._owner = which[starts]
        self._which = which
        self._through, self._lost = evidence.rows.through[path], evidence.rows.lost[path]
        self._weight, self._base = evidence.rows.log_weight[path], rates[path]
        now = evidence.score_rows(rates)[row[starts]]
        self._now = now
        self._elsewhere = self._score_elsewhere(now)

    def gain(self, rate: FloatArray) -> FloatArray:
        """Change of the log-likelihood when each component has its *rate* instead of none."""
        scores = self._reduce(self._score(rate))
        if self._elsewhere is not None:
            scores = np.logaddexp(scores, self._elsewhere)
        change = np.bincount(self._owner, weights=scores - self._now, minlength=len(self._components))
        return change - self._linear * rate

    def best(self) -> tuple[FloatArray, FloatArray]:
        """For each component the rate that explains most, and its gain over none."""
        gains = np.array([self.gain(np.full(len(self._components), rate)) for rate in _GRID])
        top = np.argmax(gains, axis=0)
        low = np.where(top > 0, _GRID[np.maximum(top - 1, 0)], MIN_RATE)
        return self._search(np.log(low), np.log(_GRID[np.minimum(top + 1, len(_GRID) - 1)]))

    def _search(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Golden-section search for the highest gain between *low* and *high* (logarithms of rates)."""
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        at_left, at_right = self.gain(np.exp(left)), self.gain(np.exp(right))
        for _ in range(_GOLDEN_STEPS):
            lower = at_left > at_right
            low, high = np.where(lower, low, left), np.where(lower, right, high)
            probe = np.where(lower, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
            at_probe = self.gain(np.exp(probe))
            left, right = np.where(lower, probe, right), np.where(lower, left, probe)
            at_left, at_right = np.where(lower, at_probe, at_right), np.where(lower, at_left, at_probe)
        rate = np.exp(np.where(at_left > at_right, left, right))
        return rate, np.maximum(at_left, at_right)

    def _score(self, rate: FloatArray | float) -> FloatArray:
        added = rate[self._which] if isinstance(rate, np.ndarray) else rate
        total = self._base + added
        scores: FloatArray = -self._through * total + self._lost * np.log(-np.expm1(-total)) + self._weight
        return scores

    def _reduce(self, scores: FloatArray) -> FloatArray:
        if self._starts is None:
            return scores
        reduced: FloatArray = np.logaddexp.reduceat(scores, self._starts) if len(scores) else scores
        return reduced

    def _score_elsewhere(self, now: FloatArray) -> FloatArray | None:
        """Log-likelihood of the row's paths that do not cross the component; None where all do."""
        here = self._reduce(self._score(0.0))
        rest = -np.expm1(np.minimum(here - now, 0.0))
        if not bool(np.any(rest > 1e-12)):
            return None
        return np.where(rest > 1e-12, now + np.log(np.maximum(rest, 1e-12)), -np.inf)


def _spread(observations: Observations[L], open_rows: IntArray) -> tuple[Rows, IntArray]:
    """The open rows path by path, and the matrix's number of each path."""
    matrix = observations.matrix
    count = matrix.paths_per_row[open_rows]
    path_number = ranges(matrix.row_indptr[open_rows], matrix.row_indptr[open_rows + 1])
    path_row = np.repeat(np.arange(len(open_rows)), count)
    sent, lost = observations.sent[open_rows], observations.lost[open_rows]
    length = matrix.path_indptr[path_number + 1] - matrix.path_indptr[path_number]
    rows = Rows(
        number=open_rows,
        path_start=np.cumsum(count) - count,
        path_row=path_row,
        through=(sent - lost)[path_row].astype(np.float64),
        lost=lost[path_row].astype(np.float64),
        length=np.maximum(length, 1).astype(np.float64),
        log_weight=-np.log(count[path_row].astype(np.float64)),
    )
    return rows, path_number


def _enter(observations: Observations[L], path_number: IntArray) -> Entries:
    matrix = observations.matrix
    begin, end = matrix.path_indptr[path_number], matrix.path_indptr[path_number + 1]
    component = matrix.path_indices[ranges(begin, end)]
    path = np.repeat(np.arange(len(path_number)), end - begin)
    # One component speaks for its class.
    first = observations.classes[component] == component
    component, path = component[first], path[first]
    order = np.argsort(component, kind="stable")
    component, path = component[order], path[order]
    slice_of = np.searchsorted(component, np.arange(len(matrix.components) + 1))
    return Entries(path, component, slice_of.astype(np.int64))
