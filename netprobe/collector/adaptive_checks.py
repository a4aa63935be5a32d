"""The adaptive round: what a finding cannot tell apart is asked on demand, the most telling check first.

Rules: a round ends when one part is left, when no check tells anything more, or with its budget. Only dead
parts are asked about, one ping of three probes at a time, by agents that are well; what cannot be asked tells
nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from netprobe.model.check import Check
from netprobe.model.component import Component
from netprobe.model.finding import Finding
from netprobe.model.names import AgentId
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.discriminating_checks import choose_extra, find_extras, rule_out

BUDGET = 8
"""Checks per finding."""

Ask = Callable[[Check], Awaitable[bool | None]]
"""Ask a check now: whether anything came back; None where nobody could ask or tell."""


@dataclass(frozen=True, slots=True)
class NarrowedFinding:
    """What a round has found out."""

    left: tuple[Component, ...]
    """What may still be the broken part, in the order of the finding."""
    told: tuple[str, ...]
    """What each check said."""


def is_ambiguous(finding: Finding) -> bool:
    """Whether further checks may tell more about a finding."""
    return bool(finding.indistinguishable) and len(finding.components) == 1 and finding.loss is None


async def narrow_down(
    finding: Finding, fabric: ClusterGraph, *, able: Collection[AgentId], ask: Ask, budget: int = BUDGET
) -> NarrowedFinding:
    """Ask until one part is left, nothing tells more, or *budget* checks were asked."""
    left = tuple(dict.fromkeys((*finding.components, *finding.indistinguishable)))
    extras = list(find_extras(fabric, left, able=able))
    told: list[str] = []
    for _ in range(budget):
        extra = choose_extra(left, extras)
        if len(left) < 2 or extra is None:
            break
        extras.remove(extra)
        passed = await ask(extra.check)
        if passed is None:
            continue
        left = rule_out(left, extra, passed=passed)
        told.append(_say(extra.check, left, passed=passed))
    return NarrowedFinding(left, tuple(told))


def _say(check: Check, left: tuple[Component, ...], *, passed: bool) -> str:
    how = "is answered" if passed else "is not answered"
    return f"asked on demand, a ping from {check.source} to {check.target.name} {how}: {_list(left)} left"


def _list(parts: tuple[Component, ...]) -> str:
    return " or ".join(map(str, parts))
