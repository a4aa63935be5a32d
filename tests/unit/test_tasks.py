"""Tasks end with their owner, whatever they do with a cancellation, and a failure is reported."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest
from nats.aio.msg import Msg

from netprobe.bus.connection import Connection
from netprobe.bus.nats_client import NatsClient
from netprobe.tasks import BackgroundTasks, cancellation_kept, end_tasks, run_until_first
from tests.patience import PATIENCE_S


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ValueError("out of order")


async def swallow_once(began: asyncio.Event) -> None:
    """Ignores the first cancellation, as Python 3.11's wait_for may."""
    began.set()
    try:
        await wait_for_ever()
    except asyncio.CancelledError:
        await wait_for_ever()


async def test_tasks_end_with_their_owner() -> None:
    async with BackgroundTasks() as background:
        task = background.start(wait_for_ever(), name="waits")
        await asyncio.sleep(0)
        assert not task.done()
    assert task.cancelled()


async def test_a_failure_is_logged_by_name_and_costs_only_its_own_task(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        async with BackgroundTasks() as background:
            other = background.start(wait_for_ever(), name="waits")
            failed = background.start(fail(), name="question 7")
            await asyncio.wait((failed,))
            await asyncio.sleep(0)
            assert not other.done()
    assert [record.getMessage() for record in caplog.records] == [
        "question 7 failed: ValueError: out of order"
    ]


@pytest.mark.looptime
async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    began = asyncio.Event()
    task = asyncio.create_task(swallow_once(began))
    await began.wait()
    await end_tasks([task])
    assert task.cancelled()


async def test_jobs_end_together_and_what_failed_first_is_raised() -> None:
    ended = asyncio.Event()

    async def wait_and_say() -> None:
        try:
            await wait_for_ever()
        finally:
            ended.set()

    with pytest.raises(ValueError, match="out of order"):
        await run_until_first(wait_and_say(), fail())
    assert ended.is_set()


async def test_jobs_end_when_one_returns() -> None:
    async def return_at_once() -> None:
        return

    await run_until_first(wait_for_ever(), return_at_once())


async def test_a_cancellation_that_a_library_loses_is_raised() -> None:
    answers: list[asyncio.Future[None]] = []

    async def ask() -> None:
        answers.append(asyncio.get_running_loop().create_future())
        with cancellation_kept(), suppress(asyncio.CancelledError):  # as wait_for, with the result there, too
            await answers[-1]

    async def ask_forever() -> None:
        while True:
            await ask()

    task = asyncio.create_task(ask_forever())
    await asyncio.sleep(0)
    answers[0].set_result(None)
    await asyncio.sleep(0)
    assert len(answers) == 2, "an answer alone ends nothing"
    answers[1].set_result(None)
    task.cancel()
    await asyncio.wait([task], timeout=PATIENCE_S)
    assert task.cancelled()


async def test_a_request_on_the_bus_does_not_lose_a_time_out() -> None:
    """Without it, a loop of requests goes on for ever, however many time-outs are around it."""

    class Answers(NatsClient):
        async def request(self, *_: object, **__: object) -> Msg:
            try:
                await asyncio.sleep(PATIENCE_S)
            except asyncio.CancelledError:
                return Msg(self, subject="answer", data=b"")
            raise AssertionError("the wait was not ended")

    async def ask_forever(connection: Connection) -> None:
        async with asyncio.timeout(0.01):
            while True:
                await connection.request("question", b"", timeout_s=PATIENCE_S)

    with pytest.raises(TimeoutError):
        await ask_forever(Connection(Answers(), asyncio.Event(), {}))
