"""Which failing checks count as evidence: only those that have worked, and are not recovering from something.

Rules: a check that never worked says nothing until both its ends have reported for a while, so a fleet that
is starting has no findings. A check that an ended finding explained is forgiven until it works again, so
that parts which recover at different moments are not read as new faults.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.model.names import AgentId

SETTLING_FRAMES = 10
"""Frames after both ends first reported, or it was first planned, before a check that never worked counts."""
FORGIVEN_FRAMES = 10
"""Frames after the end of a finding before a check that still fails counts again."""
BESIDE_FRAMES = 3
"""The same for checks that failed only beside something else."""


class EvidenceEligibility:
    """Remembers, per check, whether its failure means something."""

    def __init__(self, facts: PlanIndex, *, settling_frames: int = SETTLING_FRAMES) -> None:
        self._facts = facts
        self._settling_frames = settling_frames
        self._proven = np.zeros(len(facts.checks), np.bool_)
        self._forgiven_until: dict[int, int] = {}
        self._first_frame: dict[AgentId, int] = {}
        self._frame = 0
        self._planned_frame: dict[int, int] = {}
        """When a check joined a plan that others had before it; the two ends learn of it one by one."""

    def replan(self, carry: PlanMigration) -> None:
        """Go on with the next plan; its new checks have to prove themselves."""
        self._facts = carry.after
        self._proven = carry.array(self._proven, fresh=np.zeros(len(carry.after.checks), np.bool_))
        self._forgiven_until = carry.keys(self._forgiven_until)
        self._planned_frame = carry.keys(self._planned_frame) | dict.fromkeys(carry.new, self._frame)
        agents = frozenset(carry.after.agents)
        self._first_frame = {agent: frame for agent, frame in self._first_frame.items() if agent in agents}

    @property
    def known(self) -> frozenset[AgentId]:
        """Agents that delivered at least once."""
        return frozenset(self._first_frame)

    @property
    def is_settled(self) -> bool:
        """Whether whoever has not delivered yet is not starting any more."""
        return self._frame >= self._settling_frames

    def begin(self, delivered: Iterable[AgentId]) -> None:
        """A new frame, in which these agents delivered."""
        self._frame += 1
        for agent in frozenset(delivered).difference(self._first_frame):
            self._first_frame[agent] = self._frame

    def note(self, look: IntervalObservation) -> None:
        """Every check that worked is proven, and forgiven no longer."""
        is_good = look.seen.is_good
        self._proven |= is_good
        for number in [number for number in self._forgiven_until if is_good[number]]:
            del self._forgiven_until[number]

    def forgive(self, numbers: Iterable[int], *, frames: int) -> None:
        """Until they work again, at most for *frames* frames, these checks are no evidence."""
        for number in numbers:
            until = self._frame + frames
            self._forgiven_until[number] = max(until, self._forgiven_until.get(number, 0))

    def ignored(self, look: IntervalObservation) -> frozenset[int]:
        """Failing checks that are no evidence now."""
        return frozenset(number for number in look.troubled if not self._counts(number))

    def _counts(self, number: int) -> bool:
        if self._forgiven_until.get(number, 0) >= self._frame:
            return False
        return bool(self._proven[number]) or self._frame >= self._settled_frame(number)

    def _settled_frame(self, number: int) -> int:
        check = self._facts.checks[number]
        ends = [check.source] if check.asked is None else [check.source, check.asked]
        never = self._frame + 1
        begun = max(self._first_frame.get(agent, never) for agent in ends)
        return max(begun, self._planned_frame.get(number, 0)) + self._settling_frames
