"""Latency baselines: what is usual for each path, and which paths are far above it.

Rules: robust statistics only, the median and the median absolute deviation (Rousseeuw and Croux, JASA 1993)
of the logarithm of the p50, so one odd window changes nothing. No path is slow before it has enough quiet
windows. Slow windows are not learnt from, until they have lasted so long that they are the new usual. All
paths are arrays indexed by check number.
"""

from __future__ import annotations

import numpy as np

from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.model.arrays import BoolArray, FloatArray, IntArray

LEARNT = 30
"""Quiet windows before a path has a baseline: five minutes at ten seconds."""
_MEMORY = 60
_REFRESH = 10
"""A baseline is computed again after so many quiet windows."""
_SPREADS = 6.0
_NORMAL = 1.4826
"""Times the median absolute deviation is the standard deviation of normal noise."""
_LEAST_OCTAVES = 1.0
"""A path is slow at twice its usual latency or more …"""
_LEAST_NS = 5_000_000
"""… and at least this much above it: hosts under load are late by milliseconds."""
_LASTING = 3
"""Slow windows in a row before a path is slow."""
_NEW_USUAL = 360
"""Slow windows in a row after which the path has simply become slower: an hour at ten seconds."""


class LatencyBaselines:
    """The usual latency of every path of one plan."""

    def __init__(self, size: int) -> None:
        """*size* is the number of checks."""
        self._quiet: FloatArray = np.full((size, _MEMORY), np.nan)
        """log2 of the p50 in nanoseconds of quiet windows, written round and round."""
        self._learnt: IntArray = np.zeros(size, np.int64)
        """Quiet windows written since the beginning."""
        self._fresh: IntArray = np.zeros(size, np.int64)
        self._middle: FloatArray = np.full(size, np.nan)
        self._bound: FloatArray = np.full(size, np.inf)
        self._slow: IntArray = np.zeros(size, np.int64)
        """Slow windows in a row."""

    def replan(self, migration: PlanMigration) -> None:
        """Go on with the next plan: what continues keeps what was learnt."""
        after = LatencyBaselines(len(migration.after.checks))
        self._quiet = migration.array(self._quiet, fresh=after._quiet)
        self._learnt = migration.array(self._learnt, fresh=after._learnt)
        self._fresh = migration.array(self._fresh, fresh=after._fresh)
        self._middle = migration.array(self._middle, fresh=after._middle)
        self._bound = migration.array(self._bound, fresh=after._bound)
        self._slow = migration.array(self._slow, fresh=after._slow)

    def see(self, observation: IntervalObservation) -> frozenset[int]:
        """Learn from one interval; return the checks that are slow, for several intervals in a row by now."""
        seen = observation.seen
        value = seen.log_rtt
        told = (seen.asked > 0) & ~np.isnan(value)
        slow = told & ~np.isnan(self._middle) & (value > self._bound)
        self._slow = np.where(told, np.where(slow, self._slow + 1, 0), self._slow)
        self._learn(np.flatnonzero(told & ~slow & seen.is_good), value)
        self._settle(np.flatnonzero(slow & (self._slow >= _NEW_USUAL)))
        return frozenset(np.flatnonzero((seen.asked > 0) & (self._slow >= _LASTING)).tolist())

    def usual_ns(self, number: int) -> float | None:
        """The usual p50 of a path; None while it is being learnt."""
        middle = float(self._middle[number])
        return None if np.isnan(middle) else 2**middle

    def _learn(self, rows: IntArray, value: FloatArray) -> None:
        self._quiet[rows, self._learnt[rows] % _MEMORY] = value[rows]
        self._learnt[rows] += 1
        self._fresh[rows] += 1
        is_due = np.isnan(self._middle[rows]) | (self._fresh[rows] >= _REFRESH)
        due = rows[(self._learnt[rows] >= LEARNT) & is_due]
        if not len(due):
            return
        self._fresh[due] = 0
        middle = _median(self._quiet[due])
        spread = _NORMAL * _median(np.abs(self._quiet[due] - middle[:, None]))
        least = np.maximum(_LEAST_OCTAVES, np.log2(1 + _LEAST_NS / 2**middle))
        self._middle[due], self._bound[due] = middle, middle + np.maximum(_SPREADS * spread, least)

    def _settle(self, rows: IntArray) -> None:
        """Learn again what has been slow for so long."""
        self._quiet[rows], self._middle[rows], self._bound[rows] = np.nan, np.nan, np.inf
        self._learnt[rows], self._fresh[rows], self._slow[rows] = 0, 0, 0


def _median(rows: FloatArray) -> FloatArray:
    """The median of each row; NaN fills the end of a row that is not full."""
    count = rows.shape[1] - np.isnan(rows).sum(axis=1)
    is_full: BoolArray = count == rows.shape[1]
    found = np.empty(len(rows))
    found[is_full] = np.median(rows[is_full], axis=1)
    ordered = np.sort(rows[~is_full], axis=1)  # NaN come last
    count, row = count[~is_full], np.arange(len(ordered))
    found[~is_full] = (ordered[row, (count - 1) // 2] + ordered[row, count // 2]) / 2
    return found
