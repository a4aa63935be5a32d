"""New flows that fail where old ones live: a node whose connection table is full.

Rule: a ping and a plain datagram keep their flow from interval to interval, a connection and a question to a
service open a new one each time. Where all of the latter are silent from one node to several others, which
other nodes reach by the same doors, and all of the former pass, it is the newness that is dropped, on this
node (row `conntrack-full`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, suppose
from netprobe.analysis.diagnosis.symptom import Note, Symptom
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.component import ComponentKind, node_out
from netprobe.model.finding import Evidence
from netprobe.model.names import NodeId
from netprobe.model.outcome import OutcomeKind

_NEW = frozenset((Aspect.TCP, Aspect.SERVICE, Aspect.DNS))
_OLD = frozenset((Aspect.ICMP, Aspect.UDP))
_LEAST_NODES = 2
"""So many others must be out of reach for new flows."""
_LEAST_OLD = 4


def find_full_tables(
    look: IntervalObservation, facts: PlanIndex, *, ignored: frozenset[int]
) -> tuple[Hypothesis, ...]:
    """Nodes from which every new flow is silent while the old ones live."""
    dead = [facts.checks[number] for number in sorted(look.troubled - ignored)]
    suspects = dict.fromkeys(c.source.node_id for c in dead if c.aspect is Aspect.TCP and _is_silent(look, c))
    found = (_suppose_full(look, facts, node) for node in suspects)
    return tuple(hypothesis for hypothesis in found if hypothesis is not None)


def _suppose_full(look: IntervalObservation, facts: PlanIndex, node: NodeId) -> Hypothesis | None:
    ours = [check for agent in facts.agents_on[node] for check in facts.from_agent.get(agent, ())]
    seen = [check for check in ours if check.number in look.seen and _leaves(check)]
    old = [check for check in seen if check.aspect in _OLD]
    new = [check for check in seen if check.aspect in _NEW]
    core = [check for check in new if _is_silent(look, check)]
    reached = {
        check.asked.node_id for check in core if check.asked and _is_open_to_others(look, facts, check)
    }
    if len(core) < len(new) or len(reached) < _LEAST_NODES or not _all_pass(look, old):
        return None
    numbers = [check.number for check in core]
    passing = facts.ids(check.number for check in old)
    return suppose(
        Symptom(ComponentKind.NODE_OUT, note=Note.NEW_FLOWS_ONLY),
        (node_out(node),),
        core=numbers,
        explained={number for number in facts.at_node[node] if facts.checks[number].aspect in _NEW},
        evidence=(
            Evidence(f"{len(core)} checks that open a new flow each time are silent", facts.ids(numbers)),
            Evidence(f"{len(old)} checks of the same agents that keep their flow pass", passing),
            Evidence(f"others connect to the same ports of {len(reached)} nodes"),
        ),
    )


def _leaves(check: CheckFacts) -> bool:
    """Whether its packets leave the node, as far as that is known."""
    return check.asked is None or check.asked.node_id != check.source.node_id


def _all_pass(look: IntervalObservation, old: Iterable[CheckFacts]) -> bool:
    passed = [look.seen[check.number].is_good for check in old]
    return len(passed) >= _LEAST_OLD and all(passed)


def _is_silent(look: IntervalObservation, check: CheckFacts) -> bool:
    seen = look.seen.get(check.number)
    if seen is None or not seen.is_dead:
        return False
    silent = seen.window.count(OutcomeKind.TIMED_OUT) + seen.window.count(OutcomeKind.NOT_RESOLVED)
    return silent == seen.asked


def _is_open_to_others(look: IntervalObservation, facts: PlanIndex, check: CheckFacts) -> bool:
    """Whether another node connects to the agent that *check* asks."""
    return any(look.seen[other.number].is_good for other in _others(look, facts, check))


def _others(look: IntervalObservation, facts: PlanIndex, check: CheckFacts) -> Iterator[CheckFacts]:
    for other in facts.to_agent.get(check.asked, ()) if check.asked else ():
        beside = other.source.node_id not in {check.source.node_id, other.asked and other.asked.node_id}
        if other.aspect is Aspect.TCP and beside and other.number in look.seen:
            yield other
