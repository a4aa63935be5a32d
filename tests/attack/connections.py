"""Connections of strangers to an agent, and of one agent to the bus: many, and silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from netprobe.bus.connection import Connection, open_connection
from netprobe.bus.connection_limit import MOST_CONNECTIONS
from netprobe.bus.login import SeedLogin
from netprobe.engine.responder.identity_http import MAX_CONNECTIONS
from tests.attack.packets import HERE, VICTIM, make_plans, running
from tests.attack.tally import AttackTally
from tests.unit.bus.test_connection_limit import limited
from tests.unit.engine.responder.test_identity_http import addresses, ask_health
from tests.unit.nats_server import DEV, PROD

MORE = 50
"""Silent connections beyond those that an agent keeps."""
ASKED = 8
_ANSWERED_WITHIN_S = 30
_ENDED_WITHIN_S = 10


class SilentStrangers:
    """Connections that say one byte and no more; one that is ended is opened again."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._open: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter] | None]
        self._open = dict.fromkeys(range(count))
        self._addresses = list(addresses(count))

    async def fill(self) -> None:
        """Open what is not open."""
        for number, one in self._open.items():
            if one is not None and not one[0].at_eof() and one[0].exception() is None:
                continue
            if one is not None:
                one[1].transport.abort()
            reader, writer = await asyncio.open_connection(
                HERE, self._port, local_addr=(self._addresses[number], 0)
            )
            self._open[number] = reader, writer
            writer.write(b"G")

    async def close(self) -> None:
        """End them all."""
        for one in filter(None, self._open.values()):
            one[1].transport.abort()
        await asyncio.sleep(0)


async def attack_with_silent_connections() -> AttackTally:
    """Hold every connection of an agent: its health is answered all the same."""
    tally = AttackTally()
    async with running(make_plans()[VICTIM]) as (victim,):
        strangers = SilentStrangers(victim.port, MAX_CONNECTIONS + MORE)
        try:
            for number in range(ASKED):
                await strangers.fill()
                tally.note(f"health {number}", held=await _is_healthy(victim.port))
        finally:
            await strangers.close()
        tally.note("health afterwards", held=await _is_healthy(victim.port))
    return tally


async def _is_healthy(port: int) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_ANSWERED_WITHIN_S):
            return await ask_health(port) == b"HTTP/1.1 200 OK"
    return False


async def attack_with_many_connections() -> AttackTally:
    """Open connection after connection of one agent to the bus: what each does not read, the server holds."""
    tally = AttackTally()
    with TemporaryDirectory() as made:
        async with limited(Path(made)) as here, _opened(here.url, here.seeds[DEV], 1) as (other,):
            async with _opened(here.url, here.seeds[PROD], MOST_CONNECTIONS + 10) as thieves:
                await _until_ended(thieves[:-MOST_CONNECTIONS])
                for number, thief in enumerate(thieves[:-MOST_CONNECTIONS]):
                    tally.note(f"connection {number}", held=not thief.is_open)
                for newest in thieves[-MOST_CONNECTIONS:]:
                    tally.note("one of the newest", held=newest.is_open)
            tally.note("another agent's", held=other.is_open)
    return tally


@asynccontextmanager
async def _opened(url: str, seed: str, count: int) -> AsyncIterator[list[Connection]]:
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(count):
            opened.append(await open_connection(url, login=SeedLogin(seed), name="one of many"))
            stack.push_async_callback(opened[-1].close)
        yield opened


async def _until_ended(connections: Iterable[Connection]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_ENDED_WITHIN_S):
            for one in connections:
                await one.wait_ended()
