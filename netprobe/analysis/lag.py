"""What lagging agents may have spoiled of a frame, and how long what they might explain has to wait.

Rules, of services and names, whose failures an overloaded host fakes on some nodes before others:

- Lag delays; it never refuses. It makes silence only where both ends together can have been late by most of a
  time-out: each lag by its worst, as often as a conversation wakes it.
- Only asker and answerer count. A DNS server is no agent: it is as busy as agents where it may stand.
- A datagram to a service wakes its answerer once, exactly as the datagrams do that the same agents exchange
  in the same frame without a service in between. They are its control: where those arrive, lag did not eat
  the others. A moment's lag excuses what was under way then, never a frame in which every datagram was lost.
- A conversation (HTTP, a name) has no such control, so where agents lag its silence tells nothing by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import ceil, log

from netprobe.analysis.facts import Aspect, CheckFacts, Facts
from netprobe.analysis.look import Look
from netprobe.model.names import AgentId, NodeId
from netprobe.model.outcome import OutcomeKind

LEAST_FRAMES = 2
"""Patience where nothing lags."""
_WAKES = 4
"""So often a conversation wakes either end at most: connected, accepted, asked, answered."""
_LATE_SHARE = 0.8
"""An answer is late when so much of its time-out was lost to lag."""
_CHANCE = 1e-3
"""That lag ate every datagram of so many frames must be less likely than this."""
_PLAIN = frozenset((Aspect.UDP, Aspect.V6))


class Doubt:
    """What lag may explain of the newest frame and the one before it."""

    def __init__(self, looks: Sequence[Look], facts: Facts) -> None:
        """*looks* are the frames in question, the newest one last."""
        self._looks = looks
        self._facts = facts
        self._eaten: dict[AgentId, float] = {}

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
        """The share of questions like this one, 0–1, whose answers lag may have made late."""
        worst_ns = self._worst_ns(check.source) + max(map(self._worst_ns, behind), default=0)
        if _WAKES * worst_ns < _LATE_SHARE * check.check.probe.timeout_ns:
            return 0.0
        if check.check.probe.kind != "udp" or not behind:
            return 1.0
        answering = sum(map(self.eaten, behind)) / len(behind)  # every question may meet another one
        return min(1.0, self.eaten(check.source) + answering)

    def _worst_ns(self, agent: AgentId) -> int:
        felt = (look.health[agent].loop_lag_ns for look in self._looks if agent in look.health)
        return max(felt, default=0)

    def eaten(self, agent: AgentId) -> float:
        """The share, 0–1, of an agent's plain datagrams that were lost, by the rule of succession."""
        if agent not in self._eaten:
            seen = [
                look.seen[check.number]
                for check in self._controls(agent)
                for look in self._looks
                if check.number in look.seen
            ]
            asked = sum(each.asked for each in seen)
            lost = asked - sum(each.reached for each in seen)
            self._eaten[agent] = (lost + 1) / (asked + 2) if asked else 1.0
        return self._eaten[agent]

    def _controls(self, agent: AgentId) -> Iterable[CheckFacts]:
        """Plain datagrams that it sent or answered within its cluster, where its services are."""
        facts = self._facts
        for check in (*facts.from_agent.get(agent, ()), *facts.to_agent.get(agent, ())):
            if check.aspect in _PLAIN and check.asked and check.asked.cluster == check.source.cluster:
                yield check
