"""Rows for the localiser: which leg of which check sent how much and lost how much, in one family at a time.

Rules: out and back are rows of their own where the responder counted what reached it; elsewhere one row
covers both legs. A family (main, IPv6, large packets) is localised apart, because a part may be broken for
large packets only, and a small packet that passed would acquit it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from netprobe.analysis.facts import Aspect, CheckFacts, Facts
from netprobe.analysis.localise.evidence import Matrix, Observations
from netprobe.analysis.look import Look, Seen
from netprobe.model.check import Layer
from netprobe.model.component import Component, ComponentKind


class Family(StrEnum):
    """What is localised together."""

    MAIN = "main"
    V6 = "v6"
    LARGE = "large"


FAMILY_OF = {
    Aspect.ICMP: Family.MAIN,
    Aspect.UDP: Family.MAIN,
    Aspect.TCP: Family.MAIN,
    Aspect.OUTER: Family.MAIN,
    Aspect.V6: Family.V6,
    Aspect.LARGE: Family.LARGE,
}


class Leg(StrEnum):
    """Which way a row speaks of."""

    OUT = "out"
    BACK = "back"
    BOTH = "both"


_LEGS = (Leg.OUT, Leg.BACK, Leg.BOTH)


@dataclass(frozen=True, slots=True)
class RowCount:
    """What one row sent and lost in one frame."""

    row: int
    sent: int
    lost: int


class FamilyRows:
    """The matrix of one family: three rows for each of its checks, most of them unused at any one time."""

    def __init__(self, facts: Facts, family: Family) -> None:
        self.checks = tuple(c for c in facts.checks if FAMILY_OF.get(c.aspect) is family and c.legs.forward)
        self.place = {check.number: 3 * place for place, check in enumerate(self.checks)}
        self.matrix: Matrix[Component] = Matrix.of_paths(
            path for check in self.checks for path in _paths(check)
        )

    def check_of(self, row: int) -> int:
        """The number of the check a row belongs to."""
        return self.checks[row // 3].number

    @staticmethod
    def is_one_way(row: int) -> bool:
        """Whether a row speaks of one direction only."""
        return _LEGS[row % 3] is not Leg.BOTH

    def observe(self, counts: Iterable[RowCount]) -> Observations[Component]:
        """Counts as the localiser reads them; several counts of a row add up."""
        sent = np.zeros(self.matrix.rows, np.int64)
        lost = np.zeros(self.matrix.rows, np.int64)
        for count in counts:
            sent[count.row] += count.sent
            lost[count.row] += count.lost
        return Observations(self.matrix, sent, lost)

    def count(self, look: Look, *, without: Collection[int]) -> Iterator[RowCount]:
        """The rows of one frame, except those of some checks."""
        for check in self.checks:
            seen = look.seen.get(check.number)
            if seen is None or seen.wrong or check.number in without:
                continue
            yield from _count(self.place[check.number], seen)


def _count(first: int, seen: Seen) -> Iterator[RowCount]:
    arrived = seen.arrived
    if arrived is None:
        yield RowCount(first + _LEGS.index(Leg.BOTH), seen.asked, seen.asked - seen.reached)
        return
    yield RowCount(first + _LEGS.index(Leg.OUT), seen.asked, seen.asked - arrived)
    if arrived:
        yield RowCount(first + _LEGS.index(Leg.BACK), arrived, arrived - seen.reached)


def _paths(check: CheckFacts) -> tuple[tuple[Component, ...], ...]:
    out, back = _told(check, check.legs.forward), _told(check, check.legs.back)
    return out, back or out, (*out, *back)


def _told(check: CheckFacts, route: tuple[Component, ...]) -> tuple[Component, ...]:
    """The parts a row speaks of.

    Whether host traffic between clusters rides the overlay differs from CNI to CNI, so it neither accuses nor
    acquits one. A door is one part per plane: a rule may guard the pods and not the node.
    """
    between_hosts = check.check.layer is Layer.NODE
    return tuple(
        door_of_plane(part, check) if part.kind is ComponentKind.FIREWALL_RULE else part
        for part in route
        if not (between_hosts and part.kind is ComponentKind.OVERLAY and not part.detail)
    )


def door_of_plane(part: Component, check: CheckFacts) -> Component:
    """A door towards one plane of a node."""
    return Component(part.kind, part.source, check.asked.plane if check.asked else "", part.detail)


def plain(part: Component) -> Component:
    """The component as the plan names it."""
    if part.kind is ComponentKind.FIREWALL_RULE:
        return Component(part.kind, part.source, detail=part.detail)
    return part
