"""Which further checks tell apart what a plan cannot: the largest expected information gain first.

Within a class each part is as likely the broken one as any other. A check answers in one of four ways (its
way out crosses the broken part or not, its way back does or not), so it cuts every class into at most four;
its expected gain is the entropy of that cut (Shannon, 1948), averaged over the parts of all classes. Choosing
greedily ends when every part stands alone, when no check cuts anything any more, or when the budget ends.
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
"""More classes than this are looked at in part: nobody reads a longer list."""
_NEAR = 3
"""So many agents of each place a class touches are tried as ends of a further check."""
_LEAST_BITS = 1e-9
_ASKED = 3
"""Probes of a check on demand: one may get lost for no reason."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A check that could be asked, and what its two ways cross."""

    source: AgentId
    target: AgentId
    out: frozenset[Component]
    back: frozenset[Component]

    def answer(self, part: Component) -> tuple[bool, bool]:
        """Which of its ways would fail if *part* were broken."""
        return part in self.out, part in self.back


def expected_gain(classes: Iterable[Class], candidate: Candidate) -> float:
    """Bits a candidate is expected to tell, 0 where it cuts no class."""
    whole, told = 0, 0.0
    for group in classes:
        whole += len(group)
        told += sum(len(piece) * log2(len(group) / len(piece)) for piece in cut(group, candidate))
    return told / whole if whole else 0.0


def cut(group: Class, candidate: Candidate) -> tuple[Class, ...]:
    """The pieces into which the answers of a candidate cut a class; together they are the class."""
    pieces: dict[tuple[bool, bool], list[Component]] = defaultdict(list)
    for part in group:
        pieces[candidate.answer(part)].append(part)
    return tuple(map(tuple, pieces.values()))


def choose_next(
    classes: Iterable[Class], candidates: Sequence[Candidate], *, budget: int
) -> tuple[tuple[tuple[Candidate, float], ...], tuple[Class, ...]]:
    """At most *budget* candidates with the bits each tells, and the classes that are left after them.

    Equal gains are decided by the order of the candidates.
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


def find_splitting(fabric: ClusterGraph, classes: Sequence[Class], *, budget: int) -> tuple[ExtraCheck, ...]:
    """The further checks of *fabric* that cut *classes* best; none where nothing can."""
    looked_at = classes[:_CLASSES]
    ends = dict.fromkeys(pair for group in looked_at for pair in _ends_near(fabric, group))
    candidates = [found for pair in ends if (found := _candidate(fabric, *pair)) is not None]
    chosen, _ = choose_next(looked_at, candidates, budget=budget)
    return tuple(ExtraCheck(each.source, each.target, round(bits, 6)) for each, bits in chosen)


@dataclass(frozen=True, slots=True)
class SuggestedCheck:
    """A check that may be asked on demand, and what it crosses, either way: it passes or it does not."""

    check: Check
    crossed: frozenset[Component]


def find_extras(
    fabric: ClusterGraph, group: Class, *, able: Collection[AgentId]
) -> tuple[SuggestedCheck, ...]:
    """Pings by *able* agents that may tell the parts of one class apart; any kernel answers them."""
    found = []
    for source, target in dict.fromkeys(_ends_near(fabric, group)):
        if source in able:
            asked = ask_pair(fabric, AgentPair(source, target, rich=False), PlanPolicy())
            for question in (each for each in asked if each.check.probe.kind == "icmp"):
                if question.legs.is_one_of_several:
                    continue  # silence would not say which way was asked
                crossed = frozenset(question.legs.crossed)
                found.append(SuggestedCheck(replace(question.check, count=_ASKED), crossed))
    return tuple(found)


def choose_extra(left: Class, extras: Sequence[SuggestedCheck]) -> SuggestedCheck | None:
    """The one whose answer is expected to tell most; None where none tells anything."""
    candidates = [Candidate(e.check.source, e.check.source, e.crossed, frozenset()) for e in extras]
    chosen, _ = choose_next((left,), candidates, budget=1)
    return extras[candidates.index(chosen[0][0])] if chosen else None


def rule_out(left: Class, extra: SuggestedCheck, *, passed: bool) -> Class:
    """What of a class may still be the broken part: whatever passed crosses none, whatever failed crosses it.

    An answer that would leave nothing says that something else is broken as well; then all stay.
    """
    return tuple(part for part in left if (part in extra.crossed) is not passed) or left


def _ends_near(fabric: ClusterGraph, group: Class) -> Iterator[tuple[AgentId, AgentId]]:
    """Pairs of agents on, and beside, the nodes and clusters that the parts of a class name."""
    places = {end for part in group for end in (part.source, part.target)}
    clusters = dict.fromkeys(name for part in group for name in (part.cluster, part.target_cluster) if name)
    near: dict[AgentId, None] = {}
    for agent in fabric.agents:
        if Written(agent.node_id) in places or Written(agent) in places:
            near[agent] = None
    for cluster in clusters:
        own = [agent for agent in fabric.agents if agent.cluster == cluster]
        near |= dict.fromkeys(own[:_NEAR])
    yield from ((one, other) for one, other in product(near, near) if one != other)


def _candidate(fabric: ClusterGraph, source: AgentId, target: AgentId) -> Candidate | None:
    out = find_routes(fabric, source=source, target=target)
    back = find_routes(fabric, source=target, target=source)
    if len(out) != 1 or len(back) != 1 or not out[0] or not back[0]:
        return None  # nothing leads there, or nobody knows which way is taken
    return Candidate(source, target, frozenset(out[0]), frozenset(back[0]))
