"""Many hosts in parallel, up to a limit; one that hangs or fails does not delay the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from netprobe.discovery.ssh.errors import HostOutputError, SshError

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")

MOST_AT_ONCE = 64


def _ignore(name: object, /) -> None:
    del name


async def ask_many(
    hosts: Mapping[K, V],
    ask: Callable[[V], Awaitable[R]],
    *,
    timeout_s: float,
    at_once: int = MOST_AT_ONCE,
    done: Callable[[K], None] = _ignore,
) -> dict[K, R | SshError | HostOutputError]:
    """Ask each host of *hosts*; what it said or how it failed, in the order of *hosts*.

    A host has *timeout_s* from its own turn on; *done* is called with its name when it is through.
    """
    turns = asyncio.Semaphore(at_once)
    told: dict[K, R | SshError | HostOutputError] = {}

    async def one(name: K, host: V) -> None:
        async with turns:
            try:
                async with asyncio.timeout(timeout_s):
                    told[name] = await ask(host)
            except (SshError, HostOutputError) as error:
                told[name] = error
            except TimeoutError:
                told[name] = SshError(f"{name}: not done within {timeout_s:g} s")
        done(name)

    async with asyncio.TaskGroup() as group:
        for name, host in hosts.items():
            group.create_task(one(name, host))
    return {name: told[name] for name in hosts}
