"""Stalls of the driver, and the silences that count afterwards."""

from __future__ import annotations

import pytest

from netprobe.engine.sweep.stall_guard import StallGuard

MS = 1_000_000
SENT_NS = 7_000 * MS
TIMEOUT_NS = 500 * MS


def waited(*late_ms: int, plan_ms: int = 500) -> int:
    """The stall because of which silence does not count, after waking up late from each wait of *plan_ms*."""
    awake, now_ns = StallGuard(), SENT_NS
    for late in late_ms:
        awake.plan(now_ns + plan_ms * MS)
        now_ns += (plan_ms + late) * MS
        awake.note(now_ns)
    return awake.stalled_ns(since_ns=SENT_NS, now_ns=now_ns)


@pytest.mark.parametrize(
    ("late_ms", "plan_ms", "stalled_ms"),
    [
        pytest.param([0], 500, 0, id="on time"),
        pytest.param([19], 30, 0, id="ordinary scheduling"),
        pytest.param([190], 500, 0, id="late, but awake for longer"),
        pytest.param([300], 500, 300, id="late by more than half of the wait"),
        pytest.param([2_000], 500, 2_000, id="stopped"),
        pytest.param([60, 60, 60], 100, 180, id="often a little"),
        pytest.param([100, 0, 0], 100, 0, id="once, and then awake for long enough"),
    ],
)
def test_silence_is_believed_if_we_were_awake_for_longer_than_we_stood_still(
    late_ms: list[int], plan_ms: int, stalled_ms: int
) -> None:
    assert waited(*late_ms, plan_ms=plan_ms) == stalled_ms * MS


def test_a_stall_before_the_last_question_left_does_not_matter() -> None:
    awake = StallGuard()
    awake.plan(SENT_NS - 2_000 * MS)
    awake.note(SENT_NS - 1 * MS)
    awake.plan(SENT_NS + TIMEOUT_NS)
    awake.note(SENT_NS + TIMEOUT_NS)
    assert awake.stalled_ns(since_ns=SENT_NS, now_ns=SENT_NS + TIMEOUT_NS) == 0


def test_an_early_driver_did_not_stall_and_the_earlier_due_time_counts() -> None:
    awake = StallGuard()
    awake.plan(SENT_NS + TIMEOUT_NS)
    awake.note(SENT_NS + 10 * MS)
    awake.plan(SENT_NS + TIMEOUT_NS)
    awake.plan_earlier(SENT_NS + 90 * MS)
    awake.plan_earlier(SENT_NS + 200 * MS)
    awake.note(SENT_NS + 290 * MS)
    assert awake.stalled_ns(since_ns=SENT_NS, now_ns=SENT_NS + 300 * MS) == 200 * MS


def test_without_a_due_time_nothing_is_late() -> None:
    awake = StallGuard()
    awake.note(SENT_NS + 9_000 * MS)
    assert awake.stalled_ns(since_ns=SENT_NS, now_ns=SENT_NS + 9_000 * MS) == 0
