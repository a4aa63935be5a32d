"""One timer: each beat calls, wakes who waits for it, and notes that it came late."""

from __future__ import annotations

import asyncio
import time

from netprobe.engine.clock import Clock
from netprobe.engine.stall_tracker import StallTracker
from netprobe.engine.ticker import Ticker

MS = 1_000_000


async def test_who_waits_is_woken_after_the_beat_was_called() -> None:
    called: list[int] = []
    beat = Ticker(StallTracker(), Clock(), lambda: called.append(time.monotonic_ns()), period_ns=MS)
    beat.start()
    try:
        first, second = await asyncio.gather(beat.next(), beat.next())
        third = await beat.next()
    finally:
        beat.stop()
    assert first == second < third
    assert len(called) >= 2
    assert first <= called[0]


async def test_a_waiter_that_gave_up_harms_nobody() -> None:
    beat = Ticker(StallTracker(), Clock(), lambda: None, period_ns=MS)
    beat.start()
    try:
        given_up = asyncio.create_task(beat.next())
        await asyncio.sleep(0)
        given_up.cancel()
        assert await beat.next() > 0
    finally:
        beat.stop()


async def test_a_beat_that_came_late_is_a_stall_and_is_not_made_up_for() -> None:
    stalls = StallTracker()
    called: list[int] = []
    beat = Ticker(stalls, Clock(), lambda: called.append(1), period_ns=10 * MS)
    began_ns = time.monotonic_ns()
    beat.start()
    try:
        time.sleep(0.2)  # noqa: ASYNC251 - the loop is to stand still
        beat.check()
        late_ns = stalls.worst_ns(since_ns=began_ns, until_ns=time.monotonic_ns())
        await beat.next()
    finally:
        beat.stop()
    assert late_ns >= 150 * MS
    assert len(called) == 1


async def test_a_late_beat_that_was_noted_early_is_one_stall() -> None:
    stalls = StallTracker()
    beat = Ticker(stalls, Clock(), lambda: None, period_ns=10 * MS)
    began_ns = time.monotonic_ns()
    beat.start()
    try:
        time.sleep(0.2)  # noqa: ASYNC251 - the loop is to stand still
        beat.check()
        beat.check()
        now_ns = await beat.next()
    finally:
        beat.stop()
    assert stalls.total_ns(since_ns=began_ns, until_ns=now_ns) <= now_ns - began_ns


async def test_a_shorter_period_counts_from_now_on() -> None:
    beat = Ticker(StallTracker(), Clock(), lambda: None, period_ns=3_600_000 * MS)
    beat.start()
    try:
        beat.period_ns = 10 * MS
        await asyncio.wait_for(beat.next(), 30)
    finally:
        beat.stop()


async def test_a_longer_period_lets_the_beat_under_way_come_as_it_was_due() -> None:
    beat = Ticker(StallTracker(), Clock(), lambda: None, period_ns=10 * MS)
    beat.start()
    try:
        beat.period_ns = 3_600_000 * MS
        await asyncio.wait_for(beat.next(), 30)
    finally:
        beat.stop()
