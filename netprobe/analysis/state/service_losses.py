"""What services and names have lost lately, check by check: partial failures show over many intervals.

Rule: counts fade, so that a check is judged by about the last `_MEMORY` intervals and one number per check is
kept. What fails because something behind it is broken is not counted.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.model.arrays import BoolArray, FloatArray, IntArray

_MEMORY = 20
"""Intervals after which a count has faded to a third."""
_NEVER = 1_000_000


class ServiceLosses:
    """Faded counts of every check of a plan; those that ask no service stay zero."""

    def __init__(self, index: PlanIndex) -> None:
        self._served = index.served
        checks = len(index.checks)
        self.asked: FloatArray = np.zeros(checks)
        self.lost: FloatArray = np.zeros(checks)
        self.losing: FloatArray = np.zeros(checks)
        """Asked since a check began to lose some: healthy times do not thin the share out."""
        self.onsets: FloatArray = np.zeros(checks)
        """How often a check began to fail after an interval in which it did not."""
        self.quiet: IntArray = np.full(checks, _NEVER)
        """Intervals since a check last lost something."""
        self._was_failing: BoolArray = np.zeros(checks, np.bool_)

    def see(self, observation: IntervalObservation, *, excused: Collection[int]) -> None:
        """Count one interval; *excused* checks fail because something behind them is broken."""
        seen = observation.seen
        self.losing[self.quiet > _MEMORY] = 0
        for counts in (self.asked, self.lost, self.losing, self.onsets):
            np.multiply(counts, 1 - 1 / _MEMORY, out=counts)
        self.quiet += 1
        counted = (seen.asked > 0) & self._served
        counted[list(excused)] = False
        lost = np.where(counted, seen.asked - seen.reached, 0)
        failing = lost > 0
        self.asked += np.where(counted, seen.asked, 0)
        self.losing += np.where(counted & (failing | (self.losing > 0)), seen.asked, 0)
        self.lost += lost
        self.onsets += failing & ~self._was_failing
        self.quiet[failing] = 0
        self._was_failing = np.where(counted, failing, self._was_failing)

    def replan(self, migration: PlanMigration) -> None:
        """Go on with the next plan."""
        after = ServiceLosses(migration.after)
        for name in ("asked", "lost", "losing", "onsets", "quiet", "_was_failing"):
            migration.array(getattr(self, name), fresh=getattr(after, name))
            setattr(self, name, getattr(after, name))
        self._served = after._served
