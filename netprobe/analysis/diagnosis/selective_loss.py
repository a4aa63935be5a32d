"""Parts that lose one class of traffic, or some flows by their hash, and pass the rest.

Rules: whole parts are left to set cover and large packets to their own rows of the table. A dead class needs
one interval and two checks; a mixture by nothing that is known needs three checks and more intervals, because
bursts look like it. A check whose flow may take several ways says nothing here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property

import numpy as np

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, Placeholders, build_hypothesis
from netprobe.analysis.diagnosis.loss_rows import without_plane
from netprobe.analysis.diagnosis.packet_loss import SET_COVER, find_behind, find_unacquitted, group_key, rank
from netprobe.analysis.diagnosis.symptom import Selection, Symptom, part_kind
from netprobe.analysis.diagnosis.traffic_rows import TrafficRows
from netprobe.analysis.diagnosis.traffic_text import describe_traffic
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.localise.evidence import Observations
from netprobe.analysis.localise.loss_modes import LossMode
from netprobe.analysis.localise.selective import SelectiveLocaliser, SelectiveSuspect
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.arrays import IntArray
from netprobe.model.component import Component
from netprobe.model.finding import Evidence
from netprobe.model.prose import Prose
from netprobe.model.traffic import Attribute, TrafficCondition

LEAST_CHECKS = 2
"""Checks that a dead class must have lost; one is a pair, which the localiser of whole parts weighs."""
_LEAST_CONFIDENCE = 0.5
_WHOLE_PARTS = 2
_MIXTURE_PATIENCE = 6
_CLASS_PATIENCE = 2
_SELECTION_OF = {
    Attribute.PROTOCOL: Selection.PROTOCOL,
    Attribute.FLOW: Selection.NEW_FLOWS,
    Attribute.SCOPE: Selection.SOURCE,
    Attribute.SOURCE_CLUSTER: Selection.SOURCE,
    Attribute.SOURCE_NODE: Selection.SOURCE,
    Attribute.SOURCE_ROLE: Selection.SOURCE,
    Attribute.TARGET_CLUSTER: Selection.DESTINATION,
    Attribute.TARGET_NODE: Selection.DESTINATION,
    Attribute.TARGET_ROLE: Selection.DESTINATION,
    Attribute.SOURCE_PLANE: Selection.PLANE,
    Attribute.TARGET_PLANE: Selection.PLANE,
    Attribute.FAMILY: Selection.FAMILY,
    Attribute.ROLE: Selection.ROLE,
}
"""In this order: the first attribute of a class that is listed says what to look for."""


class SelectiveLossDetector:
    """The crossings of one plan, built when something is lost for the first time."""

    def __init__(self, index: PlanIndex) -> None:
        self.index = index

    @cached_property
    def rows(self) -> TrafficRows:
        """All checks between agents, with their attributes."""
        return TrafficRows(self.index)

    @cached_property
    def localiser(self) -> SelectiveLocaliser[Component]:
        """The engine over these rows."""
        return SelectiveLocaliser(self.rows.table)

    def find(
        self, before: IntervalObservation, observation: IntervalObservation, *, without: Collection[int]
    ) -> tuple[Hypothesis, ...]:
        """Classes of traffic that a part lost in this interval, except by the checks *without*.

        Only where checks were dead in the interval *before*, too: a burst hits others each time.
        """
        left_out = frozenset(without) | self._scattered
        dead = (observation.troubled & before.troubled) - left_out
        if sum(_is_dead(before, n) and _is_dead(observation, n) for n in dead) < LEAST_CHECKS:
            return ()
        sent, lost = self.rows.count((observation,), without=left_out)
        if self._do_whole_parts_explain(sent, lost):
            return ()
        suspects = [one for one in self.localiser.localise(sent, lost) if self._is_selective(one, lost)]
        groups: dict[tuple[object, ...], list[SelectiveSuspect[Component]]] = {}
        for one in suspects:
            key = (*group_key(without_plane(one.component)), one.conditions, one.mode)
            groups.setdefault(key, []).append(one)
        return tuple(self._build(group, sent, lost) for group in groups.values())

    def _do_whole_parts_explain(self, sent: IntArray, lost: IntArray) -> bool:
        """Whether one or two parts that lost everything explain all: no class explains it better."""
        every = Observations(self.rows.matrix, sent, lost)
        candidates = find_unacquitted(every)
        if not len(candidates):
            return False
        answer = SET_COVER.localise(every.around(candidates, alone=True)[0])
        parts = {without_plane(min(suspect.components, key=rank)) for suspect in answer.suspects}
        groups = {group_key(part) for part in parts - find_behind(parts)}
        # By the plan's legs: rows of host traffic accuse no overlay and may ride it all the same.
        explained = frozenset[int]().union(*(self.index.crossing.get(part, frozenset()) for part in parts))
        losing = self.rows.table.check[np.flatnonzero(lost)]
        return len(groups) <= _WHOLE_PARTS and explained.issuperset(losing.tolist())

    @cached_property
    def _scattered(self) -> frozenset[int]:
        return frozenset(c.number for c in self.index.checks if c.legs.is_one_of_several)

    def _is_selective(self, one: SelectiveSuspect[Component], lost: IntArray) -> bool:
        attributes = {Attribute(each.attribute) for each in one.conditions}
        if one.confidence < _LEAST_CONFIDENCE or Attribute.SIZE in attributes:
            return False
        if one.mode in {LossMode.HASH, LossMode.SPLIT}:
            return True
        checks = {int(self.rows.table.check[row]) for row in one.rows if lost[row]}
        return one.mode is LossMode.DEAD and bool(attributes) and len(checks) >= LEAST_CHECKS

    def _build(
        self,
        group: list[SelectiveSuspect[Component]],
        sent: IntArray,
        lost: IntArray,
    ) -> Hypothesis:
        first = group[0]
        parts = sorted({*(without_plane(one.component) for one in group), *self._reverses(group)})
        rows = sorted({row for one in group for row in one.rows})
        core = frozenset(int(self.rows.table.check[row]) for row in rows if lost[row])
        traffic = describe_traffic(first.conditions)
        is_mixture = first.mode is not LossMode.DEAD
        words: Placeholders = {"traffic": traffic, "loss": f"{100 * first.loss:.0f} %"}
        if is_mixture:
            words["traffic"] = f" of {traffic}" if first.conditions else ""
        return build_hypothesis(
            Symptom(part_kind(parts[0]), selection=_select(first)),
            parts,
            core=core,
            explained=frozenset(self._covered(group)),
            words=words,
            evidence=tuple(self._evidence(first, rows, sent, lost, traffic)),
            indistinguishable=tuple(sorted(self._others(group) - set(parts))),
            loss=first.loss if is_mixture else None,
            patience=_MIXTURE_PATIENCE if is_mixture else _CLASS_PATIENCE,
            traffic=first.conditions,
            certainty=min(one.confidence for one in group),
        )

    @staticmethod
    def _reverses(group: Iterable[SelectiveSuspect[Component]]) -> Iterator[Component]:
        """The other direction of the same part, where its class has the same rows."""
        for one in group:
            for part, _ in one.alike:
                if part != one.component and group_key(without_plane(part)) == group_key(
                    without_plane(one.component)
                ):
                    yield without_plane(part)

    @staticmethod
    def _others(group: Iterable[SelectiveSuspect[Component]]) -> set[Component]:
        return {without_plane(part) for one in group for part, _ in one.alike}

    def _covered(self, group: Iterable[SelectiveSuspect[Component]]) -> Iterator[int]:
        """Checks whose packets are of the class where they cross the part, measured or not."""
        table = self.rows.table
        for one in group:
            number = table.components.index(one.component)
            met = table.matches(number, one.conditions)
            yield from table.check[table.row[table.at(number)][met]].tolist()

    def _evidence(
        self,
        one: SelectiveSuspect[Component],
        rows: list[int],
        sent: IntArray,
        lost: IntArray,
        traffic: str,
    ) -> Iterator[Evidence]:
        table, index = self.rows.table, self.index
        inside = {int(table.check[row]) for row in rows}
        hit = {int(table.check[row]) for row in rows if lost[row]}
        what = traffic if one.conditions else "all traffic"
        yield Evidence(
            Prose(f"{what} across it: {len(hit)} of {len(inside)} checks lose packets"), index.ids(hit)
        )
        crossing = table.row[table.at(table.components.index(one.component))]
        outside = {int(table.check[row]) for row in crossing.tolist() if sent[row]} - inside
        fine = outside - {int(table.check[row]) for row in crossing.tolist() if lost[row]}
        if outside:
            text = f"the rest across it: {len(fine)} of {len(outside)} checks pass"
        else:
            text = f"only {what} was asked across it"
        yield Evidence(Prose(text), index.ids(fine))


def _is_dead(observation: IntervalObservation, number: int) -> bool:
    return bool(observation.seen.asked[number]) and not observation.seen.reached[number]


def _select(one: SelectiveSuspect[Component]) -> Selection:
    if one.mode is LossMode.HASH:
        return Selection.FLOWS
    if one.mode is LossMode.SPLIT:
        return Selection.UNRECORDED
    return _select_by(one.conditions)


def _select_by(conditions: Iterable[TrafficCondition]) -> Selection:
    attributes = {Attribute(one.attribute) for one in conditions}
    return next(selection for attribute, selection in _SELECTION_OF.items() if attribute in attributes)
