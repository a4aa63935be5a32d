"""Histograms merge like counts, and their quantiles stay within a bucket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.window import Histogram

DURATIONS = st.lists(st.integers(1, 10**11))


@given(one=DURATIONS, other=DURATIONS)
def test_merging_is_counting_together(one: list[int], other: list[int]) -> None:
    assert Histogram.of(one).merge(Histogram.of(other)) == Histogram.of(one + other)


@given(values=st.lists(st.integers(1, 10**11), min_size=1))
def test_the_median_is_within_nine_percent(values: list[int]) -> None:
    true = sorted(values)[(len(values) - 1) // 2]
    assert Histogram.of(values).quantile_ns(0.5) == pytest.approx(true, rel=0.09)


def test_no_answer_has_no_median() -> None:
    assert Histogram().quantile_ns(0.5) is None
