"""When each probe of an interval goes out. Pure.

Rule: the probes of a check are spread evenly and jittered inside their own part of the interval, so that no
two agents synchronise; the last one leaves a fifth of the interval before its end, so that most responses are
in when the window closes. Probes due within one tick are sent together at its beginning: waking up costs more
than sending.
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
"""Probes that are sent together at most; where more fall into a tick, ticks are shorter."""


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
    """Cut *checks* into batches, in order, so that no check occurs twice in a batch.

    A batch gets its sequence numbers before its first probe is sent. A probe that cannot be sent returns its
    number to the next one of its check, which therefore must not have one yet.
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
    """How often an agent with *probes* per interval wakes to send what is due and to read what arrived."""
    room_ns = interval_ns * SPREAD_PERCENT * BATCH // (100 * max(1, probes))
    return max(1, min(TICK_NS, interval_ns // 10, room_ns))


def grace_ns(checks: Iterable[Check], *, interval_ns: int, margin_ns: int = 30_000_000) -> int:
    """How long after an interval's end its last responses can still be in time, plus a margin for this agent.

    A peer whose intervals are as long may hold a response for a tick.
    """
    longest_ns = max((check.probe.timeout_ns for check in checks), default=0) + tick_of(interval_ns)
    return max(0, longest_ns - interval_ns * (100 - SPREAD_PERCENT) // 100) + margin_ns
