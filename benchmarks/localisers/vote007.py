"""007 (Arzani et al., NSDI 2018): every row that lost something votes for what it crosses, 1/hops each.

It knows no loss rates and needs no model; it favours parts that many rows cross. After a part is accused, the
rows that cross it vote no more, as in the paper's algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netprobe.analysis.localise.evidence import L, Observations, sum_by_component
from netprobe.analysis.localise.interface import Localisation
from netprobe.analysis.localise.verdict import Accused, conclude


@dataclass(frozen=True, slots=True)
class Vote007:
    """Democratic voting. The gain of a suspect is its share of all votes."""

    threshold: float = 0.01
    """A part is accused while it holds at least this share of all votes cast at first (the paper's 1 %)."""

    def localise(self, observations: Observations[L]) -> Localisation[L]:
        """Accuse the part with the most votes, silence its voters, and again until votes are too few."""
        crossings = observations.matrix.crossings
        hops = np.bincount(crossings.row, weights=crossings.share, minlength=observations.matrix.rows)
        vote = np.where(observations.lost > 0, 1 / np.maximum(hops, 1), 0.0)
        enough = self.threshold * float((vote * hops).sum())
        eligible = observations.classes == np.arange(len(observations.matrix.components))
        accused: list[Accused] = []
        while vote.any():
            votes = np.where(eligible, sum_by_component(observations, vote), 0.0)
            best = int(np.argmax(np.round(votes, 9)))
            if votes[best] < enough or votes[best] <= 0:
                break
            rows = crossings.row[crossings.component == best]
            rows = rows[vote[rows] > 0]
            loss = float(observations.lost[rows].sum() / observations.sent[rows].sum())
            accused.append(Accused(best, loss, float(votes[best]) * self.threshold / enough))
            vote[rows] = 0.0
        return conclude(observations, accused)
