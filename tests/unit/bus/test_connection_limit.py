"""An agent has a few connections at most: the newest ones; others are not touched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from netprobe.bus.collector import open_collector_bus
from netprobe.bus.connection import Connection, open_connection
from netprobe.bus.connection_limit import MOST_CONNECTIONS
from netprobe.bus.login import SeedLogin
from netprobe.bus.subjects import plan_get_subject
from netprobe.errors import BusAwayError
from tests.unit.nats_server import DEV, PROD, Town, needs_nats_server, town, until


@asynccontextmanager
async def limited(directory: Path) -> AsyncIterator[Town]:
    async with (
        town(directory) as here,
        open_collector_bus(here.url, login=SeedLogin(here.collector)) as bus,
    ):
        await bus.limit_connections()
        yield here


@needs_nats_server
async def test_the_oldest_of_too_many_end(tmp_path: Path) -> None:
    async with limited(tmp_path) as here, AsyncExitStack() as stack:
        other = await open_connection(here.url, login=SeedLogin(here.seeds[DEV]), name=str(DEV))
        stack.push_async_callback(other.close)
        opened: list[Connection] = []
        for _ in range(MOST_CONNECTIONS + 3):
            made = await open_connection(here.url, login=SeedLogin(here.seeds[PROD]), name="another name")
            stack.push_async_callback(made.close)
            opened.append(made)
        await until(lambda: not any(one.is_open for one in opened[:-MOST_CONNECTIONS]))
        await opened[-1].flush()
        assert all(one.is_open for one in (other, *opened[-MOST_CONNECTIONS:]))


@needs_nats_server
async def test_connections_that_have_ended_do_not_count(tmp_path: Path) -> None:
    async with limited(tmp_path) as here, AsyncExitStack() as stack:
        first = await open_connection(here.url, login=SeedLogin(here.seeds[PROD]), name="first")
        stack.push_async_callback(first.close)
        for _ in range(3 * MOST_CONNECTIONS):
            made = await open_connection(here.url, login=SeedLogin(here.seeds[PROD]), name="next")
            await made.close()
        await first.flush()
        assert first.is_open


@needs_nats_server
async def test_no_agent_can_end_connections_or_hear_who_comes(tmp_path: Path) -> None:
    heard: list[str] = []

    async def hear(message: object) -> None:
        heard.append(str(message))

    async with limited(tmp_path) as here, AsyncExitStack() as stack:
        thief = await open_connection(here.url, login=SeedLogin(here.seeds[PROD]), name=str(PROD))
        stack.push_async_callback(thief.close)
        for subject in ("$SYS.ACCOUNT.agents.CONNECT", "$SYS.ACCOUNT.>"):
            with suppress(BusAwayError):
                await thief.subscribe(subject, hear)
        victim = await open_connection(here.url, login=SeedLogin(here.seeds[DEV]), name=str(DEV))
        stack.push_async_callback(victim.close)
        with suppress(BusAwayError):
            for cid in range(1, 60):
                await thief.publish("$SYS.REQ.SERVER.X.KICK", b'{"cid": %d}' % cid)
        with suppress(BusAwayError):  # there is no plan
            await victim.request(plan_get_subject(DEV), b"")
        assert victim.is_open
        assert heard == []
