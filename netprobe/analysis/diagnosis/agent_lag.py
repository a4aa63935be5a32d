"""What lagging agents may have spoiled of a frame, and how long what they might explain has to wait.

Rules, of services and names, whose silence an overloaded host fakes on some nodes before others:

- Lag delays; it never refuses. It makes silence only where both ends together can have been late by most of a
  time-out: each lag by its worst, as often as a conversation wakes it.
- Only asker and answerer count. A DNS server is no agent: it is as busy as agents where it may stand.
- How late an agent wakes is measured in every frame, by what its own connections to its neighbours take:
  their kernels answer, so that most of it is its own waking. A conversation wakes both ends a few times; that
  it was delayed for its whole time-out is no likelier than its expected delay is part of it (Markov's
  inequality). So one long lag excuses what was under way then, never a whole frame in which everything failed
  while connections took no time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import ceil, log

from netprobe.analysis.intervals.observation import CheckObservation, IntervalObservation
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.names import AgentId, NodeId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import Histogram

LEAST_FRAMES = 2
"""Patience where nothing lags."""
_ASKER_WAKES = 2
"""So often a conversation wakes who asks: connected, answered."""
_ANSWERER_WAKES = 3
"""And who answers: accepted, asked, written."""
_LATE_SHARE = 0.8
"""An answer is late when so much of its time-out was lost to lag."""
_CHANCE = 1e-3
"""That lag silenced every question of so many frames must be less likely than this."""


class LagTolerance:
    """What lag may explain of the newest frame and the one before it."""

    def __init__(self, looks: Sequence[IntervalObservation], facts: PlanIndex) -> None:
        """*looks* are the frames in question, the newest one last."""
        self._looks = looks
        self._facts = facts
        self._waking: dict[AgentId, float] = {}

    def patience(self, checks: Iterable[tuple[CheckFacts, tuple[AgentId, ...]]], *, most: int) -> int:
        """Frames in a row, at most *most*, in which dead *checks* must fail before lag does not explain it.

        Each comes with the agents that may answer it. What one node met is counted, that which tells most:
        nodes that wait for the same answerer do not fail independently of each other.
        """
        told: dict[NodeId, float] = defaultdict(float)
        for check, behind in checks:
            silent = self._count_silent(check)
            share = self._lag_share(check, behind)
            if not share or not silent:
                return LEAST_FRAMES
            told[check.source.node_id] -= silent * log(share)
        most_told = max(told.values(), default=0.0)
        if not most_told:
            return most
        return min(most, max(LEAST_FRAMES, ceil(-log(_CHANCE) / most_told)))

    def _count_silent(self, check: CheckFacts) -> int:
        seen = self._looks[-1].seen[check.number]
        return seen.asked - seen.refused - seen.window.count(OutcomeKind.REJECTED)

    def _lag_share(self, check: CheckFacts, behind: tuple[AgentId, ...]) -> float:
        """The share of questions like this one, 0–1, that lag may have silenced."""
        timeout_ns = check.check.probe.timeout_ns
        worst_ns = _ASKER_WAKES * self._worst_ns(check.source)
        worst_ns += _ANSWERER_WAKES * max(map(self._worst_ns, behind), default=0)
        if worst_ns < _LATE_SHARE * timeout_ns:
            return 0.0
        delay_ns = _ASKER_WAKES * self.waking_ns(check.source)
        if behind:
            answering_ns = sum(map(self.waking_ns, behind)) / len(behind)  # each may be met next
            delay_ns += _ANSWERER_WAKES * answering_ns
        return min(1.0, delay_ns / timeout_ns)

    def _worst_ns(self, agent: AgentId) -> int:
        felt = (look.health[agent].loop_lag_ns for look in self._looks if agent in look.health)
        return max(felt, default=0)

    def waking_ns(self, agent: AgentId) -> float:
        """How late an agent wakes on average, at most: what its connections within its cluster take.

        A connection that was lost took its whole time-out. Infinite where nothing was measured.
        """
        if agent not in self._waking:
            took = [part for check, seen in self._connections(agent) for part in _took_ns(check, seen)]
            count = sum(number for number, _ in took)
            self._waking[agent] = sum(n * each_ns for n, each_ns in took) / count if count else float("inf")
        return self._waking[agent]

    def _connections(self, agent: AgentId) -> Iterator[tuple[CheckFacts, CheckObservation]]:
        for check in self._facts.from_agent.get(agent, ()):
            if check.aspect is Aspect.TCP and check.asked and check.asked.cluster == agent.cluster:
                for look in self._looks:
                    if check.number in look.seen:
                        yield check, look.seen[check.number]


def _took_ns(check: CheckFacts, seen: CheckObservation) -> Iterator[tuple[int, float]]:
    """How many questions took how long."""
    rtt = seen.window.rtt
    for bucket, count in zip(rtt.buckets, rtt.counts, strict=True):
        yield count, Histogram.middle_ns(bucket)
    yield seen.window.count(OutcomeKind.TIMED_OUT), check.check.probe.timeout_ns
