"""Silent strangers keep no caller out; on loopback, with real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from netprobe.engine.keyring import Keyring
from netprobe.engine.responder.identity_http import MAX_CONNECTIONS, MAX_PER_ADDRESS, IdentityServer
from netprobe.model.names import AgentId
from netprobe.wire.identity import Identity


@pytest.fixture
def identity() -> IdentityServer:
    return IdentityServer(Identity("prod/w1/pod", "b00t"), Keyring(AgentId.parse("prod/w1/pod")))


@asynccontextmanager
async def serving(identity: IdentityServer) -> AsyncIterator[int]:
    """The port; in the end every connection is gone."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        await identity.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.wait(serving)
    await asyncio.sleep(0)  # transports that were aborted close in the next turn
    assert identity.waiting == 0


async def close(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def ask_health(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await reader.read()
    await close(writer)
    return answer.split(b"\r\n", 1)[0]


def addresses(count: int) -> Iterator[str]:
    """Loopback addresses, each for as many connections as one may have."""
    return (f"127.0.1.{1 + number // MAX_PER_ADDRESS}" for number in range(count))


@pytest.mark.parametrize("first", [b"", b"G"], ids=["silent", "one byte"])
async def test_health_is_answered_while_strangers_hold_every_connection(
    identity: IdentityServer, first: bytes
) -> None:
    async with serving(identity) as port:
        strangers = []
        for address in addresses(MAX_CONNECTIONS + 50):
            _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
            writer.write(first)
            strangers.append(writer)
        answers = [await ask_health(port) for _ in range(20)]
        await close(*strangers)
    assert answers == [b"HTTP/1.1 200 OK"] * 20
    assert identity.dropped or not first  # silent ones may have been given up before they had to give way


async def test_one_address_cannot_push_out_the_others(identity: IdentityServer) -> None:
    async with serving(identity) as port:
        reader, waiting = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.2.1", 0))
        waiting.write(b"GET /healthz")
        many = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.3.1", 0))
            for _ in range(3 * MAX_PER_ADDRESS)
        ]
        waiting.write(b" HTTP/1.1\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        await close(waiting, *(writer for _, writer in many))
    assert identity.dropped
