"""Further checks that tell apart components of a class, by expected information gain.

Within a class, each component is equally likely to be the broken one. A check has one of four results (its
leg out crosses the broken component or not, its leg back does or not), so it cuts every class into at most
four; its expected gain is the entropy of that cut (Shannon, 1948), averaged over the components of all
classes. The greedy choice ends when every component is alone, when no check cuts a class, or when the budget
ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import log2

from netprobe.model.check import Check
from netprobe.model.component import Component, Written
from netprobe.model.fleet import ExtraCheck
from netprobe.model.names import AgentId
from netprobe.planning.checks import ask_pair
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.pairs import AgentPair
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.routes import find_routes

Class = tuple[Component, ...]

_CLASSES = 20
"""Largest number of classes that are considered."""
_NEAR = 3
"""Number of agents per cluster that are tried as ends of a further check."""
_LEAST_BITS = 1e-9
_PROBES = 3
"""Probes of an on-demand check, as a single one may get lost by chance."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A check that could be asked, and the components of its two legs."""

    source: AgentId
    target: AgentId
    out: frozenset[Component]
    back: frozenset[Component]

    def answer(self, part: Component) -> tuple[bool, bool]:
        """Whether its legs out and back would fail if *part* were broken."""
        return part in self.out, part in self.back


def expected_gain(classes: Iterable[Class], candidate: Candidate) -> float:
    """Expected information gain of a candidate in bits; 0 if it cuts no class."""
    members, bits = 0, 0.0
    for group in classes:
        members += len(group)
        bits += sum(len(piece) * log2(len(group) / len(piece)) for piece in cut(group, candidate))
    return bits / members if members else 0.0


def cut(group: Class, candidate: Candidate) -> tuple[Class, ...]:
    """The parts into which the possible results of a candidate cut a class."""
    pieces: dict[tuple[bool, bool], list[Component]] = defaultdict(list)
    for part in group:
        pieces[candidate.answer(part)].append(part)
    return tuple(map(tuple, pieces.values()))


def choose_next(
    classes: Iterable[Class], candidates: Sequence[Candidate], *, budget: int
) -> tuple[tuple[tuple[Candidate, float], ...], tuple[Class, ...]]:
    """At most *budget* candidates with the gain of each in bits, and the classes that remain after them.

    Of equal gains, the first candidate is chosen.
    """
    left = [group for group in classes if len(group) > 1]
    chosen: list[tuple[Candidate, float]] = []
    while left and len(chosen) < budget:
        gains = [expected_gain(left, candidate) for candidate in candidates]
        best = max(range(len(gains)), key=gains.__getitem__, default=-1)
        if best < 0 or gains[best] <= _LEAST_BITS:
            break
        chosen.append((candidates[best], gains[best]))
        left = [piece for group in left for piece in cut(group, candidates[best]) if len(piece) > 1]
    return tuple(chosen), tuple(left)


def find_discriminating_checks(
    graph: ClusterGraph, classes: Sequence[Class], *, budget: int
) -> tuple[ExtraCheck, ...]:
    """The further checks that cut *classes* best; empty if no check can."""
    considered = classes[:_CLASSES]
    ends = dict.fromkeys(pair for group in considered for pair in _ends_near(graph, group))
    candidates = [found for pair in ends if (found := _candidate(graph, *pair)) is not None]
    chosen, _ = choose_next(considered, candidates, budget=budget)
    return tuple(ExtraCheck(each.source, each.target, round(bits, 6)) for each, bits in chosen)


@dataclass(frozen=True, slots=True)
class SuggestedCheck:
    """A check that may be asked on demand, and the components of both its legs; it passes or fails."""

    check: Check
    crossed: frozenset[Component]


def find_suggested_checks(
    graph: ClusterGraph, group: Class, *, able: Collection[AgentId]
) -> tuple[SuggestedCheck, ...]:
    """Pings by *able* agents that may tell the components of one class apart; any kernel answers them."""
    found = []
    for source, target in dict.fromkeys(_ends_near(graph, group)):
        if source in able:
            planned = ask_pair(graph, AgentPair(source, target, rich=False), PlanPolicy())
            for question in (each for each in planned if each.check.probe.kind == "icmp"):
                if question.legs.is_one_of_several:
                    continue  # silence would not show which route was taken
                crossed = frozenset(question.legs.crossed)
                found.append(SuggestedCheck(replace(question.check, count=_PROBES), crossed))
    return tuple(found)


def choose_suggested_check(left: Class, extras: Sequence[SuggestedCheck]) -> SuggestedCheck | None:
    """The check with the largest expected gain; None if none has any."""
    candidates = [Candidate(e.check.source, e.check.source, e.crossed, frozenset()) for e in extras]
    chosen, _ = choose_next((left,), candidates, budget=1)
    return extras[candidates.index(chosen[0][0])] if chosen else None


def rule_out(left: Class, extra: SuggestedCheck, *, passed: bool) -> Class:
    """The components of a class that may still be broken: none of a passed check, some of a failed one.

    A result that would leave nothing means that something else is broken as well; then all remain.
    """
    return tuple(part for part in left if (part in extra.crossed) is not passed) or left


def _ends_near(graph: ClusterGraph, group: Class) -> Iterator[tuple[AgentId, AgentId]]:
    """Pairs of agents on or near the nodes and clusters that the components of a class name."""
    places = {end for part in group for end in (part.source, part.target)}
    clusters = dict.fromkeys(name for part in group for name in (part.cluster, part.target_cluster) if name)
    near: dict[AgentId, None] = {}
    for agent in graph.agents:
        if Written(agent.node_id) in places or Written(agent) in places:
            near[agent] = None
    for cluster in clusters:
        own = [agent for agent in graph.agents if agent.cluster == cluster]
        near |= dict.fromkeys(own[:_NEAR])
    yield from ((one, other) for one, other in product(near, near) if one != other)


def _candidate(graph: ClusterGraph, source: AgentId, target: AgentId) -> Candidate | None:
    out = find_routes(graph, source=source, target=target)
    back = find_routes(graph, source=target, target=source)
    if len(out) != 1 or len(back) != 1 or not out[0] or not back[0]:
        return None  # there is no route, or it is unknown which one is taken
    return Candidate(source, target, frozenset(out[0]), frozenset(back[0]))
