"""Which classes of traffic the checks of a plan tell apart at each tunnel, gateway and node.

A class here is one attribute with one value (`traffic_profiles.CONDITIONS`). Rules:

- A UDP check is two rows, out and back, as responders count what reaches them; any other check is one row.
- A class is *named* if no other class of its part is met by the same rows, and it is not all that crosses
  the part. It is *located* if no other part has such a class, or is crossed by exactly these rows, and
  *told* if that holds for the other direction of its own part, too.
- What the fleet cannot ask (IPv6 without IPv6 addresses, workers where there are none) is left out: an
  attribute counts at a kind of part where several of its values occur in the fleet.
- Firewall rules, pods, overlays and routes are left out too: a rule is a node and a protocol by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from netprobe.model.arrays import BoolArray, IntArray
from netprobe.model.component import Component, ComponentKind
from netprobe.model.fleet import ClassCoverage, ClassGap, GapReason
from netprobe.model.traffic import Attribute, TrafficCondition
from netprobe.planning.traffic_profiles import CONDITIONS, VALUES, digits

KINDS = (
    ComponentKind.TUNNEL,
    ComponentKind.GATEWAY_OUT,
    ComponentKind.GATEWAY_IN,
    ComponentKind.NODE_OUT,
    ComponentKind.NODE_IN,
)
_CONSTANT = {ComponentKind.NODE_OUT: Attribute.SOURCE_ROLE, ComponentKind.NODE_IN: Attribute.TARGET_ROLE}
"""At one node these never vary, or as the plane does."""
_PLANE_OF = {
    Attribute.SOURCE_ROLE: Attribute.SOURCE_PLANE,
    Attribute.TARGET_ROLE: Attribute.TARGET_PLANE,
}
KeyArray = npt.NDArray[np.uint64]


class KindCrossings(NamedTuple):
    """All crossings of the parts of one kind, one entry each."""

    part: IntArray
    """Number of the part among those of its kind, from 0."""
    profile: IntArray
    """`traffic_profiles`; none is negative."""
    key: KeyArray
    """A random number of the row; sums of them name sets of rows."""
    place: IntArray
    """By part a number that both directions of a tunnel, gateway or node share, and no other part."""

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return len(self.place)


@dataclass(frozen=True, eq=False)
class _Keys:
    """Names of the row sets of one kind: parts × (all traffic, then each class that counts); 0 for none."""

    kind: ComponentKind
    keys: KeyArray
    conditions: tuple[int, ...]
    """Which of `CONDITIONS`, one per column after the first."""
    place: IntArray
    """By part, as in `KindCrossings`."""
    is_said: BoolArray
    """Parts × classes: whether it is the same as a class by plane there, as where only gateways send."""

    def named(self) -> tuple[KeyArray, IntArray]:
        """All names, each once per part that has it, and the place of the part."""
        ordered = np.sort(self.keys, axis=1)
        is_new = np.ones(ordered.shape, np.bool_)
        is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        is_new &= ordered != 0
        return ordered[is_new], np.repeat(self.place, is_new.sum(axis=1))


def find_place(part: Component) -> tuple[str, ...]:
    """What both directions of a tunnel, gateway or node have in common."""
    if part.kind is ComponentKind.TUNNEL:
        return ("tunnel", *sorted((str(part.source), str(part.target))), str(part.detail))
    is_gateway = part.kind in {ComponentKind.GATEWAY_OUT, ComponentKind.GATEWAY_IN}
    return ("gateway" if is_gateway else "node", str(part.node))


def measure_classes(
    crossings: dict[ComponentKind, KindCrossings],
) -> tuple[tuple[ClassCoverage, ...], tuple[ClassGap, ...]]:
    """Count classes and those that are told apart, by kind of part, and fold what is not."""
    every = [
        _name_rows(kind, crossings[kind]) for kind in KINDS if kind in crossings and crossings[kind].parts
    ]
    if not every:
        return (), ()
    named = {one.kind: one.named() for one in every}
    known = _Known({kind: np.sort(keys) for kind, (keys, _) in named.items()}, _once_a_place(named.values()))
    counted, gaps = [], list[ClassGap]()
    for one in every:
        coverage, found = _judge(one, known)
        counted.append(coverage)
        gaps += found
    return tuple(counted), tuple(gaps)


def _name_rows(kind: ComponentKind, crossings: KindCrossings) -> _Keys:
    profiles, place = np.unique(crossings.profile, return_inverse=True)
    width = len(profiles)
    cells = np.zeros((crossings.parts, width), np.uint64)
    np.add.at(cells.reshape(-1), crossings.part * width + place.reshape(-1), crossings.key)
    codes = {attribute: digits(profiles.astype(np.int64), attribute) for attribute in VALUES}
    columns, conditions = [cells.sum(axis=1, dtype=np.uint64)], []
    for number, condition in enumerate(CONDITIONS):
        attribute = Attribute(condition.attribute)
        outer = VALUES[attribute].index("outer") if "outer" in VALUES[attribute] else -1
        several = len(np.unique(codes[attribute][codes[attribute] != outer])) > 1
        met = codes[attribute] == VALUES[attribute].index(condition.value)
        if several and met.any() and _CONSTANT.get(kind) is not attribute:
            columns.append(cells[:, met].sum(axis=1, dtype=np.uint64))
            conditions.append(number)
    keys = np.column_stack(columns)
    return _Keys(kind, keys, tuple(conditions), crossings.place, _find_said(keys[:, 1:], conditions))


def _find_said(keys: KeyArray, conditions: Sequence[int]) -> BoolArray:
    """Where a role is another name of a plane: forwarded of pods, a gateway's own of node addresses."""
    is_said = np.zeros(keys.shape, np.bool_)
    column_of = {CONDITIONS[number]: column for column, number in enumerate(conditions)}
    for condition, column in column_of.items():
        plane = _PLANE_OF.get(Attribute(condition.attribute))
        if plane is not None:
            value = "pod" if condition.value == "forwarded" else "host"
            other = column_of.get(TrafficCondition(plane, value))
            if other is not None:
                is_said[:, column] = keys[:, column] == keys[:, other]
    return is_said


class _Known(NamedTuple):
    """The names of row sets in the whole plan, sorted."""

    by_kind: dict[ComponentKind, KeyArray]
    """Each once per part."""
    by_place: KeyArray
    """Each once per place."""


def _once_a_place(named: Iterable[tuple[KeyArray, IntArray]]) -> KeyArray:
    keys, places = (np.concatenate(each) for each in zip(*named, strict=True))
    order = np.lexsort((places, keys))
    keys, places = keys[order], places[order]
    is_new = np.ones(len(keys), np.bool_)
    is_new[1:] = (keys[1:] != keys[:-1]) | (places[1:] != places[:-1])
    found: KeyArray = keys[is_new]
    return found


def _count(names: KeyArray, keys: KeyArray) -> IntArray:
    """How often each of *keys* is among the sorted *names*."""
    return np.searchsorted(names, keys, "right") - np.searchsorted(names, keys, "left")


def _judge(one: _Keys, known: _Known) -> tuple[ClassCoverage, list[ClassGap]]:
    whole, gaps = one.keys[:, 0], list[ClassGap]()
    asked, named, located, told = 0, 0, 0, 0
    for column, number in enumerate(one.conditions, 1):
        keys, fold = (
            one.keys[:, column],
            _Fold(one.kind, CONDITIONS[number], ~one.is_said[:, column - 1], gaps),
        )
        fold.take(keys == 0, GapReason.NOT_ASKED)
        fold.take(keys == whole, GapReason.NOTHING_ELSE)
        asked += fold.left
        for other, other_number in enumerate(one.conditions, 1):
            if other != column:
                alike = (keys == one.keys[:, other]) & ~one.is_said[:, other - 1]
                fold.take(alike, GapReason.OTHER_CLASS, other=CONDITIONS[other_number])
        named += fold.left
        is_elsewhere = _count(known.by_place, keys) > 1
        counts = {kind: _count(names, keys) - (kind is one.kind) for kind, names in known.by_kind.items()}
        for kind, others in counts.items():
            fold.take(is_elsewhere & (others > 0), GapReason.OTHER_PART, other_kind=kind)
        located += fold.left
        for kind, others in counts.items():
            fold.take(others > 0, GapReason.OTHER_DIRECTION, other_kind=kind)
        told += fold.left
    classes = one.is_said.size - int(np.count_nonzero(one.is_said))
    return ClassCoverage(one.kind, len(whole), classes, asked, named, located, told), gaps


@dataclass(eq=False)
class _Fold:
    """The parts at which one class is not accounted for yet."""

    kind: ComponentKind
    traffic: TrafficCondition
    is_left: BoolArray
    gaps: list[ClassGap]

    @property
    def left(self) -> int:
        """How many parts are left."""
        return int(np.count_nonzero(self.is_left))

    def take(
        self,
        found: BoolArray,
        reason: GapReason,
        *,
        other: TrafficCondition | None = None,
        other_kind: ComponentKind | None = None,
    ) -> None:
        """Account for those parts that are left and *found*."""
        parts = int(np.count_nonzero(self.is_left & found))
        if parts:
            self.gaps.append(ClassGap(self.kind, self.traffic, reason, parts, other, other_kind))
            self.is_left = self.is_left & ~found


def mix(numbers: KeyArray) -> KeyArray:
    """Spread numbers over 64 bits (the finaliser of MurmurHash3, Appleby)."""
    mixed = (numbers ^ (numbers >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return mixed ^ (mixed >> np.uint64(33))
