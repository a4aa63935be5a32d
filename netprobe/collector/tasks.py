"""Jobs that end together: when one ends or fails, the others are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from contextlib import suppress
from typing import Any

_END_PAUSE_S = 1.0


async def run_until_first(*jobs: Coroutine[Any, Any, object]) -> None:
    """Run *jobs* together until one of them returns or fails; end the others; raise what failed first."""
    tasks = [asyncio.create_task(job) for job in jobs]
    first: set[asyncio.Task[object]] = set()
    try:
        first, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(tasks)
    for task in sorted(tasks, key=lambda each: each not in first):
        if not task.cancelled():
            task.result()


async def _end(tasks: Collection[asyncio.Task[object]]) -> None:
    """Cancel *tasks* until they have ended: Python 3.11's wait_for may swallow a cancellation once."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pending, timeout=_END_PAUSE_S)
