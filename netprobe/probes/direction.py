"""Losses told apart by direction, from the responder's counter (RFC 8762; science: one-way loss).

Between two answered requests *a* and *b* of one session, b.sequence − a.sequence − 1 requests went
unanswered, and b.counter − a.counter − 1 of them reached the responder: those were lost on the way back, the
others on the way out. Where answers overtook each other or the responder restarted, the counters do not
fit and nothing is said.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple


class Anchor(NamedTuple):
    """An answered request: its sequence number and the responder's counter when it came in."""

    sequence: int
    counter: int


@dataclass(frozen=True, slots=True)
class DirectionalLoss:
    """Losses by direction; what cannot be told is in neither."""

    out: int = 0
    back: int = 0


def split_losses(
    anchors: Sequence[Anchor], *, lost: Collection[int], refused: Collection[int] = ()
) -> DirectionalLoss:
    """Attribute the *lost* sequence numbers between consecutive *anchors*.

    *refused* are sequence numbers of which an error came back: they never reached the responder, and they are
    no losses. A gap may hold losses of other windows; then each window takes its share, rounded down.

    >>> split_losses([Anchor(1, 1), Anchor(5, 3)], lost=[2, 3, 4])
    DirectionalLoss(out=2, back=1)
    """
    out = back = 0
    for before, after in pairwise(sorted(anchors)):
        span = range(before.sequence + 1, after.sequence)
        missing = len(span) - sum(number in span for number in refused)
        arrived = after.counter - before.counter - 1
        here = sum(number in span for number in lost)
        if not here or not 0 <= arrived <= missing:
            continue
        out += here * (missing - arrived) // missing
        back += here * arrived // missing
    return DirectionalLoss(out, back)
