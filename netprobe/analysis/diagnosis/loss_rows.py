"""Rows for the localiser: what each leg of each check sent and lost, one traffic class at a time.

Rules: out and back are rows of their own where the responder counted what reached it; elsewhere one row
covers both legs. Each traffic class (main, IPv6, large packets) is localised separately, because a part may
be broken for large packets only, and a small packet that passed would acquit it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from functools import cached_property
from itertools import product

import numpy as np

from netprobe.analysis.diagnosis.symptom import TrafficClass
from netprobe.analysis.intervals.observation import UNTOLD, IntervalObservation, ObservationTable
from netprobe.analysis.localise.evidence import EvidenceMatrix, Observations
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.arrays import BoolArray, IntArray
from netprobe.model.check import Layer
from netprobe.model.component import Component, ComponentKind

TRAFFIC_OF = {
    Aspect.ICMP: TrafficClass.MAIN,
    Aspect.UDP: TrafficClass.MAIN,
    Aspect.TCP: TrafficClass.MAIN,
    Aspect.NEW_FLOW: TrafficClass.MAIN,
    Aspect.OUTER: TrafficClass.MAIN,
    Aspect.V6: TrafficClass.V6,
    Aspect.LARGE: TrafficClass.LARGE,
}


class Leg(StrEnum):
    """Which way a row speaks of."""

    OUT = "out"
    BACK = "back"
    BOTH = "both"


LEGS = (Leg.OUT, Leg.BACK, Leg.BOTH)


class LossRows:
    """The matrix of some traffic classes: three rows per check, most of them unused at any one time."""

    def __init__(self, index: PlanIndex, traffic: Collection[TrafficClass]) -> None:
        self.checks = tuple(
            c
            for c in index.checks
            if TRAFFIC_OF.get(c.aspect) in traffic and c.legs.forward and not _is_scattered(c)
        )
        self._numbers = np.array([check.number for check in self.checks], np.int64)

    @cached_property
    def matrix(self) -> EvidenceMatrix[Component]:
        """Which components each row crosses."""
        return EvidenceMatrix.of_path_sets(ways for check in self.checks for ways in _ways(check))

    def check(self, row: int) -> CheckFacts:
        """The check a row belongs to."""
        return self.checks[row // len(LEGS)]

    def check_of(self, row: int) -> int:
        """The number of the check a row belongs to."""
        return self.check(row).number

    @staticmethod
    def is_one_way(rows: IntArray) -> BoolArray:
        """Which rows speak of one direction only."""
        is_one_way: BoolArray = rows % len(LEGS) != LEGS.index(Leg.BOTH)
        return is_one_way

    def observe(
        self, observations: Iterable[IntervalObservation], *, without: Collection[int]
    ) -> Observations[Component]:
        """What every row sent and lost over some intervals, except those of some checks."""
        return Observations(self.matrix, *self.count(observations, without=without))

    def count(
        self, observations: Iterable[IntervalObservation], *, without: Collection[int]
    ) -> tuple[IntArray, IntArray]:
        """Packets that every row sent and lost over some intervals; none for some checks."""
        sent, lost = np.zeros((2, len(self.checks) * len(LEGS)), np.int64)
        for observation in observations:
            self._add(observation.seen, without, sent, lost)
        return sent, lost

    def _add(self, seen: ObservationTable, without: Collection[int], sent: IntArray, lost: IntArray) -> None:
        used = (seen.asked > 0) & (seen.wrong == 0)
        used[list(without)] = False
        used = used[self._numbers]
        asked, reached = seen.asked[self._numbers], seen.reached[self._numbers]
        arrived = seen.arrived[self._numbers]
        apart = used & (arrived != UNTOLD)
        rows = {
            Leg.OUT: (apart, asked, arrived),
            Leg.BACK: (apart, arrived, reached),
            Leg.BOTH: (used & ~apart, asked, reached),
        }
        for place, leg in enumerate(LEGS):
            told, before, after = rows[leg]
            sent[place :: len(LEGS)] += np.where(told, before, 0)
            lost[place :: len(LEGS)] += np.where(told, before - after, 0)


def _is_scattered(check: CheckFacts) -> bool:
    """Whether each probe of a check is a flow of its own that may take another way than the one before."""
    return check.aspect in {Aspect.TCP, Aspect.NEW_FLOW} and check.legs.is_one_of_several


def _ways(check: CheckFacts) -> tuple[tuple[tuple[Component, ...], ...], ...]:
    """The path sets of the three rows of a check; out and back a flow may take any two ways."""
    out = tuple(rewrite_parts(check, way) for way in check.legs.ways_out)
    back = tuple(rewrite_parts(check, way) for way in check.legs.ways_back)
    both = tuple((*there, *again) for there, again in product(out, back))
    return out, back if any(back) else out, both


def rewrite_parts(check: CheckFacts, route: tuple[Component, ...]) -> tuple[Component, ...]:
    """The parts a row speaks of.

    Whether host traffic between clusters rides the overlay differs from CNI to CNI, so it neither accuses nor
    acquits one. A firewall rule is one part per plane: it may guard the pods and not the node.
    """
    between_hosts = check.check.layer is Layer.NODE
    plane = check.asked.plane if check.asked else None
    return tuple(
        part.of_plane(plane) if part.kind is ComponentKind.FIREWALL_RULE else part
        for part in route
        if not (between_hosts and part.kind is ComponentKind.OVERLAY and not part.detail)
    )


def without_plane(part: Component) -> Component:
    """The component as the plan names it."""
    if part.kind is ComponentKind.FIREWALL_RULE:
        return part.of_every_plane()
    return part
