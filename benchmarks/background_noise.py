"""Background noise of a healthy fleet, which must not become a finding, and reboots, which must.

Rules: noise is single losses, bursts of loss, latency that drifts with the hour, and rolling restarts of
agents. A node that reboots is not noise: it is truly down, and labelled so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.component import Component, agent
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.units import SECOND_NS
from netprobe.simulate.effects import (
    AgentKilled,
    Effect,
    Lose,
    SimulatedFault,
)
from netprobe.simulate.faults import make_fault

DAY_NS = 86_400 * SECOND_NS
_BASE_RTT_NS = 700_000
_SWING = 0.6
"""Latency swings by this many octaves over the day, each path in its own phase."""
_BURST_S = (1.0, 8.0)
_BURST_LOSS = (0.02, 0.3)
_RESTART_S = (2.0, 6.0)
_RESTART_GAP_S = 20.0


@dataclass(frozen=True, slots=True)
class NoiseProfile:
    """How much weather there is."""

    bursts_per_hour: float = 6.0
    """Bursts of loss in the whole fleet."""
    restarts_per_day: float = 1.0
    """How often all agents of one cluster are restarted, one after the other (a rolling update)."""


def draw_weather(
    index: PlanIndex, *, seed: int, start_ns: int, length_ns: int, climate: NoiseProfile | None = None
) -> tuple[SimulatedFault, ...]:
    """Bursts of loss and rolling restarts over *length_ns*; none of them may become a finding."""
    climate = climate or NoiseProfile()
    random = Random(f"weather {seed}")
    return (
        *_draw_bursts(index, random, start_ns, length_ns, climate),
        *_draw_restarts(index, random, start_ns, length_ns, climate),
    )


def draw_reboots(
    index: PlanIndex, *, seed: int, start_ns: int, length_ns: int, per_day: float
) -> tuple[SimulatedFault, ...]:
    """Nodes that leave for two to ten minutes, labelled: they are truly down."""
    random = Random(f"reboots {seed}")
    workers = sorted(node for node in index.agents_on if node not in index.gateways)
    found = []
    for at_ns in _moments(random, start_ns, length_ns, per_day / 24):
        node = random.choice(workers)
        end_ns = at_ns + int(random.uniform(120, 600) * SECOND_NS)
        made = make_fault(index.inventory, "node-down", {"node": str(node)})
        found.append(SimulatedFault(made.name, made.label, made.effects, at_ns, end_ns))
    return tuple(found)


def _draw_bursts(
    index: PlanIndex, random: Random, start_ns: int, length_ns: int, climate: NoiseProfile
) -> Iterator[SimulatedFault]:
    parts = sorted(index.crossing)
    for at_ns in _moments(random, start_ns, length_ns, climate.bursts_per_hour):
        part = random.choice(parts)
        end_ns = at_ns + int(random.uniform(*_BURST_S) * SECOND_NS)
        yield _weather(f"burst {part}", part, [Lose(part, random.uniform(*_BURST_LOSS))], at_ns, end_ns)


def _draw_restarts(
    index: PlanIndex, random: Random, start_ns: int, length_ns: int, climate: NoiseProfile
) -> Iterator[SimulatedFault]:
    clusters = sorted({each.cluster for each in index.agents})
    for cluster in clusters:
        for at_ns in _moments(random, start_ns, length_ns, climate.restarts_per_day / 24):
            for turn, each in enumerate(a for a in index.agents if a.cluster == cluster):
                begin_ns = at_ns + int(turn * _RESTART_GAP_S * SECOND_NS)
                end_ns = begin_ns + int(random.uniform(*_RESTART_S) * SECOND_NS)
                yield _weather(f"restart {each}", agent(each), [AgentKilled(each)], begin_ns, end_ns)


def _weather(
    name: str, part: Component, effects: Sequence[Effect], start_ns: int, end_ns: int
) -> SimulatedFault:
    return SimulatedFault(name, GroundTruth(Cause.UNKNOWN, (part,)), tuple(effects), start_ns, end_ns)


def _moments(random: Random, start_ns: int, length_ns: int, per_hour: float) -> Iterator[int]:
    """A Poisson process."""
    at_ns = float(start_ns)
    while per_hour > 0:
        at_ns += random.expovariate(per_hour / 3600) * SECOND_NS
        if at_ns >= start_ns + length_ns:
            return
        yield int(at_ns)
