"""Set cover (Tomo; Dhamdhere et al., CoNEXT 2007): the fewest parts that cross every bad row and no good one.

Enough for hard outages. It knows no loss rates, so a lossy part that one row happened to cross unharmed is
acquitted by that row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netprobe.analysis.localise.evidence import L, Observations, sum_by_component
from netprobe.analysis.localise.interface import Localisation
from netprobe.analysis.localise.verdict import Accused, conclude


@dataclass(frozen=True, slots=True)
class SetCover:
    """Greedy set cover. The gain of a suspect is the number of bad rows that it explains first."""

    bad_share: float = 0.02
    """A row is bad when at least this share of its packets was lost."""
    good_share: float = 0.002
    """A row is good, and acquits what it crosses, when at most this share was lost; in between neither."""

    def localise(self, observations: Observations[L]) -> Localisation[L]:
        """Accuse whatever explains most of the bad rows left, until all are explained or none can be."""
        share = observations.lost / np.maximum(observations.sent, 1)
        bad = (observations.lost > 0) & (share >= self.bad_share)
        good = (observations.sent > 0) & (share <= self.good_share)
        crossings = observations.matrix.crossings
        acquitted = np.zeros(len(observations.matrix.components), bool)
        acquitted[crossings.component[good[crossings.row] & (crossings.share == 1)]] = True
        eligible = ~acquitted & (observations.classes == np.arange(len(acquitted)))
        open_rows, accused = bad.copy(), []
        while open_rows.any():
            count = np.where(eligible, sum_by_component(observations, open_rows), 0.0)
            best = int(np.argmax(count))
            if count[best] <= 0:
                break
            rows = crossings.row[crossings.component == best]
            rows = rows[bad[rows]]
            loss = float(observations.lost[rows].sum() / observations.sent[rows].sum())
            accused.append(Accused(best, loss, float(count[best])))
            open_rows[rows] = False
        return conclude(observations, accused)
