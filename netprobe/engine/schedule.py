"""When each probe of an interval goes out. Pure.

Rule: the probes of a check are spread evenly and jittered inside their own part of the interval, so that no
two agents fall into step; and they end a fifth of the interval early, so that most answers are in when the
window closes. What falls due within one tick goes out together at its beginning: waking costs more than
sending.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

from netprobe.model.check import Check
from netprobe.model.names import CheckId

SPREAD_PERCENT = 80
TICK_NS = 1_000_000_000
"""The longest tick; a short interval has ten of them."""
BATCH = 128
"""So many probes go out together at most; where more fall into a tick, it is shorter."""


class Slot(NamedTuple):
    """One probe of one check, *offset_ns* after the interval's start; a tuple: one is made per probe."""

    offset_ns: int
    check: Check


def spread(checks: Iterable[Check], *, interval_ns: int, rng: random.Random) -> tuple[Slot, ...]:
    """Every probe of one interval, in order of time."""
    usable_ns = interval_ns * SPREAD_PERCENT // 100
    slots = [
        Slot(int((ordinal + rng.random()) * usable_ns / check.count), check)
        for check in checks
        for ordinal in range(check.count)
    ]
    return tuple(sorted(slots, key=itemgetter(0)))


def deduplicate_per_tick(checks: Iterable[Check]) -> Iterator[tuple[Check, ...]]:
    """The same checks in the same order, cut so that none occurs twice in a batch.

    A batch is numbered before its first probe leaves; one that cannot leave gives its number to the check's
    next, so the next may not have one yet.
    """
    batch: dict[CheckId, Check] = {}
    for check in checks:
        if check.id in batch:
            yield tuple(batch.values())
            batch = {}
        batch[check.id] = check
    if batch:
        yield tuple(batch.values())


def tick_of(interval_ns: int, *, probes: int = 0) -> int:
    """How often an agent with *probes* in this interval wakes: to send what is due, and to read what came."""
    room_ns = interval_ns * SPREAD_PERCENT * BATCH // (100 * max(1, probes))
    return max(1, min(TICK_NS, interval_ns // 10, room_ns))


def grace_ns(checks: Iterable[Check], *, interval_ns: int, margin_ns: int = 30_000_000) -> int:
    """How long after an interval's end its last answers can still be in time, plus a little for ourselves.

    A peer whose intervals are as long may hold an answer for a tick.
    """
    longest_ns = max((check.probe.timeout_ns for check in checks), default=0) + tick_of(interval_ns)
    return max(0, longest_ns - interval_ns * (100 - SPREAD_PERCENT) // 100) + margin_ns
