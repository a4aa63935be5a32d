"""A silence accuses a part only where the losses of the others do not explain it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from netprobe.analysis.diagnosis.loss_chance import is_share_of_all, is_share_of_packets
from netprobe.analysis.intervals.assembler import Interval
from netprobe.analysis.intervals.observation import IntervalObservation, ObservationTable
from netprobe.analysis.plan.index import Aspect, PlanIndex
from netprobe.model.traffic import opens_new_flows
from tests.scenarios.player import SECOND, T0, default_fleet

INDEX = PlanIndex(*default_fleet())
SERVED = [check for check in INDEX.checks if check.aspect is Aspect.SERVICE]
NEW = [check.number for check in SERVED if opens_new_flows(check.check)]
KEPT = [check.number for check in SERVED if not opens_new_flows(check.check)]
ASKED = 4


def interval(lost: Mapping[int, int]) -> IntervalObservation:
    """Everything is asked four times; *lost*: by check, how many of them had no answer."""
    seen = ObservationTable(INDEX, Interval(T0, SECOND))
    seen.asked[:] = ASKED
    seen.reached[:] = ASKED
    for number, count in lost.items():
        seen.reached[number] -= count
    nothing: frozenset[int] = frozenset()
    return IntervalObservation(T0, T0 + SECOND, seen, frozenset(), frozenset(), frozenset(), troubled=nothing)


def losing(dead: list[int], others: list[int], share: int) -> IntervalObservation:
    return interval(dict.fromkeys(dead, ASKED) | dict.fromkeys(others, share))


@pytest.mark.parametrize(
    ("share", "is_chance"),
    [
        pytest.param(0, False, id="the others lose nothing"),
        pytest.param(2, True, id="the others lose half"),
        pytest.param(ASKED, False, id="the others lose everything"),
    ],
)
def test_a_silent_interval_of_one_check_is_chance_where_others_lose_half(share: int, is_chance: bool) -> None:
    dead, others = NEW[:1], NEW[1:6]
    assert is_share_of_all([losing(dead, others, share)], INDEX, dead, others) is is_chance


def test_a_silence_that_lasts_is_no_chance() -> None:
    dead, others = NEW[:1], NEW[1:6]
    assert not is_share_of_all([losing(dead, others, 2)] * 4, INDEX, dead, others)


def test_a_kept_flow_was_balanced_once_however_long_it_lasts() -> None:
    dead, others = KEPT[:1], NEW[:6]
    assert is_share_of_all([losing(dead, others, 2)] * 20, INDEX, dead, others)


def test_only_the_intervals_of_the_silence_count() -> None:
    dead, others = NEW[:1], NEW[1:6]
    before = losing([], others, 2)
    assert not is_share_of_all([before, losing(dead, others, 0)], INDEX, dead, others)


@pytest.mark.parametrize(
    ("before", "is_chance"),
    [
        pytest.param([2, 2, 2], True, id="it lost half all the time"),
        pytest.param([2, 0, 2, 0], True, id="half, now and then"),
        pytest.param([0, 0, 2], False, id="it died in the middle of an interval"),
        pytest.param([0, 0, 0], False, id="it lost nothing"),
    ],
)
def test_a_check_that_lost_a_share_before_may_lose_all_once(before: list[int], is_chance: bool) -> None:
    """One of two endpoints that only this node cannot reach: no other node tells."""
    dead, others = NEW[:1], NEW[1:6]
    past = [interval(dict.fromkeys(dead, lost)) for lost in before]
    assert is_share_of_all([*past, losing(dead, others, 0)], INDEX, dead, others) is is_chance


def test_a_check_that_lost_a_share_before_is_dead_when_its_silence_lasts() -> None:
    dead, others = NEW[:1], NEW[1:6]
    past = [interval(dict.fromkeys(dead, 2))] * 3
    assert not is_share_of_all([*past, *[losing(dead, others, 0)] * 4], INDEX, dead, others)


def test_one_lost_packet_of_others_explains_nothing() -> None:
    dead, others = NEW[:1], NEW[1:2]
    seen = interval({dead[0]: ASKED, others[0]: 1})
    assert not is_share_of_all([seen], INDEX, dead, others)


def test_each_packet_is_a_draw_where_packets_are_lost() -> None:
    dead, others = KEPT[:1], KEPT[1:6]
    assert is_share_of_packets([losing(dead, others, 2)], dead, others)
    assert not is_share_of_packets([losing(dead, others, 2)] * 4, dead, others)
