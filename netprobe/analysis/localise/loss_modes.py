"""How a part loses the packets of a class, and how well each way explains what every row lost.

The model is that of ``likelihood``: a row with rate R loses Binomial(n, 1 − exp(−R)). Four modes add to R:

- dead: every packet is lost;
- rate: each packet is lost with the same probability;
- hash: of the flows a share is dead, by nothing that is known; packets of a row that opens a flow for each
  are spread over all flows and lose that share;
- split: of the rows a share is dead, by nothing that is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from netprobe.analysis.localise.likelihood import MAX_RATE
from netprobe.model.arrays import BoolArray, FloatArray, IntArray

_LOSSES = (
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.14, 0.18, 0.24,
    0.3, 0.37, 0.45, 0.5, 0.55, 0.63, 0.72, 0.8, 0.88,
)  # fmt: skip
RATES: FloatArray = -np.log1p(-np.array(_LOSSES))
"""Rates that are tried; a finer grid did no better."""
SHARES: FloatArray = np.array([0.125, 0.25, 0.375, 0.5, 0.625, 0.75])
"""Shares of flows or rows that are tried."""
HEALTHY = 1e-3
"""τ₀: loss that a healthy part may have; nothing is accused for it."""


class LossMode(StrEnum):
    """How a part loses the packets of a class."""

    DEAD = "dead"
    RATE = "rate"
    HASH = "hash"
    SPLIT = "split"


@dataclass(frozen=True, eq=False)
class Gains:
    """By row, how the log-likelihood changes with each mode; rows that were not measured change nothing."""

    rate: FloatArray
    """Rows × `RATES`."""
    dead: FloatArray
    healthy: FloatArray
    """At `HEALTHY`."""
    hash: FloatArray
    """Rows × `SHARES`."""
    split: FloatArray
    """Rows × `SHARES`."""

    @property
    def most(self) -> FloatArray:
        """By row, the most that any mode can gain."""
        best = (self.rate.max(1), self.hash.max(1), self.split.max(1), np.zeros(len(self.dead)))
        most: FloatArray = np.maximum.reduce([self.dead, *best])
        return most


def tabulate(sent: IntArray, lost: IntArray, base: FloatArray, is_kept: BoolArray) -> Gains:
    """The gains over *base*, the rate that explains each row already; *is_kept*: the row is one flow."""
    through = (sent - lost).astype(np.float64)
    lost_f = lost.astype(np.float64)

    def score(rate: FloatArray) -> FloatArray:
        capped = np.clip(rate, 1e-12, MAX_RATE)
        scores: FloatArray = -through * capped + np.where(lost > 0, lost_f * np.log(-np.expm1(-capped)), 0.0)
        return scores

    now = score(base)
    dead = score(base + MAX_RATE) - now
    two_valued = np.stack([np.logaddexp(np.log(q) + dead, np.log1p(-q)) for q in SHARES], 1)
    spread = np.stack([score(base - np.log1p(-q)) - now for q in SHARES], 1)
    nothing = np.where(sent > 0, 1.0, 0.0)
    return Gains(
        rate=np.stack([score(base + rate) - now for rate in RATES], 1) * nothing[:, None],
        dead=dead * nothing,
        healthy=(score(base + HEALTHY) - now) * nothing,
        hash=np.where(is_kept[:, None], two_valued, spread) * nothing[:, None],
        split=two_valued * nothing[:, None],
    )
