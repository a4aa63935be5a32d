"""The usual loss of a path: the arrays say what path by path is worked out, and what the rules promise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.analysis.intervals.assembler import Interval
from netprobe.analysis.intervals.observation import IntervalObservation, observe_interval
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.state.loss_baseline import LossBaselines
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import Window
from tests.scenarios.player import SECOND, T0, default_fleet
from tests.unit.analysis.state.naive_loss_baseline import NaiveLosses

SENT = 10
PATHS = 3
CLEAN, BURST = 10, 4
MOOD = st.sampled_from(((10,), (10, 10, 10, 10, 9), (8, 9), (10, 10, 5), (0, 10), (None, 10), (0,)))
"""What comes back of ten, over and over, while a mood lasts; None where nothing was measured."""


@cache
def facts() -> PlanIndex:
    return PlanIndex(*default_fleet())


def look(answered: Sequence[int | None]) -> IntervalObservation:
    frame = Interval(T0, SECOND)
    for number, reached in enumerate(answered):
        if reached is not None:
            outcomes = ((OutcomeKind.REACHED, reached), (OutcomeKind.TIMED_OUT, SENT - reached))
            check = facts().checks[number].check.id
            frame.windows[number] = Window(
                check, T0, SECOND, SENT, reached, tuple(pair for pair in outcomes if pair[1])
            )
    return observe_interval(frame, facts(), known=frozenset())


def play(frames: Iterable[int | None]) -> tuple[LossBaselines, list[bool]]:
    """One path through some frames: what was learnt, and whether it lost too much in each."""
    losses = LossBaselines(len(facts().checks))
    return losses, [0 in losses.see(look((reached,))) for reached in frames]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.tuples(*[MOOD] * PATHS), st.integers(1, 45)), min_size=2, max_size=6))
def test_arrays_say_what_path_by_path_is_worked_out(
    moods: list[tuple[tuple[Sequence[int | None], ...], int]],
) -> None:
    losses, naive = LossBaselines(len(facts().checks)), [NaiveLosses() for _ in range(PATHS)]
    for mood, length in moods:
        for turn in range(length):
            answered = [each[turn % len(each)] for each in mood]
            said = losses.see(look(answered))
            meant = {
                number
                for number, reached in enumerate(answered)
                if naive[number].see(0 if reached is None else SENT, reached or 0)
            }
            assert said == meant
    for number, path in enumerate(naive):
        assert losses.usual(number) == (None if path.usual is None else pytest.approx(path.usual))


def test_nothing_is_told_before_three_blocks_were_seen() -> None:
    losses, told = play([BURST] * 29)
    assert losses.usual(0) is None
    assert not any(told)


def test_what_always_lost_a_fifth_is_usual_and_twice_that_is_told() -> None:
    losses, told = play([8] * 60 + [6] * 30)
    assert losses.usual(0) == pytest.approx(0.2)
    assert not any(told[:60])
    assert told[-1]


def test_a_burst_of_two_windows_is_not_told_and_moves_nothing() -> None:
    losses, told = play([CLEAN] * 50 + [BURST] * 2 + [CLEAN] * 58)
    assert not any(told)
    assert losses.usual(0) == 0


def test_a_lasting_loss_is_told_and_never_becomes_usual_while_it_is() -> None:
    losses, told = play([CLEAN] * 60 + [8] * 200)
    assert all(told[70:])
    assert losses.usual(0) == 0


def test_an_outage_is_no_loss_rate() -> None:
    losses, told = play([CLEAN] * 40 + [0] * 40 + [CLEAN] * 40)
    assert not any(told)
    assert losses.usual(0) == 0
