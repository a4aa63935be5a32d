"""Classes at a component: distinct sets of rows, each under its cheapest name."""

from __future__ import annotations

import numpy as np

from netprobe.analysis.localise.crossings import Crossing, CrossingTable
from netprobe.analysis.localise.traffic_classes import TrafficClasses, find_classes
from netprobe.model.arrays import BoolArray
from netprobe.model.traffic import TrafficCondition

ROWS = [("udp", "IPv4"), ("udp", "IPv6"), ("tcp", "IPv4"), ("icmp", "IPv4")]
TABLE = CrossingTable.of(
    ("protocol", "family"),
    [Crossing(number, "part", values) for number, values in enumerate(ROWS)],
    is_kept=[True] * len(ROWS),
    check=list(range(len(ROWS))),
)
NAME = np.array([1, 10, 100, 1000])


def classes(measured: BoolArray | None = None) -> TrafficClasses:
    return find_classes(TABLE, 0, np.ones(len(ROWS), np.bool_) if measured is None else measured, NAME)


def test_all_traffic_comes_first_and_costs_nothing() -> None:
    found = classes()
    assert found.conditions[0] == ()
    assert found.price[0] == 0.0
    assert found.masks[0].all()


def test_each_set_of_rows_is_one_class_and_its_key() -> None:
    found = classes()
    sets = [frozenset(found.rows[mask].tolist()) for mask in found.masks]
    assert len(set(sets)) == len(sets)
    assert [int(NAME[list(rows)].sum()) for rows in sets] == found.key.tolist()


def test_a_set_has_its_cheapest_name() -> None:
    """IPv6 was asked by UDP only: the class is named by one condition, not by two."""
    found = classes()
    place = found.key.tolist().index(10)
    assert found.conditions[place] == (TrafficCondition("family", "IPv6"),)


def test_a_pair_costs_more_than_its_conditions() -> None:
    found = classes()
    price = dict(zip(found.conditions, found.price.tolist(), strict=True))
    pair = (TrafficCondition("protocol", "udp"), TrafficCondition("family", "IPv4"))
    assert price[pair] > max(price[pair[:1]], price[(TrafficCondition("family", "IPv6"),)])


def test_an_attribute_that_does_not_vary_names_nothing() -> None:
    measured = np.array([family == "IPv4" for _, family in ROWS])
    assert {one.attribute for name in classes(measured).conditions for one in name} == {"protocol"}


def test_a_part_that_nothing_measured_has_no_class() -> None:
    assert not len(classes(np.zeros(len(ROWS), np.bool_)).masks)
