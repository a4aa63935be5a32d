"""Filling a real API server with made-up objects, and what a process that watches them weighs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from netprobe.discovery.k8s.client import ApiRefusedError, ClusterApi, open_api
from netprobe.discovery.k8s.kubeconfig import read_contexts

_AT_ONCE = 12
"""Requests."""


def open_kubeconfig(file: Path) -> AbstractAsyncContextManager[ClusterApi]:
    """The API of the current context of a kubeconfig."""
    return open_api(read_contexts([file]).choose()[0])


async def make_once(making: Awaitable[object]) -> None:
    """Await the creation of an object, which may be there from a run before."""
    try:
        await making
    except ApiRefusedError as error:
        if error.code != 409:
            raise


async def do_each(numbers: Iterable[int], do: Callable[[int], Awaitable[object]]) -> None:
    """Do something for each number, a few at a time."""
    waiting = iter(numbers)

    async def work() -> None:
        for number in waiting:
            await do(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work())


def rss_mib() -> float:
    """Memory of this process that is in use now, MiB."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024, 1)
