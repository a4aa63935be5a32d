"""Where latency rose: the tunnels whose checks are slow while everything else stays as usual.

Rules: latency cannot tell the way out from the way back, so both directions of a tunnel are named together. A
tunnel is slow only if nearly all checks that cross it are, while the same agents are as quick as ever
elsewhere: a host under load is slow towards everybody, and that is no tunnel's fault.
"""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, suppose
from netprobe.analysis.diagnosis.symptom import Answer, Symptom
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.state.latency_baseline import LatencyBaselines
from netprobe.model.component import Component, ComponentKind, Written
from netprobe.model.finding import Evidence

_LEAST = 4
_NEARLY_ALL = 0.9
_ELSEWHERE = 0.2
"""The most that may be slow of what the same agents ask beside the tunnel."""


def find_slow(
    look: IntervalObservation, facts: PlanIndex, baselines: LatencyBaselines
) -> tuple[Hypothesis, ...]:
    """Tunnels that have become slow."""
    if len(look.slow) < _LEAST:
        return ()
    pairs: dict[tuple[frozenset[Written], Written], set[Component]] = {}
    for number in look.slow:
        legs = facts.checks[number].legs
        for part in legs.crossed:
            if part.kind is ComponentKind.TUNNEL:
                pairs.setdefault((part.ends, part.detail), set()).add(part)
    ranked = sorted(pairs.values(), key=lambda parts: (-len(look.slow & _crossing(facts, parts)), min(parts)))
    found: list[Hypothesis] = []
    left = set(look.slow)
    for parts in ranked:
        crossing = _crossing(facts, parts) & look.seen.keys()
        if len(left & crossing) >= _LEAST and _is_at_fault(look, facts, crossing):
            found.append(_suppose(look, facts, baselines, parts, crossing & look.slow))
            left -= crossing
    return tuple(found)


def _crossing(facts: PlanIndex, parts: Iterable[Component]) -> frozenset[int]:
    return frozenset[int]().union(*(facts.crossing[part] for part in parts))


def _is_at_fault(look: IntervalObservation, facts: PlanIndex, crossing: frozenset[int]) -> bool:
    if len(crossing & look.slow) < _NEARLY_ALL * len(crossing):
        return False
    sources = {facts.checks[number].source for number in crossing}
    beside = {c.number for agent in sources for c in facts.from_agent[agent]} - crossing
    seen = beside & look.seen.keys()
    return bool(seen) and len(seen & look.slow) <= _ELSEWHERE * len(seen)


def _suppose(
    look: IntervalObservation,
    facts: PlanIndex,
    baselines: LatencyBaselines,
    parts: Iterable[Component],
    core: frozenset[int],
) -> Hypothesis:
    now = sorted(look.seen[number].window.rtt.quantile_ns(0.5) or 0.0 for number in core)
    usual = sorted(baselines.usual_ns(number) or 0.0 for number in core)
    told = f"{now[len(now) // 2] / 1e6:.0f} ms, usually {usual[len(usual) // 2] / 1e6:.1f} ms"
    return suppose(
        Symptom(ComponentKind.TUNNEL, answer=Answer.SLOW),
        parts,
        core=core,
        words={"loss": told},
        evidence=(
            Evidence(f"{len(core)} checks that cross it take {told}; the same agents are quick elsewhere",
                     facts.ids(core)),
        ),
        patience=2,
    )  # fmt: skip
