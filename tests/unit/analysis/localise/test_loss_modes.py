"""How well each mode of loss explains a row."""

from __future__ import annotations

import numpy as np
import pytest

from netprobe.analysis.localise.loss_modes import tabulate


def test_a_row_that_lost_all_is_best_explained_by_a_dead_part() -> None:
    gains = tabulate(np.array([20]), np.array([20]), np.array([1e-3]), np.array([1.0]))
    assert gains.dead[0] == pytest.approx(gains.most[0])
    assert gains.dead[0] > gains.rate[0].max()


def test_a_good_row_acquits_a_dead_class() -> None:
    gains = tabulate(np.array([20]), np.array([0]), np.array([1e-3]), np.array([1.0]))
    assert gains.dead[0] < -100


def test_a_row_that_was_not_measured_changes_nothing() -> None:
    gains = tabulate(np.array([0]), np.array([0]), np.array([1e-3]), np.array([1.0]))
    assert not any(np.any(one) for one in (gains.rate, gains.dead, gains.healthy, gains.hash, gains.split))


@pytest.mark.parametrize("lost", [0, 10, 20])
def test_what_may_be_one_flow_or_many_fares_as_the_likelier_of_both(lost: int) -> None:
    one, many, either = (
        tabulate(np.array([20]), np.array([lost]), np.array([1e-3]), np.array([kept])).hash[0]
        for kept in (1.0, 0.0, 0.5)
    )
    assert either == pytest.approx(np.maximum(one, many), abs=0.7)
