"""Geometry of the map: deterministic, and nothing overlaps."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.render.figures.layout import (
    AREA,
    ClusterNodes,
    Curve,
    Rect,
    curve_between,
    find_place,
    place_groups,
)

_unit = st.floats(0, 1)
_spot = st.tuples(st.floats(-9, 9), st.floats(-9, 9))


@pytest.mark.parametrize("number", range(1, 9))
def test_clusters_stand_apart_and_inside(number: int) -> None:
    groups = place_groups(
        {f"c{i}": ClusterNodes((f"c{i}/gw",), (f"c{i}/w1", f"c{i}/w2")) for i in range(number)}
    )
    rooms = [[group.box, *group.tiles.values()] for group in groups.values()]
    for one, other in itertools.combinations(rooms, 2):
        assert not any(a.overlaps(b) for a in one for b in other)
    for room in itertools.chain(*rooms):
        assert AREA.grown(0.4).contains((room.x, room.y))
        assert AREA.grown(0.4).contains((room.x + room.width, room.y + room.height))


@pytest.mark.parametrize("workers", range(7))
def test_tiles_of_a_cluster_stand_apart(workers: int) -> None:
    members = ClusterNodes(("gw",), tuple(f"w{i}" for i in range(workers)))
    for group in place_groups(dict.fromkeys(("a", "b", "c"), members)).values():
        for one, other in itertools.combinations(group.tiles.values(), 2):
            assert not one.overlaps(other)


@given(start=_spot, bend=_spot, end=_spot, low=_unit, high=_unit, share=_unit)
def test_a_cut_curve_runs_where_the_whole_ran(
    start: tuple[float, float], bend: tuple[float, float], end: tuple[float, float],
    low: float, high: float, share: float,
) -> None:  # fmt: skip
    whole = Curve(start, bend, end)
    cut = whole.cut(low, high)
    assert math.dist(cut.at(share), whole.at(low + share * (high - low))) < 1e-6


def test_the_two_directions_bow_apart() -> None:
    there, back = curve_between((0, 0), (4, 0), bow=0.5), curve_between((4, 0), (0, 0), bow=0.5)
    assert there.at(0.5) == (2, -0.5)
    assert back.at(0.5) == (2, 0.5)


def test_a_curve_starts_and_ends_at_the_borders() -> None:
    left, right = Rect.around((0, 0), 1, 1), Rect.around((5, 0), 1, 1)
    cut = curve_between(left.centre, right.centre, bow=0).between(left, right, gap=0.1)
    assert cut.start[0] == pytest.approx(0.6, abs=0.03)
    assert cut.end[0] == pytest.approx(4.4, abs=0.03)


@given(anchor=st.tuples(st.floats(0, 16), st.floats(0, 10)))
def test_a_callout_never_covers_what_is_taken(anchor: tuple[float, float]) -> None:
    taken = [Rect(2, 2, 5, 3), Rect(9, 4, 4, 4)]
    place = find_place(anchor, (2.0, 1.0), obstacles=taken, step=0.5)
    assert not any(place.overlaps(each) for each in taken)


def test_a_callout_prefers_a_leader_that_crosses_no_word() -> None:
    anchor, taken = (8.0, 5.0), [Rect(5, 4, 6, 2)]
    below = Rect(5, 4.2, 6, 0.4)
    place = find_place(anchor, (2.0, 1.0), obstacles=taken, words=[below])
    assert place.y > 5
