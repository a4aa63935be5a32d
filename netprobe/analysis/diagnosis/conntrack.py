"""Detects a full connection tracking table: new flows from a node fail while established ones pass.

Rule: pings and plain UDP probes keep their flow from interval to interval; TCP connections, UDP from a fresh
port and questions to services open a new flow each time. If from one node every new flow to several others is
silent, other nodes reach the same ports, and every established flow passes, the node drops new flows (row
`conntrack-full`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, build_hypothesis
from netprobe.analysis.diagnosis.symptom import Note, Symptom
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.component import ComponentKind, node_out
from netprobe.model.finding import Evidence
from netprobe.model.names import NodeId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.prose import Prose

_NEW = frozenset((Aspect.TCP, Aspect.NEW_FLOW, Aspect.SERVICE, Aspect.DNS))
_OLD = frozenset((Aspect.ICMP, Aspect.UDP))
_LEAST_NODES = 2
"""New flows must fail to at least this many other nodes."""
_LEAST_OLD = 4


def find_full_tables(
    observation: IntervalObservation, index: PlanIndex, *, ignored: frozenset[int]
) -> tuple[Hypothesis, ...]:
    """Nodes from which every new flow is silent while established ones pass."""
    dead = [index.checks[number] for number in sorted(observation.troubled - ignored)]
    suspects = dict.fromkeys(
        c.source.node_id for c in dead if c.aspect is Aspect.TCP and _is_silent(observation, c)
    )
    found = (_build_full_hypothesis(observation, index, node) for node in suspects)
    return tuple(hypothesis for hypothesis in found if hypothesis is not None)


def _build_full_hypothesis(
    observation: IntervalObservation, index: PlanIndex, node: NodeId
) -> Hypothesis | None:
    ours = [check for agent in index.agents_on[node] for check in index.from_agent.get(agent, ())]
    seen = [check for check in ours if check.number in observation.seen and _leaves(check)]
    old = [check for check in seen if check.aspect in _OLD]
    new = [check for check in seen if check.aspect in _NEW]
    core = [check for check in new if _is_silent(observation, check)]
    reached = {
        check.asked.node_id for check in core if check.asked and _is_open_to_others(observation, index, check)
    }
    if len(core) < len(new) or len(reached) < _LEAST_NODES or not _all_pass(observation, old):
        return None
    numbers = [check.number for check in core]
    passing = index.ids(check.number for check in old)
    return build_hypothesis(
        Symptom(ComponentKind.NODE_OUT, note=Note.NEW_FLOWS_ONLY),
        (node_out(node),),
        core=numbers,
        explained={number for number in index.at_node[node] if index.checks[number].aspect in _NEW},
        evidence=(
            Evidence(
                Prose(f"{len(core)} checks that open a new flow each time are silent"), index.ids(numbers)
            ),
            Evidence(Prose(f"{len(old)} checks of the same agents that keep their flow pass"), passing),
            Evidence(Prose(f"others connect to the same ports of {len(reached)} nodes")),
        ),
    )


def _leaves(check: CheckFacts) -> bool:
    """Whether its packets leave the node, as far as that is known."""
    return check.asked is None or check.asked.node_id != check.source.node_id


def _all_pass(observation: IntervalObservation, old: Iterable[CheckFacts]) -> bool:
    passed = [observation.seen[check.number].is_good for check in old]
    return len(passed) >= _LEAST_OLD and all(passed)


def _is_silent(observation: IntervalObservation, check: CheckFacts) -> bool:
    seen = observation.seen.get(check.number)
    if seen is None or not seen.is_dead:
        return False
    silent = seen.window.count(OutcomeKind.TIMED_OUT) + seen.window.count(OutcomeKind.NOT_RESOLVED)
    return silent == seen.asked


def _is_open_to_others(observation: IntervalObservation, index: PlanIndex, check: CheckFacts) -> bool:
    """Whether another node connects to the agent that *check* asks."""
    return any(observation.seen[other.number].is_good for other in _others(observation, index, check))


def _others(observation: IntervalObservation, index: PlanIndex, check: CheckFacts) -> Iterator[CheckFacts]:
    for other in index.to_agent.get(check.asked, ()) if check.asked else ():
        beside = other.source.node_id not in {check.source.node_id, other.asked and other.asked.node_id}
        if other.aspect is Aspect.TCP and beside and other.number in observation.seen:
            yield other
