"""The ordinary days of a fleet, fast: what is calm is drawn as arrays, what is touched probe by probe.

Rules: weather is whatever happens in a healthy fleet and must not be told as a finding: single losses, bursts
of loss, latency that drifts with the hour, agents restarted one after the other. A node that reboots is no
weather: it is truly down, and labelled so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log2, pi, sin
from random import Random  # noqa: TID251 - the caller passes the seed

import numpy as np

from netprobe.analysis.facts import Aspect, CheckFacts, Facts
from netprobe.analysis.simulate.catalogue import make_fault
from netprobe.analysis.simulate.effects import (
    AgentFrozen,
    AgentKilled,
    Effect,
    Lose,
    NodeDown,
    SimulatedFault,
)
from netprobe.analysis.simulate.world import HEALTHY_LOSS, Fate, Tally, World
from netprobe.model.component import Component, agent
from netprobe.model.finding import Cause
from netprobe.model.label import Label
from netprobe.model.names import CheckId, ClusterName, NodeId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import Histogram, Window

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
_BASE_RTT_NS = 700_000
_SWING = 0.6
"""Latency swings by this many octaves over the day, each path in its own phase."""
_BURST_S = (1.0, 8.0)
_BURST_LOSS = (0.02, 0.3)
_RESTART_S = (2.0, 6.0)
_RESTART_GAP_S = 20.0


@dataclass(frozen=True, slots=True)
class Climate:
    """How much weather there is."""

    bursts_per_hour: float = 6.0
    """Bursts of loss in the whole fleet."""
    restarts_per_day: float = 1.0
    """How often all agents of one cluster are restarted, one after the other (a rolling update)."""


def draw_weather(
    facts: Facts, *, seed: int, start_ns: int, length_ns: int, climate: Climate | None = None
) -> tuple[SimulatedFault, ...]:
    """Bursts of loss and rolling restarts over *length_ns*; none of them may be told as a finding."""
    climate = climate or Climate()
    random = Random(f"weather {seed}")  # noqa: S311 - a simulation, seeded by its caller
    return (
        *_draw_bursts(facts, random, start_ns, length_ns, climate),
        *_draw_restarts(facts, random, start_ns, length_ns, climate),
    )


def draw_reboots(
    facts: Facts, *, seed: int, start_ns: int, length_ns: int, per_day: float
) -> tuple[SimulatedFault, ...]:
    """Nodes that leave for two to ten minutes, labelled: they are truly down."""
    random = Random(f"reboots {seed}")  # noqa: S311 - a simulation, seeded by its caller
    workers = sorted(node for node in facts.agents_on if node not in facts.gateways)
    found = []
    for at_ns in _moments(random, start_ns, length_ns, per_day / 24):
        node = random.choice(workers)
        end_ns = at_ns + int(random.uniform(120, 600) * SECOND_NS)
        made = make_fault(facts.inventory, "node-down", {"node": str(node)})
        found.append(SimulatedFault(made.name, made.label, made.effects, at_ns, end_ns))
    return tuple(found)


def _draw_bursts(
    facts: Facts, random: Random, start_ns: int, length_ns: int, climate: Climate
) -> Iterator[SimulatedFault]:
    parts = sorted(facts.crossing)
    for at_ns in _moments(random, start_ns, length_ns, climate.bursts_per_hour):
        part = random.choice(parts)
        end_ns = at_ns + int(random.uniform(*_BURST_S) * SECOND_NS)
        yield _weather(f"burst {part}", part, [Lose(part, random.uniform(*_BURST_LOSS))], at_ns, end_ns)


def _draw_restarts(
    facts: Facts, random: Random, start_ns: int, length_ns: int, climate: Climate
) -> Iterator[SimulatedFault]:
    clusters = sorted({each.cluster for each in facts.agents})
    for cluster in clusters:
        for at_ns in _moments(random, start_ns, length_ns, climate.restarts_per_day / 24):
            for turn, each in enumerate(a for a in facts.agents if a.cluster == cluster):
                begin_ns = at_ns + int(turn * _RESTART_GAP_S * SECOND_NS)
                end_ns = begin_ns + int(random.uniform(*_RESTART_S) * SECOND_NS)
                yield _weather(f"restart {each}", agent(each), [AgentKilled(each)], begin_ns, end_ns)


def _weather(
    name: str, part: Component, effects: Sequence[Effect], start_ns: int, end_ns: int
) -> SimulatedFault:
    return SimulatedFault(name, Label(Cause.UNKNOWN, (part,)), tuple(effects), start_ns, end_ns)


def _moments(random: Random, start_ns: int, length_ns: int, per_hour: float) -> Iterator[int]:
    """A Poisson process."""
    at_ns = float(start_ns)
    while per_hour > 0:
        at_ns += random.expovariate(per_hour / 3600) * SECOND_NS
        if at_ns >= start_ns + length_ns:
            return
        yield int(at_ns)


class CalmWorld(World):
    """A world in which most checks are calm in most intervals; same reports, a tenth of the time."""

    def __init__(
        self,
        facts: Facts,
        faults: Sequence[SimulatedFault],
        *,
        seed: int,
        start_ns: int,
        dns_nodes: frozenset[NodeId] = frozenset(),
    ) -> None:
        """As for `World`."""
        super().__init__(facts, faults, seed=seed, start_ns=start_ns, dns_nodes=dns_nodes)
        self._rng = np.random.default_rng(seed)
        self._settled_ns = max(self._starts.values())
        self._counts = np.array([check.check.count for check in facts.checks], np.int64)
        self._out = HEALTHY_LOSS * np.array([len(check.legs.forward) for check in facts.checks])
        self._back = HEALTHY_LOSS * np.array([len(check.legs.back) for check in facts.checks])
        self._all = frozenset(range(len(facts.checks)))
        self._served = {
            cluster: frozenset(
                c.number
                for c in facts.checks
                if c.source.cluster == cluster and c.aspect in {Aspect.SERVICE, Aspect.DNS}
            )
            for cluster in {each.cluster for each in facts.agents}
        }

    def _ask_all(self, start_ns: int) -> dict[int, Tally]:
        touched = self._find_touched(start_ns)
        out = self._rng.binomial(self._counts, self._out)
        back = self._rng.binomial(self._counts - out, self._back)
        lost, lost_out = (out + back).tolist(), out.tolist()
        tallies = self._ask(sorted(touched), start_ns)
        for number in self._all - touched:
            tallies[number] = self._tally_calm(self._facts.checks[number], lost_out[number], lost[number])
        return dict(sorted(tallies.items()))

    def _tally_calm(self, check: CheckFacts, lost_out: int, lost: int) -> Tally:
        count = check.check.count
        outcomes: Counter[OutcomeKind] = Counter({OutcomeKind.REACHED: count - lost})
        if lost:
            outcomes[OutcomeKind.TIMED_OUT] = lost
        is_udp = check.asked is not None and check.check.probe.kind == "udp"
        last = Fate(
            OutcomeKind.REACHED, is_udp, self._seen_as(check, ()), str(check.asked) if check.asked else ""
        )
        return Tally(outcomes, count - lost_out if is_udp else 0, last)

    def _find_touched(self, start_ns: int) -> frozenset[int]:
        end_ns = start_ns + self._facts.interval_ns
        if start_ns < self._settled_ns:
            return self._all
        touched: set[int] = set()
        for fault in self._faults:
            if fault.start_ns < end_ns and start_ns < fault.end_ns:
                for effect in fault.effects:
                    touched |= self._touched_by(effect)
        return frozenset(touched)

    def _touched_by(self, effect: Effect) -> frozenset[int]:
        facts = self._facts
        match effect:
            case Lose(component=part):
                return facts.crossing.get(part, frozenset()) | self._served_beside(part)
            case NodeDown(node=node):
                parts = [part for part in facts.crossing if str(node) in {part.source, part.target}]
                crossed = frozenset[int]().union(*(facts.crossing[part] for part in parts))
                return crossed | facts.at_node.get(node, frozenset()) | self._served[node.cluster]
            case AgentKilled(agent=who) | AgentFrozen(agent=who):
                own = (*facts.from_agent.get(who, ()), *facts.to_agent.get(who, ()))
                return frozenset(check.number for check in own) | self._served[who.cluster]
            case _:
                return self._all

    def _served_beside(self, part: Component) -> frozenset[int]:
        """Services and names of the cluster a part belongs to: their probes end at any of its pods."""
        return self._served.get(ClusterName(part.source.partition("/")[0]), frozenset())

    def _window(self, check: CheckFacts, tally: Tally, start_ns: int) -> Window:
        if self._find_delay_ns(check, start_ns):
            return super()._window(check, tally, start_ns)
        reached = tally.outcomes[OutcomeKind.REACHED]
        turn = 2 * pi * (start_ns % DAY_NS / DAY_NS + self._phase[check.number])
        octaves = log2(_BASE_RTT_NS * max(1, len(check.legs.forward))) + _SWING * sin(turn) / 2
        return Window(
            check=CheckId(check.check.id),
            start_ns=start_ns,
            length_ns=self._facts.interval_ns,
            sent=sum(tally.outcomes.values()),
            answered=reached,
            outcomes=tuple(sorted(tally.outcomes.items())),
            rtt=_histogram(int(8 * octaves), reached),
            observed_source=tally.last.seen_as,
            answered_by=tally.last.answered_by,
            detail=tally.last.detail,
        )


@lru_cache(maxsize=4096)
def _histogram(bucket: int, count: int) -> Histogram:
    return Histogram((bucket,), (count,)) if count else Histogram()
