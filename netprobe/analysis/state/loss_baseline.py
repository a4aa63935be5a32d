"""Loss baselines: what each path usually loses, and which paths lose more than that.

Rules: one window says little about loss, so ten windows make a block, and three blocks, about five minutes at
ten seconds, are evaluated together. The usual loss is the median of the last blocks that were not above it,
so a burst changes nothing. Nothing is reported before three blocks. A baseline only accuses: a path that has
always lost a tenth of its packets is degraded all the same (`path_state`).
"""

from __future__ import annotations

import numpy as np

from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.model.arrays import BoolArray, FloatArray, IntArray

_BLOCK = 10
"""Windows."""
_RECENT = 3
"""Blocks that are judged together, the one being filled among them."""
_MEMORY = 12
"""Blocks whose median is the usual loss: twenty minutes at ten seconds."""
_LEAST_USUAL = 1e-3
"""No path is held to losing less than this."""
_LEAST_WINDOWS = 3
"""A burst spoils a window or two."""
_CHANCE = 1e-6


class LossBaselines:
    """The usual loss of every path of one plan, as arrays by number of the check."""

    def __init__(self, size: int) -> None:
        """*size* is the number of checks."""
        self._windows: IntArray = np.zeros(size, np.int64)
        self._asked: IntArray = np.zeros((size, _RECENT), np.int64)
        self._lost: IntArray = np.zeros((size, _RECENT), np.int64)
        self._spoiled: IntArray = np.zeros((size, _RECENT), np.int64)
        """Windows of each block that lost something but not everything."""
        self._history: FloatArray = np.full((size, _MEMORY), np.nan)
        self._usual: FloatArray = np.full(size, np.nan)

    def replan(self, migration: PlanMigration) -> None:
        """Go on with the next plan: what continues keeps what was learnt."""
        after = LossBaselines(len(migration.after.checks))
        self._windows = migration.array(self._windows, fresh=after._windows)
        self._asked = migration.array(self._asked, fresh=after._asked)
        self._lost = migration.array(self._lost, fresh=after._lost)
        self._spoiled = migration.array(self._spoiled, fresh=after._spoiled)
        self._history = migration.array(self._history, fresh=after._history)
        self._usual = migration.array(self._usual, fresh=after._usual)

    def usual(self, number: int) -> float | None:
        """The share that a path usually loses, 0–1; None while it is being learnt."""
        usual = float(self._usual[number])
        return None if np.isnan(usual) else usual

    def see(self, observation: IntervalObservation) -> frozenset[int]:
        """Learn from one interval; return the checks that lose more than they usually do."""
        seen = observation.seen
        rows = np.flatnonzero((seen.asked > 0) & ~seen.is_dead)  # an outage is not a loss rate
        block = self._windows[rows] // _BLOCK % _RECENT
        begin = self._windows[rows] % _BLOCK == 0
        for counts in (self._asked, self._lost, self._spoiled):
            counts[rows[begin], block[begin]] = 0
        lost = seen.asked[rows] - seen.reached[rows]
        self._asked[rows, block] += seen.asked[rows]
        self._lost[rows, block] += lost
        self._spoiled[rows, block] += lost > 0
        self._windows[rows] += 1
        beyond = self._is_beyond(rows)
        self._learn(rows[~beyond & (self._windows[rows] % _BLOCK == 0)])
        return frozenset(rows[beyond].tolist())

    def _is_beyond(self, rows: IntArray) -> BoolArray:
        """Whether chance explains so many losses with less than `_CHANCE` (Chernoff's bound)."""
        beyond = np.zeros(len(rows), np.bool_)
        spoiled = self._spoiled[rows].sum(axis=1) >= _LEAST_WINDOWS
        asked_about = np.flatnonzero(spoiled & ~np.isnan(self._usual[rows]))
        some = rows[asked_about]
        sent, lost = self._asked[some].sum(axis=1), self._lost[some].sum(axis=1)
        usual, share = np.maximum(self._usual[some], _LEAST_USUAL), lost / np.maximum(1, sent)
        usual, inside = np.minimum(usual, 1 - 1e-9), np.clip(share, 1e-9, 1 - 1e-9)
        distance = inside * np.log(inside / usual) + (1 - inside) * np.log((1 - inside) / (1 - usual))
        beyond[asked_about] = (share > usual) & (np.exp(-sent * distance) < _CHANCE)
        return beyond

    def _learn(self, rows: IntArray) -> None:
        """Blocks that have just been filled."""
        filled = self._windows[rows] // _BLOCK - 1
        block = filled % _RECENT
        asked = np.maximum(1, self._asked[rows, block])
        self._history[rows, filled % _MEMORY] = self._lost[rows, block] / asked
        known = rows[(~np.isnan(self._history[rows])).sum(axis=1) >= _RECENT]
        if len(known):
            self._usual[known] = np.nanmedian(self._history[known], axis=1)
