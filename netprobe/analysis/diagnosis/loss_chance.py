"""Whether a silence may be chance, because what is alike loses a share of its packets.

One dead endpoint of two silences half of the connections: by chance also all of one node's in an interval,
and a flow that connection tracking has bound to it stays silent. That accuses no proxy and no whole service.
So a node that loses half of its IPv6 packets has now and then an IPv6 path that is dead for an interval.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import dropwhile, takewhile

import numpy as np

from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.arrays import IntArray
from netprobe.model.traffic import opens_new_flows

_CHANCE = 1e-4
"""Less probable than this is more than chance; many nodes are asked, interval after interval."""
_TRANSITION = 1
"""Intervals before a silence that it may have begun in."""
_LEAST_LOST = 2
_LEAST_SHARE, _MOST_SHARE = 0.05, 0.9
"""What the others must have lost: one packet says nothing, and to lose everything is not to lose a share."""


def is_share_of_all(
    intervals: Sequence[IntervalObservation], index: PlanIndex, dead: Collection[int], others: Collection[int]
) -> bool:
    """Whether a share of lost endpoints explains that the checks *dead* lost all.

    It is the share that *others* lost meanwhile, or the one that *dead* lost before. *intervals* are the
    latest, oldest first; *others* ask the same service, from any node and in any way.
    """
    silenced, rows = _rows(dead), _rows(others)
    span = _find_span(intervals, silenced)
    draws = _count_draws(span, index, silenced)[0]
    until = max(0, len(intervals) - len(span) - _TRANSITION)
    own = list(dropwhile(lambda one: not _loses(one, silenced), intervals[:until]))
    return _is_chance(_count_draws(span, index, rows), draws) or _is_chance(
        _count_draws(own, index, silenced), draws
    )


def is_share_of_packets(
    intervals: Sequence[IntervalObservation], dead: Collection[int], others: Collection[int]
) -> bool:
    """Whether the share of packets that *others* lost meanwhile explains that the checks *dead* lost all."""
    silenced, rows = _rows(dead), _rows(others)
    span = _find_span(intervals, silenced)
    asked = sum(int(one.seen.asked[rows].sum()) for one in span)
    lost = asked - sum(int(one.seen.reached[rows].sum()) for one in span)
    return _is_chance((asked, lost), sum(int(one.seen.asked[silenced].sum()) for one in span))


def _is_chance(others: tuple[int, int], draws: int) -> bool:
    asked, lost = others
    if lost < _LEAST_LOST or not _LEAST_SHARE <= lost / asked <= _MOST_SHARE:
        return False
    return bool((lost / asked) ** draws > _CHANCE)


def _loses(observation: IntervalObservation, rows: IntArray) -> bool:
    return bool((observation.seen.reached[rows] < observation.seen.asked[rows]).any())


def _find_span(intervals: Sequence[IntervalObservation], dead: IntArray) -> list[IntervalObservation]:
    """The latest intervals in which all of *dead* lost everything."""
    return list(takewhile(lambda one: bool(one.seen.is_dead[dead].all()), reversed(intervals)))


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
