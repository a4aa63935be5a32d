"""All checks between agents as crossings with attributes, for the localiser of selective faults.

Rules: rows are those of :class:`LossRows`, for all traffic at once. Where a flow may take several ways, a row
speaks only of the parts on all of them. Whether a flow is new is not an attribute: today each TCP check opens
one and no other check does, so it would be a second name of TCP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netprobe.analysis.diagnosis.loss_rows import LEGS, Leg, LossRows, rewrite_parts
from netprobe.analysis.diagnosis.symptom import TrafficClass
from netprobe.analysis.localise.crossings import Crossing, CrossingTable
from netprobe.analysis.plan.index import CheckFacts, PlanIndex
from netprobe.model.check import TargetKind
from netprobe.model.component import Component
from netprobe.model.names import NodeId, Plane
from netprobe.model.traffic import Attribute

_OUTER = "outer"
"""The plane of a gateway's outer address."""


class TrafficRows(LossRows):
    """Three rows per check, as in `LossRows`, and the crossings of each with their attributes."""

    def __init__(self, index: PlanIndex) -> None:
        super().__init__(index, frozenset(TrafficClass))
        self.table: CrossingTable[Component] = CrossingTable.of(
            tuple(Attribute),
            self._crossings(index.gateways),
            is_kept=[_is_kept(check) for check in self.checks for _ in LEGS],
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


def _surely_crossed(
    check: CheckFacts, way: Iterable[Component], surely: frozenset[Component]
) -> tuple[Component, ...]:
    return rewrite_parts(check, tuple(part for part in way if part in surely))


def _is_kept(check: CheckFacts) -> bool:
    return check.check.probe.kind != "tcp"


def describe_crossing(check: CheckFacts, gateways: frozenset[NodeId], *, is_answer: bool) -> tuple[str, ...]:
    """The attributes of a check's requests or answers, in the order of `Attribute`."""
    asked = check.check
    source, target = asked.source.node_id, asked.target.node or asked.source.node_id
    plane = check.asked.plane.value if check.asked else _OUTER
    if asked.target.kind is not TargetKind.AGENT:
        plane = _OUTER
    ends = [
        (asked.source.plane.value, _role_of(source, asked.source.plane.value, gateways), source),
        (plane, _role_of(target, plane, gateways), target),
    ]
    (sent_plane, sent_role, sender), (to_plane, to_role, receiver) = reversed(ends) if is_answer else ends
    family = "IPv6" if ":" in asked.target.address else "IPv4"
    return (
        asked.probe.kind,
        family,
        "large" if asked.probe.size else "small",
        "answer" if is_answer else "request",
        sent_plane,
        to_plane,
        sent_role,
        to_role,
        "within" if sender.cluster == receiver.cluster else "between",
        str(sender.cluster),
        str(receiver.cluster),
        str(sender),
        str(receiver),
        f"{sender.cluster} {sent_plane} {family}",
        f"{receiver.cluster} {to_plane} {family}",
        f"{sender} {sent_plane} {family}",
        f"{receiver} {to_plane} {family}",
    )


def _role_of(node: NodeId, plane: str, gateways: frozenset[NodeId]) -> str:
    return "gateway" if node in gateways and plane != Plane.POD else "forwarded"
