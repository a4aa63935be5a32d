"""One connection: whatever stands at the address, there is one clear error in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client

from netprobe.bus.agent import AgentBus
from netprobe.bus.connection import open_connection
from netprobe.bus.keys import new_user
from netprobe.bus.login import SeedLogin
from netprobe.errors import BusAwayError, InputError
from tests.unit.nats_server import PROD, needs_nats_server, town, until

GREETINGS = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="a web server"),
    pytest.param(b"INFO not json\r\n", id="no JSON"),
    pytest.param(b"INFO []\r\n", id="a list"),
    pytest.param(b'INFO {"auth_required": true, "nonce": 5}\r\n', id="a nonce of another type"),
    pytest.param(b"INFO " + b"x" * 100_000 + b"\r\n", id="a long line"),
    pytest.param(b"\xff\xfe\r\n", id="noise"),
]


@asynccontextmanager
async def listener(greeting: bytes) -> AsyncIterator[str]:
    """A server that says *greeting* and hangs up."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("greeting", GREETINGS)
async def test_what_is_no_bus_is_away_in_one_line(greeting: bytes) -> None:
    seed, _ = new_user()
    async with listener(greeting) as url:
        with pytest.raises(BusAwayError) as caught:
            await open_connection(url, login=SeedLogin(seed), name="test")
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_an_agent_keeps_trying_whatever_answers() -> None:
    seed, _ = new_user()
    calls = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.write(b"INFO []\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with await AgentBus.connect(url, agent=PROD, login=SeedLogin(seed)) as bus:
            await until(lambda: calls >= 2)
            assert not bus.is_connected


@pytest.mark.parametrize(
    "url", ["", "bogus", "nats://", "http://127.0.0.1:4222", "nats://127.0.0.1:99999", "nats://[::1"]
)
async def test_what_is_no_address_is_refused(url: str) -> None:
    seed, _ = new_user()
    with pytest.raises(InputError, match="is not an address such as tls://host:4222"):
        await open_connection(url, login=SeedLogin(seed), name="test")
    with pytest.raises(InputError):
        await AgentBus.connect(url, agent=PROD, login=SeedLogin(seed))


async def test_a_wrong_seed_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(InputError, match="is not an nkey seed"):
        await open_connection("nats://127.0.0.1:1", login=SeedLogin("SUnothing"), name="asker")


async def test_an_agent_with_a_wrong_seed_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="is not an nkey seed"):
        await AgentBus.connect("nats://127.0.0.1:4222", agent=PROD, login=SeedLogin("no seed"))


@needs_nats_server
@pytest.mark.parametrize("steps", range(6))
async def test_a_close_that_is_cut_leaves_no_socket_open(tmp_path: Path, steps: int) -> None:
    """To end a task twice cuts what the first time had begun to close."""
    async with town(tmp_path) as here:
        connection = await open_connection(here.url, login=SeedLogin(here.seeds[PROD]), name="cut")
        closing = asyncio.create_task(connection.close())
        for _ in range(steps):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        if steps:  # before its first step a task does nothing at all
            assert not connection.holds_socket
        await connection.close()
        assert not connection.holds_socket


@needs_nats_server
async def test_a_connection_that_the_library_closed_in_silence_ends_with_its_next_use(tmp_path: Path) -> None:
    """A close that is cut before its callbacks once left an agent mute for good."""
    async with town(tmp_path) as here:
        connection = await open_connection(here.url, login=SeedLogin(here.seeds[PROD]), name="silent")
        await connection._client._close(Client.CLOSED, do_cbs=False)
        before = connection.is_open  # nothing was said
        with pytest.raises(BusAwayError):
            await connection.publish("np1.anything", b"")
        assert (before, connection.is_open) == (True, False)
        async with asyncio.timeout(5):
            await connection.wait_ended()
