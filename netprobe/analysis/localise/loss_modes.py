"""How a part loses the packets of a class, and how well each way explains what every row lost.

The model is that of ``likelihood``: a row with rate R loses Binomial(n, 1 − exp(−R)). Four modes add to R:

- dead: every packet is lost;
- rate: each packet is lost with the same probability;
- hash: of the flows a share is dead, by nothing that is known; packets of a row that opens a flow for each
  are spread over all flows and lose that share;
- split: of the rows a share is dead, by nothing that is known.

Any row may besides lose more than that by a burst of its own, so that one row proves little.
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
_BURSTS: FloatArray = -np.log1p(-np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]))
"""Rates of a burst, equally likely."""
_SPANS = (1.5, 1.05, 1.005)
"""Factors around a rate of `RATES` that are looked at in turn, each as finely as the next one spans.

Neighbours in `RATES` differ by up to a factor of 2; with many packets that leaves a rest to explain.
"""
_DEAD, _HEALTHY = 0, 1
_RATE = slice(2, 2 + len(_LOSSES))
_HASH = slice(_RATE.stop, _RATE.stop + len(SHARES))
_SPLIT = slice(_HASH.stop, _HASH.stop + len(SHARES))


class LossMode(StrEnum):
    """How a part loses the packets of a class."""

    DEAD = "dead"
    RATE = "rate"
    HASH = "hash"
    SPLIT = "split"


MIXTURES = frozenset({LossMode.HASH, LossMode.SPLIT})
"""Some flows or rows lose all and the others nothing."""


@dataclass(frozen=True, eq=False)
class Gains:
    """By row, how the log-likelihood changes with each mode; rows that were not measured change nothing."""

    table: FloatArray
    """Rows × (dead, healthy, `RATES`, `SHARES` of flows, `SHARES` of rows)."""
    most: FloatArray
    """By row, the most that any mode can gain; 0 at least."""
    most_alike: FloatArray
    """By row, the most that a mode by which all packets fare alike (dead or a rate) can gain; 0 at least."""
    hit: FloatArray
    """1 for a row that lost something, else 0."""
    kept: FloatArray
    """1 for a row that is one flow, else 0."""

    @classmethod
    def of(cls, table: FloatArray, is_hit: BoolArray, is_kept: BoolArray) -> Gains:
        """The gains with what each row can gain at most."""
        alike = np.maximum(np.maximum(table[:, _DEAD], table[:, _RATE].max(1)), 0.0)
        most = np.maximum(alike, table[:, _HASH.start : _SPLIT.stop].max(1))
        return cls(table, most, alike, is_hit.astype(np.float64), is_kept.astype(np.float64))

    def with_rows(self, rows: IntArray, other: Gains) -> Gains:
        """These gains with those of *other* at *rows*."""
        table, most, alike = self.table.copy(), self.most.copy(), self.most_alike.copy()
        table[rows], most[rows], alike[rows] = other.table, other.most, other.most_alike
        return Gains(table, most, alike, self.hit, self.kept)

    def at(self, rows: IntArray) -> Gains:
        """The gains of *rows*, in their order."""
        return Gains(
            self.table[rows], self.most[rows], self.most_alike[rows], self.hit[rows], self.kept[rows]
        )

    def summed(self, weights: FloatArray) -> Gains:
        """Sums over classes (*weights*: classes × rows) instead of rows, of bounds and marks, too."""
        return Gains(
            weights @ self.table,
            weights @ self.most,
            weights @ self.most_alike,
            weights @ self.hit,
            weights @ self.kept,
        )

    @property
    def dead(self) -> FloatArray:
        """By row."""
        return self.table[:, _DEAD]

    @property
    def healthy(self) -> FloatArray:
        """By row, at `HEALTHY`."""
        return self.table[:, _HEALTHY]

    @property
    def rate(self) -> FloatArray:
        """Rows × `RATES`."""
        return self.table[:, _RATE]

    @property
    def hash(self) -> FloatArray:
        """Rows × `SHARES`."""
        return self.table[:, _HASH]

    @property
    def split(self) -> FloatArray:
        """Rows × `SHARES`."""
        return self.table[:, _SPLIT]


def tabulate(
    sent: IntArray, lost: IntArray, base: FloatArray, kept: FloatArray, *, burst: float = 0.0
) -> Gains:
    """The gains over *base*, the rate that explains each row already.

    *kept*: by row, how likely a hash takes its packets for one flow, 0–1;
    *burst* is the probability that a row has a burst of its own.
    """
    table = np.zeros((len(sent), _SPLIT.stop))
    hit = np.flatnonzero(lost > 0)
    fine = np.flatnonzero((lost == 0) & (sent > 0))
    rates = np.concatenate(([0.0, MAX_RATE, HEALTHY], RATES, -np.log1p(-SHARES)))
    score = np.zeros((len(sent), len(rates)))
    score[fine] = -sent[fine, None] * np.minimum(base[fine, None] + rates, MAX_RATE)
    score[hit] = _score_hit(sent[hit], lost[hit], base[hit], rates, burst)
    score[:, 1:] -= score[:, :1]
    table[:, : _RATE.stop] = score[:, 1 : 3 + len(RATES)]
    dead, measured = score[:, 1], sent > 0
    table[:, _SPLIT] = np.logaddexp(np.log(SHARES) + dead[:, None], np.log1p(-SHARES)) * measured[:, None]
    with np.errstate(divide="ignore"):  # what surely is, or is not, one flow
        one, each = np.log(kept)[:, None], np.log1p(-kept)[:, None]
    table[:, _HASH] = np.logaddexp(one + table[:, _SPLIT], each + score[:, 3 + len(RATES) :])
    return Gains.of(table, lost > 0, kept == 1)


def refine_rate(sent: IntArray, lost: IntArray, base: FloatArray, rate: float) -> float:
    """The rate near *rate*, one of `RATES`, that explains best what all rows lost over *base*."""
    hit = lost > 0
    for span in _SPANS:
        near = rate * np.geomspace(1 / span, span, 21)
        score = -((sent - lost) @ np.minimum(base[:, None] + near, MAX_RATE))
        score += lost[hit] @ np.log(-np.expm1(-np.minimum(base[hit, None] + near, MAX_RATE)))
        rate = float(near[score.argmax()])
    return rate


def _score_hit(
    sent: IntArray, lost: IntArray, base: FloatArray, rates: FloatArray, burst: float
) -> FloatArray:
    """Log-likelihood of rows that lost something, at *base* plus each of *rates*."""
    total = np.clip(base[:, None] + rates, 1e-12, MAX_RATE)
    steady = _score_rates(sent, lost, total)
    if not burst:
        return steady
    each = _score_rates(sent, lost, np.minimum(base[:, None] + _BURSTS, MAX_RATE))
    by_burst = np.log(burst / len(_BURSTS)) + np.logaddexp.reduce(each, axis=1)
    is_more = (lost / sent)[:, None] > -np.expm1(-total)  # a burst only adds to what is lost
    return np.where(is_more, np.logaddexp(steady, by_burst[:, None]), steady)


def _score_rates(sent: IntArray, lost: IntArray, rates: FloatArray) -> FloatArray:
    score: FloatArray = -(sent - lost)[:, None] * rates + lost[:, None] * np.log(-np.expm1(-rates))
    return score
