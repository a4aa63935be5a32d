"""Confidence of a hypothesis by its odds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.analysis.localise.confidence import confidence_of, log_odds_of


@given(st.floats(-7.5, 7.5))
def test_the_odds_come_back(log_odds: float) -> None:
    assert log_odds_of(confidence_of(log_odds)) == pytest.approx(log_odds, abs=1e-3)


def test_better_odds_are_never_less_sure() -> None:
    confidences = [confidence_of(odds) for odds in (-1e9, -3, -1, 0, 1, 3, 1e9)]
    assert confidences == sorted(confidences)
    assert 0 <= confidences[0] < 0.5 < confidences[-1] <= 1
