"""What packets are like where they cross a component: the attributes that a selective fault may choose by.

Rules: attributes belong to the crossing, not to the row; on the way back source and target have changed
places. A table is built once per plan; each batch brings only what the rows sent and lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, NamedTuple

import numpy as np

from netprobe.analysis.localise.evidence import L
from netprobe.errors import MisuseError
from netprobe.model.arrays import BoolArray, FloatArray, IntArray
from netprobe.model.traffic import TrafficCondition


class Crossing(NamedTuple, Generic[L]):
    """A row's packets at a component; *values* has one per attribute of the table, in its order."""

    row: int
    component: L
    values: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CrossingTable(Generic[L]):
    """Every crossing of a plan, sorted by component.

    ``row``, ``component``: one number per crossing; ``codes``: crossings × attributes, the place of each
    value in ``values[attribute]``; the crossings of component *c* are ``start[c]:start[c + 1]``.
    """

    components: tuple[L, ...]
    attributes: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    row: IntArray
    component: IntArray
    codes: IntArray
    start: IntArray
    kept: FloatArray
    """By row: how likely a hash takes its packets for one flow, 0–1; 0 where each has a port of its own."""
    check: IntArray
    """By row: the number of the check it belongs to."""

    @classmethod
    def of(
        cls,
        attributes: Sequence[str],
        crossings: Iterable[Crossing[L]],
        *,
        kept: Sequence[float],
        check: Sequence[int],
    ) -> CrossingTable[L]:
        """Number components and values in the order in which they appear."""
        number_of: dict[L, int] = {}
        value_of: list[dict[str, int]] = [{} for _ in attributes]
        kind_of: dict[tuple[str, ...], int] = {}  # crossings alike in every attribute; there are few kinds
        rows, components, kinds = [], [], []
        for row, part, values in crossings:
            if len(values) != len(attributes):
                raise MisuseError(f"{len(values)} values for {len(attributes)} attributes")
            rows.append(row)
            components.append(number_of.setdefault(part, len(number_of)))
            kinds.append(kind_of.setdefault(values, len(kind_of)))
        codes = np.array(
            [
                [place.setdefault(value, len(place)) for place, value in zip(value_of, kind, strict=True)]
                for kind in kind_of
            ],
            np.int64,
        ).reshape(-1, len(attributes))
        component = np.array(components, np.int64)
        order = np.argsort(component, kind="stable")
        return cls(
            components=tuple(number_of),
            attributes=tuple(attributes),
            values=tuple(tuple(place) for place in value_of),
            row=np.array(rows, np.int64)[order],
            component=component[order],
            codes=codes[np.array(kinds, np.int64)[order]],
            start=np.searchsorted(component[order], np.arange(len(number_of) + 1)).astype(np.int64),
            kept=np.array(kept, np.float64),
            check=np.array(check, np.int64),
        )

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.check)

    @cached_property
    def length(self) -> IntArray:
        """By row: how many components it crosses."""
        return np.bincount(self.row, minlength=self.rows).astype(np.int64)

    def at(self, component: int) -> slice:
        """Where the crossings of a component stand."""
        return slice(int(self.start[component]), int(self.start[component + 1]))

    def matches(self, component: int, conditions: Iterable[TrafficCondition]) -> BoolArray:
        """Which crossings of a component meet all *conditions*."""
        here = self.at(component)
        met = np.ones(here.stop - here.start, np.bool_)
        for one in conditions:
            column = self.attributes.index(one.attribute)
            known = self.values[column]
            code = known.index(one.value) if one.value in known else -1
            met &= (self.codes[here, column] == code) == one.is_equal
        return met
