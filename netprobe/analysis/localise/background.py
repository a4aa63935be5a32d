"""How much a healthy component loses, learnt from the very rows in which something may be broken.

Expectation–maximisation: each lost packet is blamed on background and suspects in proportion to their rates;
the background is what is blamed on it per crossing. Rows that lost more than the hypothesis can explain are
left out, so a fault not found yet does not pass for background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netprobe.analysis.localise.likelihood import LossEvidence
from netprobe.model.arrays import BoolArray, FloatArray

_ROUNDS = 20
_SETTLED = 1e-4
_FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class Prior:
    """A gamma prior on the background loss, and when a row is not evidence of it."""

    background: float = 1e-4
    weight: float = 1.0
    """How many lost packets the prior is worth."""
    implausible: float = 1e-4
    """A row is left out when so many losses had less than this probability."""


def fit_background(evidence: LossEvidence, suspected: FloatArray, prior: Prior) -> float:
    """Return the background rate per component; *suspected* is each path's rate from the suspects on it."""
    rows = evidence.rows
    background = prior.background
    for _ in range(_ROUNDS):
        rates = suspected + rows.length * background
        taken = np.exp(evidence.score_paths(rates) - evidence.score_rows(rates)[rows.path_row])
        taken = taken * _plausible_rows(evidence, rates, taken, prior.implausible)[rows.path_row]
        blamed = float((taken * rows.lost * rows.length * background / rates).sum())
        crossed = evidence.healthy_crossings + float((taken * rows.through * rows.length).sum()) + blamed
        before, background = background, (blamed + prior.weight) / (crossed + prior.weight / prior.background)
        background = max(background, _FLOOR)
        if abs(background - before) <= _SETTLED * before:
            break
    return background


def _plausible_rows(
    evidence: LossEvidence, rates: FloatArray, taken: FloatArray, at_least: float
) -> BoolArray:
    rows = evidence.rows
    expected = taken * (rows.through + rows.lost) * -np.expm1(-rates)
    expected_per_row = np.bincount(rows.path_row, weights=expected, minlength=len(rows.number)).astype(
        np.float64
    )
    return plausible(rows.lost[rows.path_start], expected_per_row, at_least=at_least)


def plausible(lost: FloatArray, expected: FloatArray, *, at_least: float) -> BoolArray:
    """Whether so many losses have at least this probability, by Chernoff's bound on Poisson's tail."""
    excess = np.maximum(lost, expected)
    above = excess * np.log(excess / np.maximum(expected, _FLOOR)) - excess + expected
    return np.exp(-above) >= at_least
