"""The adaptive round: runs on-demand checks to separate the candidates of a finding, best check first.

Rules: a round ends when one component is left, when no check can separate the rest, or when its budget is
spent. Only components that drop everything are checked, with one ping of three probes at a time, from agents
that are alive; a check that cannot run counts for nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from netprobe.model.check import Check
from netprobe.model.component import Component
from netprobe.model.finding import Finding
from netprobe.model.names import AgentId
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.discriminating_checks import choose_suggested_check, find_suggested_checks, rule_out

BUDGET = 8
"""Checks per finding."""

Ask = Callable[[Check], Awaitable[bool | None]]
"""Run a check now: whether anything came back; None if it could not be measured."""


@dataclass(frozen=True, slots=True)
class NarrowedFinding:
    """The result of a round."""

    left: tuple[Component, ...]
    """Components that may still be the broken one, in the order of the finding."""
    answers: tuple[str, ...]
    """One sentence per check that was answered or timed out."""


def is_ambiguous(finding: Finding) -> bool:
    """Whether on-demand checks can narrow a finding down."""
    is_whole = finding.loss is None and not finding.traffic  # a ping says nothing of a class of traffic
    return bool(finding.indistinguishable) and len(finding.components) == 1 and is_whole


async def narrow_down(
    finding: Finding, fabric: ClusterGraph, *, able: Collection[AgentId], ask: Ask, budget: int = BUDGET
) -> NarrowedFinding:
    """Run checks until one component is left, none can separate the rest, or *budget* checks were run."""
    left = tuple(dict.fromkeys((*finding.components, *finding.indistinguishable)))
    extras = list(find_suggested_checks(fabric, left, able=able))
    answers: list[str] = []
    for _ in range(budget):
        extra = choose_suggested_check(left, extras)
        if len(left) < 2 or extra is None:
            break
        extras.remove(extra)
        passed = await ask(extra.check)
        if passed is None:
            continue
        left = rule_out(left, extra, passed=passed)
        answers.append(_describe_answer(extra.check, left, passed=passed))
    return NarrowedFinding(left, tuple(answers))


def _describe_answer(check: Check, left: tuple[Component, ...], *, passed: bool) -> str:
    how = "is answered" if passed else "is not answered"
    return f"asked on demand, a ping from {check.source} to {check.target.name} {how}: {_join(left)} left"


def _join(parts: tuple[Component, ...]) -> str:
    return " or ".join(map(str, parts))
