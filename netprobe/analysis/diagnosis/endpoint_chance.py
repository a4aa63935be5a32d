"""Whether a silence at one node may be chance, because a service loses a share of all its questions.

One dead endpoint of two silences half of the connections: by chance also all of one node's in an interval,
and a flow that connection tracking has bound to it stays silent. That accuses no proxy and no whole service.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile

import numpy as np

from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.arrays import IntArray
from netprobe.model.traffic import opens_new_flows

_CHANCE = 1e-4
"""Less probable than this is more than chance; many nodes are asked, interval after interval."""
_LEAST_SHARE, _LEAST_LOST = 0.05, 2
"""What the others must have lost: one lost packet says nothing of a service."""


def is_share_of_all(
    intervals: Sequence[IntervalObservation], index: PlanIndex, dead: Collection[int], others: Collection[int]
) -> bool:
    """Whether the share that *others* lost meanwhile explains that the checks *dead* lost everything.

    *intervals* are the latest, oldest first; *others* ask the same service, from any node and in any way.
    """
    silenced, rows = _rows(dead), _rows(others)
    span = list(takewhile(lambda one: bool(one.seen.is_dead[silenced].all()), reversed(intervals)))
    draws, lost = _count_draws(span, index, rows)
    if lost < _LEAST_LOST or lost < _LEAST_SHARE * draws:
        return False
    return bool((lost / draws) ** _count_draws(span, index, silenced)[0] > _CHANCE)


def _rows(numbers: Collection[int]) -> IntArray:
    return np.array(sorted(numbers), np.int64)


def _count_draws(span: Iterable[IntervalObservation], index: PlanIndex, rows: IntArray) -> tuple[int, int]:
    """How often an endpoint was chosen for the checks *rows*, and how often one that did not answer.

    A flow that goes on keeps the endpoint that its first packet got.
    """
    is_new = np.array([opens_new_flows(index.checks[row].check) for row in rows.tolist()], np.bool_)
    asked = sum((one.seen.asked[rows] for one in span), np.zeros(len(rows), np.int64))
    reached = sum((one.seen.reached[rows] for one in span), np.zeros(len(rows), np.int64))
    lost = np.where(is_new, asked - reached, (asked > 0) & (reached == 0))
    return int(np.where(is_new, asked, asked > 0).sum()), int(lost.sum())
