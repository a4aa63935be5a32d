"""A simulated fleet in which untouched checks are drawn as arrays; what an effect touches is played by probe.

Rules: checks touched by an effect in any way are played as in `World`, and so is everything that an agent
asks or answers which may not report. The rest is drawn from the same distribution, as `QuietWindows`. Latency
follows the hour of the day, each path in its own phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import pi

import numpy as np

from benchmarks.background_noise import DAY_NS
from netprobe.analysis.intervals.assembler import QuietWindows
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.arrays import FloatArray, IntArray
from netprobe.model.component import Component
from netprobe.model.names import AgentId, NodeId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.prose import Prose
from netprobe.model.window import AgentHealth, Histogram, Window
from netprobe.simulate.effects import (
    AgentFrozen,
    AgentKilled,
    Busy,
    Effect,
    Lose,
    NodeDown,
    SimulatedFault,
)
from netprobe.simulate.probe_simulator import HEALTHY_LOSS
from netprobe.simulate.world import PUBLISH_AFTER_NS, ArrivingReport, ProbeCounts, World

_BASE_RTT_NS = 700_000
_SWING = 0.6
"""Latency swings by this many octaves over the day."""
_LAG_NS = 1_000_000


class CalmWorld(World):
    """The same reports as from `World`, a hundredth of the time."""

    def __init__(
        self,
        index: PlanIndex,
        faults: Sequence[SimulatedFault],
        *,
        seed: int,
        start_ns: int,
        dns_nodes: frozenset[NodeId] = frozenset(),
        boot: str = "simulated",
        running: frozenset[AgentId] = frozenset(),
    ) -> None:
        """As for `World`."""
        super().__init__(
            index, faults, seed=seed, start_ns=start_ns, dns_nodes=dns_nodes, boot=boot, running=running
        )
        self._rng = np.random.default_rng(seed)
        self._batches = 0
        self._met: dict[int, list[AgentId]] = {}
        """The endpoints that balanced checks meet in this interval, drawn before they are asked."""
        self._behind: dict[NodeId, frozenset[int]] = {}
        self._settled_ns = max(self._starts.values())
        self._count = np.array([check.check.count for check in index.checks], np.int64)
        length = np.array([[len(check.legs.forward), len(check.legs.back)] for check in index.checks])
        self._loss = HEALTHY_LOSS * length.reshape(-1, 2)
        self._base = np.log2(_BASE_RTT_NS * np.maximum(1, length.reshape(-1, 2)[:, 0]))
        self._turn = np.array([self._phase[number] for number in range(len(index.checks))])
        self._bucket: IntArray = np.zeros(len(index.checks), np.int64)
        self._health = {
            agent: AgentHealth(agent, 0, 1, _LAG_NS, version="simulated") for agent in index.agents
        }
        self._served = {
            cluster: frozenset(
                c.number for c in index.checks if c.source.cluster == cluster and index.served[c.number]
            )
            for cluster in index.pods_in
        }

    def _play_interval(self, start_ns: int) -> list[ArrivingReport]:
        turn = 2 * pi * (start_ns % DAY_NS / DAY_NS + self._turn)
        self._bucket = (8 * (self._base + _SWING * np.sin(turn) / 2)).astype(np.int64)
        if start_ns < self._settled_ns:
            return super()._play_interval(start_ns)
        self._met.clear()
        shaky = self._find_shaky()
        touched = self._find_touched(shaky)
        quiet = self._draw_quiet(start_ns, touched, shaky)
        at_ns = start_ns + self._index.interval_ns + PUBLISH_AFTER_NS[1]
        return [ArrivingReport(at_ns, quiet), *self._report(start_ns, sorted(touched), sorted(shaky))]

    def _draw_quiet(self, start_ns: int, touched: frozenset[int], shaky: frozenset[AgentId]) -> QuietWindows:
        sent = self._count.copy()
        sent[list(touched)] = 0
        lost_out = self._lose(sent, self._loss[:, 0])
        lost_back = self._lose(sent - lost_out, self._loss[:, 1])
        self._batches += 1
        return QuietWindows(
            name=(self._boot, self._batches),
            start_ns=start_ns,
            length_ns=self._index.interval_ns,
            check=self._index.ids_array,
            sent=sent,
            answered=sent - lost_out - lost_back,
            bucket=self._bucket,
            heard=np.where(self._index.is_counted, sent - lost_out, 0),
            health={agent: health for agent, health in self._health.items() if agent not in shaky}
            if shaky
            else self._health,
        )

    def _lose(self, sent: IntArray, share: FloatArray) -> IntArray:
        """Losses are few: how many there are at all is drawn first, and then where."""
        weight = np.cumsum(sent * share)
        total = int(self._rng.poisson(weight[-1])) if len(weight) else 0
        where = (
            np.searchsorted(weight, self._rng.random(total) * weight[-1]) if total else np.empty(0, np.int64)
        )
        return np.minimum(sent, np.bincount(where, minlength=len(sent)))

    def _find_shaky(self) -> frozenset[AgentId]:
        """Agents that may not deliver now, or not all of it."""
        found = {agent for agent, held in self._held.items() if held}
        for effect in (effect for fault in self._active for effect in fault.effects):
            match effect:
                case NodeDown(node=node) | Busy(node=node):
                    found.update(self._index.agents_on.get(node, ()))
                case AgentKilled(agent=who) | AgentFrozen(agent=who):
                    found.add(who)
                case _:
                    pass
        return frozenset(found & self._index.agent_set)

    def _find_touched(self, shaky: frozenset[AgentId]) -> frozenset[int]:
        touched: set[int] = set()
        for who in sorted(shaky):
            own = (*self._index.from_agent.get(who, ()), *self._index.to_agent.get(who, ()))
            touched.update(check.number for check in own)
            touched |= self._draw_served_by(who)
        for fault in self._active:
            for effect in fault.effects:
                touched |= self._touched_by(effect)
        return frozenset(touched)

    def _draw_served_by(self, who: AgentId) -> frozenset[int]:
        """The checks of services that meet an agent in this interval, as its turn comes by chance."""
        behind = self._index.pods_in.get(who.cluster, ())
        if who not in behind:
            return frozenset()
        found = set()
        for number in sorted(self._served[who.cluster]):
            check = self._index.checks[number]
            if check.aspect is not Aspect.SERVICE:
                continue
            if check.check.probe.kind == "http":
                hits = int(self._rng.binomial(check.check.count, 1 / len(behind)))
                self._met[number] = [who] * hits
            else:
                hits = int(self._endpoint(check) == who)
            if hits:
                found.add(number)
        return frozenset(found)

    def _endpoint(self, check: CheckFacts) -> AgentId:
        """The agent that was drawn for this interval, if there is one."""
        drawn = self._met.get(check.number)
        return drawn.pop() if drawn else super()._endpoint(check)

    def _touched_by(self, effect: Effect) -> frozenset[int]:
        index = self._index
        match effect:
            case Lose(component=part):
                return index.crossing.get(part, frozenset()) | self._served_beside(part)
            case NodeDown(node=node):
                return self._touched_behind(node) | self._served[node.cluster]
            case AgentKilled() | AgentFrozen():
                return frozenset()
            case _:
                return frozenset(range(len(index.checks)))

    def _touched_behind(self, node: NodeId) -> frozenset[int]:
        """Whatever starts, ends or passes at a node."""
        if node not in self._behind:
            crossing = self._index.crossing
            crossed = (crossing[part] for part in crossing if part.is_at(node))
            self._behind[node] = self._index.at_node.get(node, frozenset()).union(*crossed)
        return self._behind[node]

    def _served_beside(self, part: Component) -> frozenset[int]:
        """Services and names of the cluster a part belongs to: their probes end at any of its pods."""
        return self._served.get(part.cluster, frozenset())

    def _window(self, check: CheckFacts, tally: ProbeCounts, start_ns: int) -> Window:
        if self._find_delay_ns(check, start_ns):
            return super()._window(check, tally, start_ns)
        reached = tally.outcomes[OutcomeKind.REACHED]
        return Window(
            check=check.check.id,
            start_ns=start_ns,
            length_ns=self._index.interval_ns,
            sent=sum(tally.outcomes.values()),
            answered=reached,
            outcomes=tuple(sorted(tally.outcomes.items())),
            rtt=_histogram(int(self._bucket[check.number]), reached),
            observed_source=tally.last.seen_as,
            answered_by=tally.last.answered_by,
            detail=Prose(tally.last.detail),
        )


@lru_cache(maxsize=4096)
def _histogram(bucket: int, count: int) -> Histogram:
    return Histogram((bucket,), (count,)) if count else Histogram()
