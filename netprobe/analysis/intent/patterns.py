"""Multi-cluster patterns, each expanded to the rules it stands for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

from netprobe.model.check import Expectation
from netprobe.model.intent import PortRange, Rule, RulePriority, Scope


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A group that may be entered from outside, on these ports."""

    group: str
    spans: tuple[PortRange, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern as it was written; each kind reads the fields it has."""

    kind: str
    groups: tuple[str, ...] = ()
    hub: str = ""
    spokes: tuple[str, ...] = ()
    members: tuple[tuple[str, str], ...] = ()
    """Group and what it is: ``federated``, ``hub``, ``spoke`` or ``independent``."""
    entry_points: tuple[EntryPoint, ...] = ()
    spans: tuple[PortRange, ...] = ()
    where: str = ""


def expand_pattern(pattern: Pattern) -> Iterator[Rule]:
    """The rules *pattern* stands for. Entry points beat the pattern's own denials."""
    members = tuple(dict.fromkeys(name for name, _ in _members(pattern)))
    yield from _KINDS[pattern.kind](pattern)
    for entry in pattern.entry_points:
        yield Rule(
            f"{pattern.kind}: entry point {entry.group}", Expectation.ALLOW, members, (entry.group,),
            entry.spans, RulePriority.ENTRY_POINT, Scope.ACROSS, where=pattern.where,
        )  # fmt: skip


def _members(pattern: Pattern) -> tuple[tuple[str, str], ...]:
    if pattern.kind == "hub-spoke":
        return ((pattern.hub, "hub"), *((spoke, "spoke") for spoke in pattern.spokes))
    if pattern.kind == "hybrid":
        return pattern.members
    return tuple((group, pattern.kind) for group in pattern.groups)


def _independent(pattern: Pattern) -> Iterator[Rule]:
    yield _rule(pattern, Expectation.DENY, pattern.groups, pattern.groups, Scope.ACROSS)


def _federated(pattern: Pattern) -> Iterator[Rule]:
    yield _rule(pattern, Expectation.ALLOW, pattern.groups, pattern.groups, Scope.ANY)


_FREE = {
    frozenset({"hub", "spoke"}), frozenset({"hub"}), frozenset({"federated"}), frozenset({"hub", "federated"})
}  # fmt: skip
"""Roles whose clusters reach each other; all other clusters do not."""


def _by_role(pattern: Pattern) -> Iterator[Rule]:
    for (source, one), (target, other) in product(_members(pattern), repeat=2):
        is_free = frozenset({one, other}) in _FREE
        verdict = Expectation.ALLOW if is_free else Expectation.DENY
        yield _rule(pattern, verdict, (source,), (target,), Scope.ACROSS)


def _rule(
    pattern: Pattern, verdict: Expectation, sources: tuple[str, ...], targets: tuple[str, ...], scope: Scope
) -> Rule:
    return Rule(
        pattern.kind,
        verdict,
        sources,
        targets,
        pattern.spans,
        RulePriority.PATTERN,
        scope,
        where=pattern.where,
    )


_KINDS: dict[str, Callable[[Pattern], Iterator[Rule]]] = {
    "independent": _independent,
    "federated": _federated,
    "hub-spoke": _by_role,
    "hybrid": _by_role,
}
