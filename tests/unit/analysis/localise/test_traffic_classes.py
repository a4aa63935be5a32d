"""Classes at a component: distinct sets of rows, each under its cheapest name."""

from __future__ import annotations

import numpy as np

from netprobe.analysis.localise.crossings import Crossing, CrossingTable
from netprobe.analysis.localise.traffic_classes import ALL, TrafficClasses, find_classes
from netprobe.model.arrays import BoolArray
from netprobe.model.traffic import TrafficCondition

ROWS = [("udp", "IPv4"), ("udp", "IPv6"), ("tcp", "IPv4"), ("icmp", "IPv4")]
TABLE = CrossingTable.of(
    ("protocol", "family"),
    [Crossing(number, "part", values) for number, values in enumerate(ROWS)],
    kept=[1.0] * len(ROWS),
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
    keys = [found.key_of(place, ALL) for place in range(len(sets))]
    assert [int(NAME[list(rows)].sum()) for rows in sets] == keys


def test_a_set_has_its_cheapest_name() -> None:
    """ICMP is asked in one row: "protocol = icmp", not "protocol ≠ …" twice."""
    found = classes()
    place = next(p for p in range(len(found.price)) if found.key_of(p, ALL) == 1000)
    assert found.conditions[place] == (TrafficCondition("protocol", "icmp"),)


def test_two_conditions_are_the_rows_that_meet_both() -> None:
    found = classes()
    udp = found.conditions.index((TrafficCondition("protocol", "udp"),))
    old = found.conditions.index((TrafficCondition("family", "IPv4"),))
    assert found.rows[found.mask_of(udp, old)].tolist() == [0]
    assert found.conditions_of(udp, old) == (*found.conditions[udp], *found.conditions[old])


def test_an_attribute_that_does_not_vary_names_nothing() -> None:
    measured = np.array([family == "IPv4" for _, family in ROWS])
    assert {one.attribute for name in classes(measured).conditions for one in name} == {"protocol"}


def test_a_part_that_nothing_measured_has_no_class() -> None:
    assert not len(classes(np.zeros(len(ROWS), np.bool_)).masks)


def test_what_a_gateway_forwards_of_one_protocol_is_joined_with_a_third_condition() -> None:
    rows = [
        (p, r, f) for p in ("udp", "tcp") for r in ("forwarded", "gateway") for f in ("request", "answer")
    ]
    table = CrossingTable.of(
        ("protocol", "source role", "role"),
        [Crossing(number, "part", values) for number, values in enumerate(rows)],
        kept=[1.0] * len(rows),
        check=list(range(len(rows))),
    )
    found = find_classes(table, 0, np.ones(len(rows), np.bool_), 10 ** np.arange(len(rows)))
    forwarded = (TrafficCondition("protocol", "tcp"), TrafficCondition("source role", "forwarded"))
    place = found.conditions.index(forwarded)
    asked = found.conditions.index((TrafficCondition("role", "request"),))
    (row,) = found.rows[found.mask_of(place, asked)].tolist()
    assert rows[row] == ("tcp", "forwarded", "request")
    alone = [found.conditions.index((one,)) for one in forwarded]
    assert found.price[place] == found.price[alone].sum()
