"""When each probe of an interval goes out. Pure.

Rule: the probes of a check are spread evenly and jittered inside their own part of the interval, so that no
two agents fall into step; and they end a fifth of the interval early, so that most answers are in when the
window closes. What would go out within the same few milliseconds goes out together: waking costs more than
sending.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from netprobe.model.check import Check

SPREAD_PERCENT = 80
TICK_NS = 100_000_000
"""The longest tick; a short interval has forty of them."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One probe of one check, *offset_ns* after the interval's start."""

    offset_ns: int
    check: Check


def spread(checks: Iterable[Check], *, interval_ns: int, rng: random.Random) -> tuple[Slot, ...]:
    """Every probe of one interval, in order of time."""
    usable_ns = interval_ns * SPREAD_PERCENT // 100
    tick_ns = tick_of(interval_ns)
    phase_ns = rng.randrange(tick_ns)
    slots = [
        Slot(_on_tick(int((ordinal + rng.random()) * usable_ns / check.count), tick_ns, phase_ns), check)
        for check in checks
        for ordinal in range(check.count)
    ]
    return tuple(sorted(slots, key=lambda slot: slot.offset_ns))


def tick_of(interval_ns: int) -> int:
    """How often an agent with this interval wakes: to send what is due, and to read what came."""
    return max(1, min(TICK_NS, interval_ns // 40))


def _on_tick(offset_ns: int, tick_ns: int, phase_ns: int) -> int:
    """The tick before *offset_ns*; each agent's ticks have their own phase."""
    return max(0, (offset_ns - phase_ns) // tick_ns * tick_ns + phase_ns)


def grace_ns(checks: Iterable[Check], *, interval_ns: int, margin_ns: int = 30_000_000) -> int:
    """How long after an interval's end its last answers can still be in time, plus a little for ourselves."""
    longest_ns = max((check.probe.timeout_ns for check in checks), default=0)
    return max(0, longest_ns - interval_ns * (100 - SPREAD_PERCENT) // 100) + margin_ns
