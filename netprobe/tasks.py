"""Tasks that end with their owner, and whose failures are reported.

Rule: only this module starts a task that no ``asyncio.TaskGroup`` holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

_END_PAUSE_S = 1.0
logger = logging.getLogger(__name__)


class BackgroundTasks:
    """Tasks beside what the owner does; a failure is logged at once and costs only its own task.

    Use it as ``async with BackgroundTasks() as background:``, or call :meth:`end`.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()

    def start(self, job: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run *job*; *name* is what a failure is logged with."""
        task = asyncio.create_task(job, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def end(self) -> None:
        """Cancel what still runs; return when all have ended."""
        await end_tasks(self._running)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed: %s: %s", task.get_name(), type(error).__name__, error)


async def run_until_first(*jobs: Coroutine[Any, Any, object]) -> None:
    """Run *jobs* together until one of them returns or fails; end the others; raise what failed first."""
    tasks = [asyncio.create_task(job) for job in jobs]
    first: set[asyncio.Task[object]] = set()
    try:
        first, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(tasks)
    for task in sorted(tasks, key=lambda each: each not in first):
        if not task.cancelled():
            task.result()


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel *tasks* until they have ended: Python 3.11's wait_for may swallow a cancellation once."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pending, timeout=_END_PAUSE_S)


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raise the cancellation that a library lost inside.

    Before Python 3.12 ``asyncio.wait_for`` returns a result that came at the same moment as the cancellation
    (bpo-37658). A loop around it would go on for ever, and a time-out around the loop would never end it.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
