"""How well each mode of loss explains a row, and whether losses are spread as one rate spreads them."""

from __future__ import annotations

import numpy as np
import pytest

from netprobe.analysis.localise.loss_modes import dispersion, tabulate


def test_a_row_that_lost_all_is_best_explained_by_a_dead_part() -> None:
    gains = tabulate(np.array([20]), np.array([20]), np.array([1e-3]), np.array([True]))
    assert gains.dead[0] == pytest.approx(gains.most[0])
    assert gains.dead[0] > gains.rate[0].max()


def test_a_good_row_acquits_a_dead_class() -> None:
    gains = tabulate(np.array([20]), np.array([0]), np.array([1e-3]), np.array([True]))
    assert gains.dead[0] < -100


def test_a_row_that_was_not_measured_changes_nothing() -> None:
    gains = tabulate(np.array([0]), np.array([0]), np.array([1e-3]), np.array([True]))
    assert not any(np.any(one) for one in (gains.rate, gains.dead, gains.healthy, gains.hash, gains.split))


def test_one_rate_is_not_overdispersed() -> None:
    random = np.random.default_rng(1)
    sent = np.full(200, 20)
    values = [dispersion(sent, random.binomial(sent, 0.2)) for _ in range(50)]
    assert max(values) < 4
    assert abs(float(np.mean(values))) < 1


def test_all_or_nothing_is_overdispersed() -> None:
    sent = np.full(40, 20)
    assert dispersion(sent, np.where(np.arange(40) % 4 == 0, 20, 0)) > 10


@pytest.mark.parametrize("lost", [0, 20], ids=["nothing", "everything"])
def test_nothing_and_everything_are_spread_over_nothing(lost: int) -> None:
    assert dispersion(np.full(10, 20), np.full(10, lost)) == 0.0
