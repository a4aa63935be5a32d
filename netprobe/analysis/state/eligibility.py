"""Which failing checks count as evidence: those that have worked before and are not recovering.

Rules: a check that never worked does not count until both its ends have reported for a while, so a fleet that
is starting has no findings. A check that an ended finding explained does not count until it works again, so
that parts which recover at different moments are not mistaken for new faults.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.model.names import AgentId

SETTLING_INTERVALS = 10
"""Intervals before a check that never worked counts, since both ends reported or it was planned."""
FORGIVEN_INTERVALS = 10
"""Intervals after the end of a finding before a check that still fails counts again."""
BESIDE_INTERVALS = 3
"""The same for checks that failed only beside something else."""


class EvidenceEligibility:
    """Remembers, per check, whether its failure means something."""

    def __init__(self, index: PlanIndex, *, settling_intervals: int = SETTLING_INTERVALS) -> None:
        self._index = index
        self._settling_frames = settling_intervals
        self._proven = np.zeros(len(index.checks), np.bool_)
        self._forgiven_until: dict[int, int] = {}
        self._first_frame: dict[AgentId, int] = {}
        self._interval = 0
        self._planned_frame: dict[int, int] = {}
        """When a check joined a plan that others had before it; the two ends learn of it one by one."""

    def replan(self, migration: PlanMigration) -> None:
        """Go on with the next plan; its new checks have to prove themselves."""
        self._index = migration.after
        self._proven = migration.array(self._proven, fresh=np.zeros(len(migration.after.checks), np.bool_))
        self._forgiven_until = migration.keys(self._forgiven_until)
        self._planned_frame = migration.keys(self._planned_frame) | dict.fromkeys(
            migration.new, self._interval
        )
        agents = frozenset(migration.after.agents)
        self._first_frame = {
            agent: interval for agent, interval in self._first_frame.items() if agent in agents
        }

    @property
    def known(self) -> frozenset[AgentId]:
        """Agents that delivered at least once."""
        return frozenset(self._first_frame)

    @property
    def is_settled(self) -> bool:
        """Whether agents that have not reported yet have had time to start."""
        return self._interval >= self._settling_frames

    def begin(self, delivered: Iterable[AgentId]) -> None:
        """A new interval, in which these agents delivered."""
        self._interval += 1
        for agent in frozenset(delivered).difference(self._first_frame):
            self._first_frame[agent] = self._interval

    def note(self, observation: IntervalObservation) -> None:
        """Every check that worked is proven, and forgiven no longer."""
        is_good = observation.seen.is_good
        self._proven |= is_good
        for number in [number for number in self._forgiven_until if is_good[number]]:
            del self._forgiven_until[number]

    def forgive(self, numbers: Iterable[int], *, intervals: int) -> None:
        """Until they work again, at most for *intervals* intervals, these checks are no evidence."""
        for number in numbers:
            until = self._interval + intervals
            self._forgiven_until[number] = max(until, self._forgiven_until.get(number, 0))

    def ignored(self, observation: IntervalObservation) -> frozenset[int]:
        """Failing checks that are no evidence now."""
        return frozenset(number for number in observation.troubled if not self._counts(number))

    def _counts(self, number: int) -> bool:
        if self._forgiven_until.get(number, 0) >= self._interval:
            return False
        return bool(self._proven[number]) or self._interval >= self._settled_frame(number)

    def _settled_frame(self, number: int) -> int:
        check = self._index.checks[number]
        ends = [check.source] if check.asked is None else [check.source, check.asked]
        never = self._interval + 1
        begun = max(self._first_frame.get(agent, never) for agent in ends)
        return max(begun, self._planned_frame.get(number, 0)) + self._settling_frames
