"""Who says so: an accusation that rests on the word of one node is worth less than its row in the table.

Rule: agents on two nodes must report a fault, unless the accused part is on the node that reports it. One
stolen or broken agent can therefore not make an innocent part look guilty, and what its neighbours measured
through that part is said beside it.
"""

from __future__ import annotations

from dataclasses import replace

from netprobe.analysis.diagnosis.hypothesis import Hypothesis
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.component import Component
from netprobe.model.finding import Evidence
from netprobe.model.names import NodeId
from netprobe.model.prose import Prose


def weigh_reporting_nodes(
    hypothesis: Hypothesis, observation: IntervalObservation, index: PlanIndex
) -> Hypothesis:
    """*hypothesis*, marked where only one node reports it."""
    nodes = {index.checks[number].source.node_id for number in hypothesis.core}
    if len(nodes) != 1:
        return hypothesis
    (node,) = nodes
    if all(_is_on(part, node) for part in hypothesis.components):
        return hypothesis
    clean = _find_clean(hypothesis, node, observation, index)
    said = [Evidence(Prose(f"only agents on {node} report it"))]
    if clean:
        others = len({index.checks[number].source.node_id for number in clean})
        what = "1 other node passes it" if others == 1 else f"{others} other nodes pass it"
        said.append(Evidence(Prose(f"traffic from {what} without a fault"), index.ids(clean)))
    return replace(hypothesis, is_reported_by_one_node=True, against=(*hypothesis.against, *said))


def _is_on(part: Component, node: NodeId) -> bool:
    return part.node == node and not part.target


def _find_clean(
    hypothesis: Hypothesis, node: NodeId, observation: IntervalObservation, index: PlanIndex
) -> tuple[int, ...]:
    """What other nodes asked through the accused parts, all of it answered as it should be."""
    return tuple(
        sorted(
            number
            for number in frozenset[int]().union(
                *(index.crossing.get(part, frozenset()) for part in hypothesis.components)
            )
            if index.checks[number].source.node_id != node
            and number in observation.seen
            and observation.seen[number].is_good
        )
    )
