"""The classes of traffic that the measured rows tell apart at one component.

A class is a conjunction of at most two conditions. Only single conditions are kept; two are joined where
both could explain enough (`class_scores`). What a gateway forwards of one protocol counts as one condition,
because its filter on forwarded packets asks for nothing else: with another one it makes a class of three.
Conditions that the same rows meet are one, under its cheapest name. The price of a name is minus the
logarithm of how likely it is before anything is measured, in nats: to choose among many attributes and values
must be paid for by what it explains (the penalty for the number of descriptions tried in Proença et al., Data
Mining and Knowledge Discovery 2022, there for subgroup lists).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netprobe.analysis.localise.crossings import CrossingTable
from netprobe.analysis.localise.evidence import L
from netprobe.model.arrays import BoolArray, FloatArray, IntArray
from netprobe.model.traffic import FORWARDED, Attribute, TrafficCondition

_EACH = 0.7
"""Price of one more condition, and of ≠ instead of =: about ln 2."""
_RARER = {Attribute.FLOW: 1.0, Attribute.ROLE: 1.0}
"""Price of an attribute that others explain more often: where TCP alone opens flows, "TCP" is the name; where
pods that are cut off answer nothing, all that is seen to be lost are requests, and "to pods" is the name.
"""
_NEGATED = 3
"""Values that an attribute needs before "all but this one" differs from "the other one"."""
_FEW_VALUES = 8
"""Attributes with more values (nodes) are not negated: all but one of many is the part itself, nearly."""
ALL = 0
"""The place of the class of all traffic."""


@dataclass(frozen=True, eq=False)
class TrafficClasses:
    """The distinct classes of at most one condition at a component; the first one is all of its traffic."""

    rows: IntArray
    """The measured rows that cross it."""
    masks: BoolArray
    """Classes × rows."""
    weights: FloatArray
    """`masks` as numbers."""
    price: FloatArray
    """By class, in nats; 0 for all traffic."""
    column: IntArray
    """By class: the place of its attribute; -1 for all traffic."""
    conditions: tuple[tuple[TrafficCondition, ...], ...]
    name: IntArray
    """By row: a random number; sums of them name sets of rows across components."""

    def mask_of(self, first: int, second: int) -> BoolArray:
        """The rows of *first* and *second*; `ALL` as *second* leaves *first* as it is."""
        both: BoolArray = self.masks[first] & self.masks[second]
        return both

    def conditions_of(self, first: int, second: int) -> tuple[TrafficCondition, ...]:
        """What the packets of both classes meet."""
        return self.conditions[first] + self.conditions[second]

    def key_of(self, first: int, second: int) -> int:
        """A number that names the rows of both classes."""
        return int(self.name[self.mask_of(first, second)].sum())


def find_classes(
    table: CrossingTable[L], component: int, measured: BoolArray, name: IntArray
) -> TrafficClasses:
    """The classes of *component* over *measured* rows (by row); *name* is a random number per row."""
    here = table.at(component)
    used = measured[table.row[here]]
    rows, codes = table.row[here][used], table.codes[here][used]
    column, code, is_equal, price = _find_conditions(table, codes)
    masks = np.concatenate(
        (np.ones((1, len(rows)), np.bool_), is_equal[:, None] == (codes[:, column] == code).T)
    )
    single = [
        TrafficCondition(table.attributes[a], table.values[a][v], bool(e))
        for a, v, e in zip(column, code, is_equal, strict=True)
    ]
    pairs = _find_forwarded(single)
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T + 1
    prices = np.concatenate(([0.0], price))
    masks = np.concatenate((masks, masks[first] & masks[second]))
    prices = np.concatenate((prices, prices[first] + prices[second]))
    column = np.concatenate(([-1], column, column[first - 1]))
    named = [(), *((one,) for one in single), *((single[a], single[b]) for a, b in pairs)]
    kept = _find_cheapest(masks, prices, name[rows])
    return TrafficClasses(
        rows=rows,
        masks=masks[kept],
        weights=masks[kept].astype(np.float64),
        price=prices[kept],
        column=column[kept],
        conditions=tuple(named[place] for place in kept.tolist()),
        name=name[rows],
    )


def _find_forwarded(single: Sequence[TrafficCondition]) -> list[tuple[int, int]]:
    """The places of a protocol and of what a gateway forwards for others, for each protocol."""
    forwarded = [n for n, one in enumerate(single) if one.is_equal and one.attribute == Attribute.SOURCE_ROLE]
    protocols = [n for n, one in enumerate(single) if one.is_equal and one.attribute == Attribute.PROTOCOL]
    return [(n, m) for n in protocols for m in forwarded if single[m].value == FORWARDED]


def _find_cheapest(masks: BoolArray, prices: FloatArray, name: IntArray) -> IntArray:
    """The places of the cheapest mask of each set of rows, ascending; none where there are no rows."""
    if not len(name):
        return np.zeros(0, np.int64)
    key = masks.astype(np.int64) @ name
    order = np.lexsort((np.arange(len(key)), prices, key))
    is_first = np.concatenate(([True], np.diff(key[order]) != 0))
    kept: IntArray = np.sort(order[is_first])
    return kept


def _find_conditions(
    table: CrossingTable[L], codes: IntArray
) -> tuple[IntArray, IntArray, BoolArray, FloatArray]:
    """Every condition that some rows meet and others do not: attribute, value, whether =, and price."""
    varied = np.flatnonzero(np.ptp(codes, axis=0)) if len(codes) else np.zeros(0, np.int64)
    rarer = {table.attributes.index(one): more for one, more in _RARER.items() if one in table.attributes}
    columns, found, signs, prices = [], [], [], []
    for column in varied.tolist():
        values = np.flatnonzero(np.bincount(codes[:, column]))
        price = float(np.log(len(varied)) + np.log(len(values))) + _EACH + rarer.get(column, 0.0)
        for is_equal in (True, False) if _NEGATED <= len(values) <= _FEW_VALUES else (True,):
            columns.append(np.full(len(values), column))
            found.append(values)
            signs.append(np.full(len(values), is_equal))
            prices.append(np.full(len(values), price if is_equal else price + _EACH))
    none = np.zeros(0, np.int64)
    return (
        np.concatenate((none, *columns)),
        np.concatenate((none, *found)),
        np.concatenate((none.astype(np.bool_), *signs)),
        np.concatenate((none.astype(np.float64), *prices)),
    )
