"""The classes of traffic that the measured rows tell apart at one component.

A class is a conjunction of at most two conditions. Classes with the same rows are one class under its
cheapest name. The price of a name is minus the logarithm of how likely it is before anything is measured,
in nats: to choose among many attributes and values must be paid for by what it explains (the penalty for
the number of descriptions tried in Proença et al., Data Mining and Knowledge Discovery 2022, there for
subgroup lists).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netprobe.analysis.localise.crossings import CrossingTable
from netprobe.analysis.localise.evidence import L
from netprobe.model.arrays import BoolArray, FloatArray, IntArray
from netprobe.model.traffic import RANGES, Attribute, TrafficCondition

_EACH = 0.7
"""Price of one more condition, and of ≠ instead of =: about ln 2."""
_RARER = {Attribute.FLOW: 1.0}
"""Price of an attribute that others explain more often: where TCP alone opens flows, "TCP" is the name."""
_NEGATED = 3
"""Values that an attribute needs before "all but this one" differs from "the other one"."""
_FEW_VALUES = 8
"""Attributes with more values (nodes) are not negated: all but one of many is the part itself, nearly."""


@dataclass(frozen=True, eq=False)
class TrafficClasses:
    """The distinct classes at a component; the first one is all of its traffic."""

    rows: IntArray
    """The measured rows that cross it."""
    masks: BoolArray
    """Classes × rows."""
    price: FloatArray
    """By class, in nats; 0 for all traffic."""
    conditions: tuple[tuple[TrafficCondition, ...], ...]
    weights: FloatArray
    """`masks` as numbers."""
    size: IntArray
    """By class: how many conditions its name has."""
    key: IntArray
    """By class: a number that names its set of rows across components."""


def find_classes(
    table: CrossingTable[L], component: int, measured: BoolArray, name: IntArray
) -> TrafficClasses:
    """The classes of *component* over *measured* rows (by row); *name* is a random number per row."""
    here = table.at(component)
    used = measured[table.row[here]]
    rows, codes = table.row[here][used], table.codes[here][used]
    conditions, masks, price, column = _single_conditions(table, codes)
    first, second = _pairs_of(column, [a for a, name in enumerate(table.attributes) if name in RANGES])
    every = np.concatenate((np.ones((1, len(rows)), np.bool_), masks, masks[first] & masks[second]))
    prices = np.concatenate(([0.0], price, price[first] + price[second]))
    key = every.astype(np.int64) @ name[rows]
    order = np.lexsort((np.arange(len(key)), prices, key))
    is_first = np.concatenate(([True], np.diff(key[order]) != 0)) if len(key) else np.zeros(0, np.bool_)
    kept = np.sort(order[is_first])
    kept = kept[every[kept].any(axis=1)]
    names = tuple(_name(conditions, first, second, number) for number in kept.tolist())
    return TrafficClasses(
        rows=rows,
        masks=every[kept],
        price=prices[kept],
        conditions=names,
        weights=every[kept].astype(np.float64),
        size=np.array([len(name) for name in names], np.int64),
        key=key[kept],
    )


def _single_conditions(
    table: CrossingTable[L], codes: IntArray
) -> tuple[list[TrafficCondition], BoolArray, FloatArray, IntArray]:
    """Every condition that some rows meet and others do not: itself, its rows, its price, its attribute."""
    varied = [a for a in range(len(table.attributes)) if len(codes) and np.ptp(codes[:, a])]
    rarer = {table.attributes.index(one): more for one, more in _RARER.items() if one in table.attributes}
    conditions: list[TrafficCondition] = []
    masks, prices, columns = [np.zeros((0, len(codes)), np.bool_)], [], []
    for column in varied:
        found = np.unique(codes[:, column])
        equal = codes[:, column] == found[:, None]
        price = float(np.log(len(varied)) + np.log(len(found))) + _EACH + rarer.get(column, 0.0)
        signs = (True, False) if _NEGATED <= len(found) <= _FEW_VALUES else (True,)
        for is_equal in signs:
            masks.append(equal if is_equal else ~equal)
            prices += [price if is_equal else price + _EACH] * len(found)
            columns += [column] * len(found)
            values = table.values[column]
            conditions += [
                TrafficCondition(table.attributes[column], values[v], is_equal) for v in found.tolist()
            ]
    return conditions, np.concatenate(masks), np.array(prices), np.array(columns, np.int64)


def _pairs_of(column: IntArray, alone: Sequence[int]) -> tuple[IntArray, IntArray]:
    """Every two conditions of different attributes; those of the attributes *alone* are in no pair."""
    first, second = np.triu_indices(len(column), 1)
    is_alone = np.isin(column, alone)
    differ = (column[first] != column[second]) & ~is_alone[first] & ~is_alone[second]
    return first[differ].astype(np.int64), second[differ].astype(np.int64)


def _name(
    conditions: list[TrafficCondition], first: IntArray, second: IntArray, number: int
) -> tuple[TrafficCondition, ...]:
    if number == 0:
        return ()
    if number <= len(conditions):
        return (conditions[number - 1],)
    pair = number - 1 - len(conditions)
    return (conditions[first[pair]], conditions[second[pair]])
