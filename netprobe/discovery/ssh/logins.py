"""How many logins one SSH server takes at once from us, and which refusals are tried again.

Rule: OpenSSH drops connections by chance as soon as ten have not logged in (``MaxStartups 10:30:100``; sshd
9.2), and each host behind a bastion makes a connection of its own to it. So at most eight log in at a server
at once, others wait for their turn; a connection that is cut off before the login is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

import asyncssh

T = TypeVar("T")
Server = tuple[str, int]

LOGINS_AT_ONCE = 8
_TRIES = 4
_PAUSE_S = 0.25

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Server, asyncio.Semaphore]] = WeakKeyDictionary()


def find_turns(server: Server) -> asyncio.Semaphore:
    """The turns of all logins at *server* within this event loop."""
    servers = _turns.setdefault(asyncio.get_running_loop(), {})
    return servers.setdefault(server, asyncio.Semaphore(LOGINS_AT_ONCE))


async def log_in(server: Server, enter: Callable[[], Awaitable[T]], *, limit: asyncio.Timeout) -> T:
    """Call *enter* in our turn, again where *server* cuts it off; waiting for a turn is not counted."""
    for attempt in range(1, _TRIES + 1):
        turns = find_turns(server)
        await _wait_for_turn(turns, limit)
        try:
            return await enter()
        except (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError):
            if attempt == _TRIES:
                raise
        finally:
            turns.release()
        await asyncio.sleep(attempt * _PAUSE_S)
    raise AssertionError("the last attempt returns or raises")


async def _wait_for_turn(turns: asyncio.Semaphore, limit: asyncio.Timeout) -> None:
    """Take a turn; meanwhile the deadline of *limit* stands still."""
    clock = asyncio.get_running_loop().time
    until, began = limit.when(), clock()
    limit.reschedule(None)
    await turns.acquire()
    if until is not None:
        limit.reschedule(until + clock() - began)
