"""Parts that lose one class of traffic, or some flows by their hash, and pass the rest.

Rules: whole parts are left to set cover and large packets to their own rows of the table. A dead class needs
one interval and two checks; a mixture by nothing that is known needs three checks and more intervals, because
bursts look like it. A check whose flow may take several ways says nothing here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import takewhile

import numpy as np

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, Placeholders, build_hypothesis
from netprobe.analysis.diagnosis.loss_rows import without_plane
from netprobe.analysis.diagnosis.packet_loss import (
    SET_COVER,
    find_behind,
    find_unacquitted,
    group_key,
    is_overdispersed,
    rank,
)
from netprobe.analysis.diagnosis.rejections import (
    describe_rejections,
    find_answer,
    find_rejections,
    name_senders,
)
from netprobe.analysis.diagnosis.symptom import Answer, Selection, Symptom, part_kind
from netprobe.analysis.diagnosis.traffic_rows import TrafficRows
from netprobe.analysis.diagnosis.traffic_text import describe_traffic
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.localise.evidence import Observations
from netprobe.analysis.localise.loss_modes import MIXTURES, LossMode
from netprobe.analysis.localise.selective import SelectiveLocaliser, SelectiveSuspect
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.arrays import IntArray
from netprobe.model.component import Component, ComponentKind
from netprobe.model.finding import Evidence
from netprobe.model.names import NodeId, Plane
from netprobe.model.prose import Prose
from netprobe.model.traffic import Attribute, TrafficCondition
from netprobe.probes.rejection import Meaning, meaning_of

LEAST_CHECKS = 2
"""Checks that a dead class must have lost; one is a pair, which the localiser of whole parts weighs."""
LEAST_MIXTURE_CHECKS = 3
"""Checks that must have lost some packets before a mixture is reported; two bursts look like one."""
LEAST_RATE_CHECKS = 4
"""Checks that must have lost some packets before a share of them is called a rate."""
LEAST_LOSS, MOST_LOSS = 0.02, 0.9
_LEAST_CONFIDENCE = 0.5
_WHOLE_PARTS = 2
_AT_NODE = {ComponentKind.NODE_IN, ComponentKind.NODE_OUT, ComponentKind.POD_IN, ComponentKind.POD_OUT}
_PLANE_OF: dict[str, Attribute] = {
    Attribute.SOURCE_NETWORK: Attribute.SOURCE_PLANE,
    Attribute.TARGET_NETWORK: Attribute.TARGET_PLANE,
}
_SAID_BY_FILTER = {Meaning.PROHIBITED, Meaning.UNROUTABLE}
_NODE_PARTS = {ComponentKind.NODE_IN, ComponentKind.NODE_OUT}
_PATIENCE = {LossMode.DEAD: 2, LossMode.RATE: 3, LossMode.HASH: 6, LossMode.SPLIT: 6}
"""Intervals in a row that must suggest it; a rate is counted over several, so that each is less news."""
_SELECTION_OF = {
    Attribute.PROTOCOL: Selection.PROTOCOL,
    Attribute.SOURCE_ROLE: Selection.FORWARDING,
    Attribute.TARGET_ROLE: Selection.FORWARDING,
    Attribute.FLOW: Selection.NEW_FLOWS,
    Attribute.SCOPE: Selection.SOURCE,
    Attribute.SOURCE_CLUSTER: Selection.SOURCE,
    Attribute.SOURCE_NODE: Selection.SOURCE,
    Attribute.TARGET_CLUSTER: Selection.DESTINATION,
    Attribute.TARGET_NODE: Selection.DESTINATION,
    Attribute.SOURCE_NETWORK: Selection.SOURCE,
    Attribute.SOURCE_RANGE: Selection.SOURCE,
    Attribute.TARGET_NETWORK: Selection.DESTINATION,
    Attribute.TARGET_RANGE: Selection.DESTINATION,
    Attribute.SOURCE_PLANE: Selection.PLANE,
    Attribute.TARGET_PLANE: Selection.PLANE,
    Attribute.FAMILY: Selection.FAMILY,
    Attribute.ROLE: Selection.ANSWERS,
    Attribute.SIZE: Selection.SIZE,
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
        self,
        before: Sequence[IntervalObservation],
        observation: IntervalObservation,
        *,
        without: Collection[int],
    ) -> tuple[Hypothesis, ...]:
        """Classes of traffic that a part lost in this interval, except by the checks *without*.

        Only where checks were dead in the last interval *before*, too: a burst hits others each time. What
        looks like a mixture is judged over all of these intervals, as a share of packets looks so in each.
        """
        left_out = frozenset(without) | self._scattered
        if not before or _count_dead(before[-1], observation, left_out) < LEAST_CHECKS:
            return ()
        sent, lost = self.rows.count((observation,), without=left_out)
        if self._do_whole_parts_explain(sent, lost):
            return ()
        found = self.localiser.localise(sent, lost)
        if any(one.mode in MIXTURES for one in found):
            lately = takewhile(
                lambda one: _count_dead(one, observation, left_out) >= LEAST_CHECKS, reversed(before)
            )
            sent, lost = self.rows.count((*lately, observation), without=left_out)
            found = self.localiser.localise(sent, lost)
        suspects = [self._name_best(one, observation, lost) for one in found if self._is_selective(one, lost)]
        groups: dict[tuple[object, ...], list[SelectiveSuspect[Component]]] = {}
        for one in suspects:
            key = (*group_key(without_plane(one.component)), _mirrored(one.conditions), one.mode)
            groups.setdefault(key, []).append(one)
        return tuple(self._build(observation, group, sent, lost) for group in groups.values())

    def find_rates(
        self, observations: Sequence[IntervalObservation], *, without: Collection[int]
    ) -> tuple[Hypothesis, ...]:
        """Classes of traffic of which a part lost a share over some intervals, as IPv6 or large packets."""
        left_out = frozenset(without) | self._scattered
        troubled = frozenset[int]().union(*(one.troubled for one in observations)) - left_out
        if len(troubled) < LEAST_RATE_CHECKS:
            return ()
        sent, lost = self.rows.count(observations, without=left_out)
        suspects = [one for one in self.localiser.localise(sent, lost) if self._is_rate(one, sent, lost)]
        groups: dict[tuple[object, ...], list[SelectiveSuspect[Component]]] = {}
        for one in suspects:
            key = (*group_key(without_plane(one.component)), _mirrored(one.conditions))
            groups.setdefault(key, []).append(one)
        return tuple(self._build(observations[-1], group, sent, lost) for group in groups.values())

    def _name_best(
        self, one: SelectiveSuspect[Component], observation: IntervalObservation, lost: IntArray
    ) -> SelectiveSuspect[Component]:
        """The same rows under the name that a person looks at first.

        A part of the host that says that it rejects the packets, else few conditions; last a port's rule, and
        an overlay, where only a node sees what is inside its packets.
        """
        failing = {int(self.rows.table.check[row]) for row in one.rows if lost[row]}
        told = find_rejections(observation, failing)
        hosts = {self.index.node_at.get(each.sender) for each in told if meaning_of(each) in _SAID_BY_FILTER}
        names = [(one.component, one.conditions), *one.alike]
        best = min(
            names,
            key=lambda name: (_distance(name[0], hosts), _is_rule(name[0]), _is_wrapped(*name), len(name[1])),
        )
        others = tuple(name for name in names if name != best)
        return replace(one, component=best[0], conditions=self._widen(*best), alike=others)

    def _widen(
        self, part: Component, conditions: tuple[TrafficCondition, ...]
    ) -> tuple[TrafficCondition, ...]:
        """Plane and family instead of a network, where only that cluster's packets cross the part at all.

        So both directions of a link have the same name.
        """
        if len(conditions) != 1 or conditions[0].attribute not in _PLANE_OF or not conditions[0].is_equal:
            return conditions
        table, number = self.rows.table, self.rows.table.components.index(part)
        _, plane, family = conditions[0].value.rsplit(" ", 2)
        wider = (
            TrafficCondition(Attribute.FAMILY, family),
            TrafficCondition(_PLANE_OF[conditions[0].attribute], plane),
        )
        is_same = np.array_equal(table.matches(number, wider), table.matches(number, conditions))
        return wider if is_same else conditions

    def _is_rate(self, one: SelectiveSuspect[Component], sent: IntArray, lost: IntArray) -> bool:
        checks = {int(self.rows.table.check[row]) for row in one.rows if lost[row]}
        is_class = bool(one.conditions)  # a rate of everything is `packet_loss`'s
        is_share = is_class and one.mode is LossMode.RATE and LEAST_LOSS <= one.loss <= MOST_LOSS
        rows = np.array(one.rows, np.int64)
        if is_share and is_overdispersed(sent[rows], lost[rows]):
            return False
        return is_share and len(checks) >= LEAST_RATE_CHECKS and one.confidence >= _LEAST_CONFIDENCE

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
        checks = {int(self.rows.table.check[row]) for row in one.rows if lost[row]}
        if one.mode in MIXTURES:
            return len(checks) >= LEAST_MIXTURE_CHECKS
        return one.mode is LossMode.DEAD and bool(attributes) and len(checks) >= LEAST_CHECKS

    def _build(
        self,
        observation: IntervalObservation,
        group: list[SelectiveSuspect[Component]],
        sent: IntArray,
        lost: IntArray,
    ) -> Hypothesis:
        first = group[0]
        parts = sorted({*(without_plane(one.component) for one in group), *self._reverses(group)})
        rows = sorted({row for one in group for row in one.rows})
        core = frozenset(int(self.rows.table.check[row]) for row in rows if lost[row])
        ways = list(dict.fromkeys(describe_traffic(one.conditions) for one in group))
        traffic = " one way and ".join(ways) + (" the other way" if len(ways) > 1 else "")
        is_mixture = first.mode is not LossMode.DEAD
        answer = find_answer(observation, core)
        rejections = find_rejections(observation, core)
        if first.mode is LossMode.RATE:
            answer = Answer.LOSSY
        symptom = Symptom(part_kind(parts[0]), answer=answer, selection=_select(first))
        words: Placeholders = {"traffic": traffic, "loss": f"{100 * first.loss:.0f} %"}
        if symptom.selection is Selection.PODS:
            kinds = {part.kind for part in parts}
            words["pods"] = (
                "to and from" if len(kinds) > 1 else "to" if ComponentKind.NODE_IN in kinds else "from"
            )
        if rejections:
            words["senders"] = f", as {name_senders(self.index, rejections)} report"
        if first.mode in MIXTURES:
            words["traffic"] = f" of {traffic}" if first.conditions else ""
        return build_hypothesis(
            symptom,
            parts,
            core=core,
            explained=frozenset(self._covered(group)),
            words=words,
            evidence=(
                *self._evidence(first, rows, sent, lost, traffic),
                *describe_rejections(self.index, rejections),
            ),
            indistinguishable=tuple(sorted(self._others(group) - set(parts))),
            loss=first.loss if is_mixture else None,
            patience=_PATIENCE[first.mode],
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


def find_nodes_without_udp(found: Hypothesis) -> Iterator[NodeId]:
    """The nodes into or out of which *found* says that UDP is lost, or all protocols of a class."""
    protocols = [one for one in found.traffic if one.attribute == Attribute.PROTOCOL]
    if all((one.value == "udp") == one.is_equal for one in protocols):
        for part in found.components:
            if part.kind in _AT_NODE and part.node is not None:
                yield part.node


def _mirrored(conditions: Iterable[TrafficCondition]) -> frozenset[tuple[str, str, bool]]:
    """What a class says of an end, whichever it is: pods that send one way are sent to the other way."""
    return frozenset(
        (one.attribute.removeprefix("source ").removeprefix("target "), one.value, one.is_equal)
        for one in conditions
    )


def _distance(part: Component, hosts: Collection[NodeId | None]) -> int:
    """0 for a part of one of *hosts*, 1 for a link that begins in its cluster, else 2."""
    if part.node is not None:
        return 0 if part.node in hosts else 2
    return 1 if any(host is not None and host.cluster == part.cluster for host in hosts) else 2


def _is_rule(part: Component) -> bool:
    return part.kind is ComponentKind.FIREWALL_RULE


def _is_wrapped(part: Component, conditions: Sequence[TrafficCondition]) -> bool:
    """Whether the packets of this class look like any others to what carries the overlay."""
    return part.kind is ComponentKind.OVERLAY and not part.detail and bool(conditions)


def _count_dead(before: IntervalObservation, now: IntervalObservation, without: frozenset[int]) -> int:
    """How many checks lost everything in both intervals."""
    both = (now.troubled & before.troubled) - without
    return sum(_is_dead(before, number) and _is_dead(now, number) for number in both)


def _is_dead(observation: IntervalObservation, number: int) -> bool:
    return bool(observation.seen.asked[number]) and not observation.seen.reached[number]


def _select(one: SelectiveSuspect[Component]) -> Selection | None:
    if one.mode is LossMode.HASH:
        return Selection.FLOWS
    if one.mode is LossMode.SPLIT:
        return Selection.UNRECORDED
    if one.component.kind in _NODE_PARTS and all(_is_own_pods(one.component, c) for c in one.conditions):
        return Selection.PODS
    return _select_by(one.conditions) if one.conditions else None


def _is_own_pods(part: Component, condition: TrafficCondition) -> bool:
    """Whether the condition says: to the pods behind a node's way in, or from those behind its way out."""
    own = Attribute.TARGET_PLANE if part.kind is ComponentKind.NODE_IN else Attribute.SOURCE_PLANE
    return condition.attribute == own and condition.is_equal == (condition.value == Plane.POD)


def _select_by(conditions: Iterable[TrafficCondition]) -> Selection:
    by_attribute = {Attribute(one.attribute): one for one in conditions}
    selection = next(each for attribute, each in _SELECTION_OF.items() if attribute in by_attribute)
    if selection is Selection.ANSWERS:
        role = by_attribute[Attribute.ROLE]
        return Selection.REQUESTS if (role.value == "request") == role.is_equal else selection
    return selection
