"""From the weight of a hypothesis among those that were tried to how often it is right.

Rule: the weights know only what was tried, so their odds are corrected by what they turned out to be worth,
as a logistic regression on the log odds does (Platt 1999). One over 690 answers to plain faults gave slope
0.8 and offset 1.6 (``python -m benchmarks selective --refit --modes plain --seed 700000`` makes one like it).
Amid bursts sure answers would then be wrong too often, so the constants were chosen by hand between the two.
"""

from __future__ import annotations

import math

_SLOPE = 1.0
_OFFSET = 0.3
_MOST = 8.0
"""Log odds beyond this are this: certainty cannot be seen from counts."""


def confidence_of(log_odds: float) -> float:
    """How often a hypothesis of these odds is right, 0–1."""
    bounded = min(max(log_odds, -_MOST), _MOST)
    return 1 / (1 + math.exp(-(_SLOPE * bounded + _OFFSET)))


def log_odds_of(confidence: float) -> float:
    """The odds that have this confidence; the inverse of `confidence_of`."""
    least = 1e-15
    bounded = min(max(confidence, least), 1 - least)
    return (math.log(bounded / (1 - bounded)) - _OFFSET) / _SLOPE
