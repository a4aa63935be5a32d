"""Detects slow tunnels: their checks are slow while everything else is as quick as usual.

Rules: latency cannot be attributed to one direction, so both directions of a tunnel are named together. A
tunnel is slow only if nearly all checks that cross it are slow while the same agents are as quick as usual
elsewhere: a host under load is slow towards every target, which is not the tunnel's fault.
"""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, build_hypothesis
from netprobe.analysis.diagnosis.symptom import Answer, Symptom
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.state.latency_baseline import LatencyBaselines
from netprobe.model.component import Component, ComponentKind, Written
from netprobe.model.finding import Evidence
from netprobe.model.prose import Prose

_LEAST = 4
_NEARLY_ALL = 0.9
_ELSEWHERE = 0.2
"""The most that may be slow of what the same agents ask beside the tunnel."""


def find_slow(
    observation: IntervalObservation, index: PlanIndex, baselines: LatencyBaselines
) -> tuple[Hypothesis, ...]:
    """Tunnels that have become slow."""
    if len(observation.slow) < _LEAST:
        return ()
    pairs: dict[tuple[frozenset[Written], Written], set[Component]] = {}
    for number in observation.slow:
        legs = index.checks[number].legs
        for part in legs.crossed:
            if part.kind is ComponentKind.TUNNEL:
                pairs.setdefault((part.ends, part.detail), set()).add(part)
    ranked = sorted(
        pairs.values(), key=lambda parts: (-len(observation.slow & _crossing(index, parts)), min(parts))
    )
    found: list[Hypothesis] = []
    left = set(observation.slow)
    for parts in ranked:
        crossing = _crossing(index, parts) & observation.seen.keys()
        if len(left & crossing) >= _LEAST and _is_at_fault(observation, index, crossing):
            found.append(_build_hypothesis(observation, index, baselines, parts, crossing & observation.slow))
            left -= crossing
    return tuple(found)


def _crossing(index: PlanIndex, parts: Iterable[Component]) -> frozenset[int]:
    return frozenset[int]().union(*(index.crossing[part] for part in parts))


def _is_at_fault(observation: IntervalObservation, index: PlanIndex, crossing: frozenset[int]) -> bool:
    if len(crossing & observation.slow) < _NEARLY_ALL * len(crossing):
        return False
    sources = {index.checks[number].source for number in crossing}
    beside = {c.number for agent in sources for c in index.from_agent[agent]} - crossing
    seen = beside & observation.seen.keys()
    return bool(seen) and len(seen & observation.slow) <= _ELSEWHERE * len(seen)


def _build_hypothesis(
    observation: IntervalObservation,
    index: PlanIndex,
    baselines: LatencyBaselines,
    parts: Iterable[Component],
    core: frozenset[int],
) -> Hypothesis:
    now = sorted(observation.seen[number].window.rtt.quantile_ns(0.5) or 0.0 for number in core)
    usual = sorted(baselines.usual_ns(number) or 0.0 for number in core)
    told = f"{now[len(now) // 2] / 1e6:.0f} ms, usually {usual[len(usual) // 2] / 1e6:.1f} ms"
    return build_hypothesis(
        Symptom(ComponentKind.TUNNEL, answer=Answer.SLOW),
        parts,
        core=core,
        words={"loss": told},
        evidence=(
            Evidence(
                Prose(f"{len(core)} checks that cross it take {told}; the same agents are quick elsewhere"),
                index.ids(core),
            ),
        ),
        patience=2,
    )  # fmt: skip
