"""How much silence lagging agents may have caused, and how long a verdict waits because of it.

Rules, for services and names, which an overloaded host makes silent on some nodes before others:

- Lag delays answers; it never refuses. It causes silence only where both ends together can have been late by
  most of a timeout: the worst lag of each, times how often a conversation wakes it.
- Only the asking and the answering agent count. A DNS server is assumed to be as busy as the agents on the
  nodes where it may run.
- How late an agent wakes is measured in every interval by how long its own connections within its cluster
  take: the peer's kernel accepts them, so most of that time is the agent's own delay. A conversation wakes
  both ends a few times; by Markov's inequality, the probability that it is delayed by its whole timeout is at
  most its expected delay divided by the timeout. So one long lag excuses what was in flight at that moment,
  never a whole interval in which everything failed while connections were quick.
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

LEAST_INTERVALS = 2
"""Intervals in a row that are enough where no agent lags."""
_ASKER_WAKES = 2
"""How often a conversation wakes the asking agent: connected, answered."""
_ANSWERER_WAKES = 3
"""How often it wakes the answering agent: accepted, asked, written."""
_LATE_SHARE = 0.8
"""An answer is late when lag used up this share of its timeout."""
_CHANCE = 1e-3
"""A verdict waits until the probability that lag alone explains the silence is below this."""


class LagTolerance:
    """What lag may explain in the newest interval and the one before it."""

    def __init__(self, observations: Sequence[IntervalObservation], index: PlanIndex) -> None:
        """*observations* are the intervals in question, the newest one last."""
        self._observations = observations
        self._index = index
        self._waking: dict[AgentId, float] = {}

    def patience(self, checks: Iterable[tuple[CheckFacts, tuple[AgentId, ...]]], *, most: int) -> int:
        """How many intervals in a row, at most *most*, dead *checks* must fail before lag is ruled out.

        Each check comes with the agents that may answer it. Only the node whose failures are least likely to
        be lag is counted: nodes that wait for the same agent do not fail independently of each other.
        """
        told: dict[NodeId, float] = defaultdict(float)
        for check, behind in checks:
            silent = self._count_silent(check)
            share = self._lag_share(check, behind)
            if not share or not silent:
                return LEAST_INTERVALS
            told[check.source.node_id] -= silent * log(share)
        most_told = max(told.values(), default=0.0)
        if not most_told:
            return most
        return min(most, max(LEAST_INTERVALS, ceil(-log(_CHANCE) / most_told)))

    def _count_silent(self, check: CheckFacts) -> int:
        seen = self._observations[-1].seen[check.number]
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
        felt = (
            observation.health[agent].loop_lag_ns
            for observation in self._observations
            if agent in observation.health
        )
        return max(felt, default=0)

    def waking_ns(self, agent: AgentId) -> float:
        """Upper bound of an agent's mean wake-up delay: how long its connections within its cluster take.

        A lost connection counts with its whole timeout. Infinite where nothing was measured.
        """
        if agent not in self._waking:
            took = [part for check, seen in self._connections(agent) for part in _took_ns(check, seen)]
            count = sum(number for number, _ in took)
            self._waking[agent] = sum(n * each_ns for n, each_ns in took) / count if count else float("inf")
        return self._waking[agent]

    def _connections(self, agent: AgentId) -> Iterator[tuple[CheckFacts, CheckObservation]]:
        for check in self._index.from_agent.get(agent, ()):
            if check.aspect is Aspect.TCP and check.asked and check.asked.cluster == agent.cluster:
                for observation in self._observations:
                    if check.number in observation.seen:
                        yield check, observation.seen[check.number]


def _took_ns(check: CheckFacts, seen: CheckObservation) -> Iterator[tuple[int, float]]:
    """Pairs of how many connections took how long."""
    rtt = seen.window.rtt
    for bucket, count in zip(rtt.buckets, rtt.counts, strict=True):
        yield count, Histogram.middle_ns(bucket)
    yield seen.window.count(OutcomeKind.TIMED_OUT), check.check.probe.timeout_ns
