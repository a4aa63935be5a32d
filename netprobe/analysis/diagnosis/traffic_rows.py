"""All checks between agents as crossings with attributes, for the localiser of selective faults.

Rules: rows are those of :class:`LossRows`, for all traffic at once. Where a flow may take several ways, a row
speaks only of the parts on all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netprobe.analysis.diagnosis.loss_rows import LEGS, Leg, LossRows, rewrite_parts
from netprobe.analysis.diagnosis.symptom import TrafficClass
from netprobe.analysis.localise.crossings import Crossing, CrossingTable
from netprobe.analysis.plan.index import CheckFacts, PlanIndex
from netprobe.model.component import Component
from netprobe.model.names import NodeId
from netprobe.model.traffic import Attribute, describe_packets, opens_new_flows


class TrafficRows(LossRows):
    """Three rows per check, as in `LossRows`, and the crossings of each with their attributes."""

    def __init__(self, index: PlanIndex) -> None:
        super().__init__(index, frozenset(TrafficClass))
        self.table: CrossingTable[Component] = CrossingTable.of(
            tuple(Attribute),
            self._crossings(index.gateways),
            kept=[_kept(check) for check in self.checks for _ in LEGS],
            check=[check.number for check in self.checks for _ in LEGS],
        )

    def _crossings(self, gateways: frozenset[NodeId]) -> Iterator[Crossing[Component]]:
        for place, check in enumerate(self.checks):
            there = describe_crossing(check, gateways, is_answer=False)
            again = describe_crossing(check, gateways, is_answer=True)
            out = _surely_crossed(check, check.legs.forward, check.legs.surely_out)
            back = _surely_crossed(check, check.legs.back, check.legs.surely_back) or out
            for leg in LEGS:
                row = place * len(LEGS) + LEGS.index(leg)
                crossed: dict[Component, tuple[str, ...]] = {}
                if leg is not Leg.BACK:
                    crossed |= dict.fromkeys(out, there)
                if leg is not Leg.OUT:
                    crossed = dict.fromkeys(back, again) | crossed
                for part, values in crossed.items():
                    yield Crossing(row, part, values)


def _kept(check: CheckFacts) -> float:
    """How likely a hash takes its packets for one flow; of ICMP it takes addresses only, or more."""
    if check.check.probe.kind == "icmp":
        return 0.5
    return 0.0 if opens_new_flows(check.check) else 1.0


def _surely_crossed(
    check: CheckFacts, way: Iterable[Component], surely: frozenset[Component]
) -> tuple[Component, ...]:
    return rewrite_parts(check, tuple(part for part in way if part in surely))


def describe_crossing(check: CheckFacts, gateways: frozenset[NodeId], *, is_answer: bool) -> tuple[str, ...]:
    """The attributes of a check's requests or answers, in the order of `Attribute`."""
    return describe_packets(check.check, gateways, is_answer=is_answer)
