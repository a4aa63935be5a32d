"""When we stood still is remembered, as long as it matters."""

from __future__ import annotations

from netprobe.engine.stall_tracker import NOTABLE_NS, StallTracker

MS = 1_000_000


def test_the_longest_stall_that_touches_the_span_counts() -> None:
    stalls = StallTracker()
    stalls.note(due_ns=100 * MS, now_ns=400 * MS)
    stalls.note(due_ns=500 * MS, now_ns=600 * MS)
    assert stalls.worst_ns(since_ns=350 * MS, until_ns=900 * MS) == 300 * MS
    assert stalls.worst_ns(since_ns=450 * MS, until_ns=900 * MS) == 100 * MS
    assert stalls.worst_ns(since_ns=700 * MS, until_ns=900 * MS) == 0


def test_many_stalls_are_as_bad_as_a_long_one() -> None:
    stalls = StallTracker()
    for began in (0, 150, 300, 900):
        stalls.note(due_ns=began * MS, now_ns=(began + 100) * MS)
    assert stalls.total_ns(since_ns=50 * MS, until_ns=400 * MS) == 300 * MS
    assert stalls.worst_ns(since_ns=50 * MS, until_ns=400 * MS) == 100 * MS


def test_ordinary_scheduling_is_no_stall() -> None:
    stalls = StallTracker()
    stalls.note(due_ns=5, now_ns=5 + NOTABLE_NS - 1)
    assert stalls.worst_ns(since_ns=0, until_ns=10**12) == 0
