"""Classes of one component: the search that leaves classes out finds what naive search finds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.analysis.localise.class_scores import MODES, NEVER, score_class, score_classes
from netprobe.analysis.localise.crossings import Crossing, CrossingTable
from netprobe.analysis.localise.loss_modes import LossMode, tabulate
from netprobe.analysis.localise.traffic_classes import ALL, find_classes

VALUES = [(a, b, c) for a in "xyz" for b in "12" for c in "no"]
TABLE = CrossingTable.of(
    ("letter", "number", "word"),
    [Crossing(row, "part", values) for row, values in enumerate(VALUES)],
    kept=[1.0] * len(VALUES),
    check=list(range(len(VALUES))),
)
SENT = np.full(len(VALUES), 20)
CLASSES = find_classes(TABLE, 0, np.ones(len(VALUES), np.bool_), 1 << np.arange(len(VALUES)))
PRICE = 2.0


@settings(max_examples=60)
@given(st.lists(st.integers(0, 20), min_size=len(VALUES), max_size=len(VALUES)))
def test_the_best_class_is_that_of_naive_search(losses: list[int]) -> None:
    gains = tabulate(SENT, np.array(losses), np.full(len(VALUES), 1e-3), TABLE.kept)
    scores = score_classes(CLASSES, gains, price=PRICE, least=NEVER, behind=0.0)
    places = range(len(CLASSES.price))
    pairs = [(one, ALL) for one in places]
    pairs += [(a, b) for a, b in combinations(places[1:], 2) if CLASSES.column[a] != CLASSES.column[b]]
    naive = max(
        float(score_class(CLASSES, gains, one, other, price=PRICE).max())
        for one, other in pairs
        if CLASSES.mask_of(one, other).any()
    )
    assert scores.net.max() == pytest.approx(naive)


def test_a_share_of_flows_is_a_rate_where_each_packet_opens_one() -> None:
    lost = np.full(len(VALUES), 5)
    is_new = np.zeros(len(VALUES))
    gains = tabulate(SENT, lost, np.full(len(VALUES), 1e-3), is_new)
    scores = score_classes(CLASSES, gains, price=PRICE, least=0.0, behind=0.0)
    assert scores.net[MODES.index(LossMode.HASH)].max() == NEVER
    assert scores.net[MODES.index(LossMode.RATE)].max() > 0
