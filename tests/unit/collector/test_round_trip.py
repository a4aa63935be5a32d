"""The collector's own messages show which part of the way is broken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from netprobe.bus.collector import Delivery
from netprobe.bus.subjects import BEAT
from netprobe.collector.round_trip import BeatLeg, RoundTrip
from netprobe.errors import BusAwayError

SHORT_S = 0.05


class LoopBus:
    """Does with a beat what it is told to."""

    def __init__(self, then: Callable[[Delivery], Awaitable[None]]) -> None:
        self._then = then
        self.sent: list[bytes] = []

    async def publish_beat(self, data: bytes, *, timeout_s: float) -> None:
        self.sent.append(data)
        await self._then(Delivery(BEAT, data, "token"))


async def lose(_: Delivery) -> None:
    pass


async def refuse(_: Delivery) -> None:
    raise BusAwayError("the bus did not answer: timeout")


async def test_what_passes_is_no_fault() -> None:
    trip = RoundTrip()

    async def pass_on(delivery: Delivery) -> None:
        trip.note_stored(trip.note_taken([delivery]))
        trip.note_concluded()

    await trip.beat(LoopBus(pass_on), patience_s=60)
    assert trip.fault == ""


@pytest.mark.parametrize(("then", "why"), [(lose, ""), (refuse, ": the bus did not answer: timeout")])
async def test_a_bus_that_keeps_it_is_stuck_until_it_passes_again(
    then: Callable[[Delivery], Awaitable[None]], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    trip = RoundTrip()
    for _ in range(3):
        await trip.beat(LoopBus(then), patience_s=SHORT_S)
    assert trip.fault == BeatLeg.BUS.value + why
    assert trip.stuck_for_s(float("inf")) == float("inf")

    async def pass_on(delivery: Delivery) -> None:
        trip.note_stored(trip.note_taken([delivery]))
        trip.note_concluded()

    await trip.beat(LoopBus(pass_on), patience_s=60)
    assert (trip.fault, trip.stuck_for_s(float("inf"))) == ("", 0.0)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [f"reports do not pass: {BeatLeg.BUS.value}{why}", "reports pass again"]


async def test_a_history_that_does_not_store_is_not_the_buss_fault() -> None:
    trip = RoundTrip()

    async def take(delivery: Delivery) -> None:
        trip.note_taken([delivery])

    for _ in range(2):
        await trip.beat(LoopBus(take), patience_s=SHORT_S)
    assert trip.fault == BeatLeg.HISTORY.value
    await trip.beat(LoopBus(lose), patience_s=SHORT_S)  # nothing is taken while the one before waits
    assert (trip.fault, trip.stuck_for_s(float("inf"))) == (BeatLeg.HISTORY.value, 0.0)


async def test_an_analysis_that_does_not_conclude_is_said() -> None:
    trip = RoundTrip()

    async def store(delivery: Delivery) -> None:
        trip.note_stored(trip.note_taken([delivery]))

    await trip.beat(LoopBus(store), patience_s=SHORT_S)
    assert trip.fault == BeatLeg.ANALYSIS.value


async def test_a_beat_of_an_earlier_run_or_of_somebody_else_proves_nothing() -> None:
    trip, other = RoundTrip(), RoundTrip()
    theirs = LoopBus(lose)
    await other.beat(theirs, patience_s=SHORT_S)
    foreign = [Delivery(BEAT, data, "token") for data in (*theirs.sent, b"", b"\xff 1", b"x 1")]
    assert trip.note_taken([*foreign, Delivery("np1.windows.a.b.pod", b"1", "token")]) == 0


async def test_it_sends_again_and_again() -> None:
    trip = RoundTrip()

    async def pass_on(delivery: Delivery) -> None:
        trip.note_stored(trip.note_taken([delivery]))
        trip.note_concluded()

    bus = LoopBus(pass_on)
    running = asyncio.create_task(trip.run(bus, every_s=0.01))
    while len(bus.sent) < 5:  # noqa: ASYNC110 - has no event
        await asyncio.sleep(0.01)
    running.cancel()
    assert len(set(bus.sent)) == len(bus.sent)
