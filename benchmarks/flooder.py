"""The floods, each by a client that has one agent's own credential: ``python -m benchmarks.flooder FILE``.

It is a process of its own, as a thief's is: sending a flood does not slow the process that measures beside
it. It says ``ready`` on standard output when everything is prepared, begins when standard input says so, and
ends with one line about what it could do.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.chaos.raw_client import RawClient
from netprobe.bus.keys import public_key
from netprobe.bus.subjects import inbox_of, plan_get_subject, windows_subject
from netprobe.model.names import AgentId
from netprobe.wire.reports import ReportColumns, decode_columns, encode_columns

FLOOD_S = 8.0
JUNK, LARGE, LARGE_BYTES = 31_500, 56, 3_700 * 1024
SMALL = 31_500
DEAF, QUESTIONS, SUBSCRIPTIONS = 12, 700, 300_000
_SPEND_S = 0.05


class FloodOrder(msgspec.Struct, frozen=True):
    """Who floods, how, and where."""

    flood: str
    url: str
    agent: str
    seed: str
    report: bytes
    """A valid report of the agent."""

    @property
    def subject(self) -> str:
        """Where the agent's reports go."""
        return windows_subject(AgentId.parse(self.agent))


Go = Callable[[], Awaitable[None]]
"""Returns when the flood may begin."""


async def send_junk(order: FloodOrder, go: Go) -> str:
    """31,500 messages of 10 bytes."""
    await go()
    return await _publish(order, [b"0123456789"] * JUNK)


async def send_small_reports(order: FloodOrder, go: Go) -> str:
    """31,500 valid reports as small as any."""
    report = decode_columns(order.report)
    ready = [_number(report, number) for number in range(SMALL)]
    await go()
    return await _publish(order, ready)


async def send_large_reports(order: FloodOrder, go: Go) -> str:
    """56 valid reports of 3.7 MiB, nearly all of it texts that no window uses."""
    report = decode_columns(order.report)
    report.windows.texts += [f"{number:0999d}" for number in range(LARGE_BYTES // 1_002)]
    ready = [_number(report, number) for number in range(LARGE)]
    await go()
    return await _publish(order, ready)


async def ask_and_do_not_read(order: FloodOrder, go: Go) -> str:
    """12 connections that ask for a plan 700 times each, and do not read."""
    inbox = inbox_of(public_key(order.seed))
    could = 0
    await go()
    async with AsyncExitStack() as stack:
        for number in range(DEAF):
            try:
                client = await RawClient.open(order.url, order.seed, limit=1_024)
            except (OSError, ValueError):
                continue
            await stack.enter_async_context(client)
            client.subscribe(f"{inbox}.{number}", 1)
            for _ in range(QUESTIONS):
                client.publish(plan_get_subject(AgentId.parse(order.agent)), b"", f"{inbox}.{number}")
            could += await client.drain()
        await asyncio.sleep(FLOOD_S)
    return f"{could} of {DEAF} connections could ask"


async def subscribe_without_end(order: FloodOrder, go: Go) -> str:
    """300,000 subscriptions, on as many connections as the server leaves."""
    inbox = inbox_of(public_key(order.seed))
    await go()
    opened, began_s = 0, time.monotonic()
    for begin in range(0, SUBSCRIPTIONS, 10_000):
        if time.monotonic() - began_s > 2 * FLOOD_S:
            break
        async with await RawClient.open(order.url, order.seed) as client:
            opened += 1
            for number in range(begin, begin + 10_000):
                client.subscribe(f"{inbox}.{number}", number + 1)
            await client.drain()
            await asyncio.sleep(_SPEND_S)
    return f"{opened} connections with 10,000 subscriptions each"


FLOODS: dict[str, Callable[[FloodOrder, Go], Coroutine[Any, Any, str]]] = {
    "junk": send_junk,
    "small": send_small_reports,
    "large": send_large_reports,
    "deaf": ask_and_do_not_read,
    "listeners": subscribe_without_end,
}


async def _publish(order: FloodOrder, messages: list[bytes]) -> str:
    """Send *messages* spread over :data:`FLOOD_S`; a connection that was ended is opened again."""
    began_s, sent, opened = time.monotonic(), 0, 0
    while sent < len(messages) and time.monotonic() - began_s < FLOOD_S:
        try:
            client = await RawClient.open(order.url, order.seed)
        except (OSError, ValueError):
            await asyncio.sleep(_SPEND_S)
            continue
        opened += 1
        async with client:
            reading = asyncio.create_task(client.reader.read(-1))
            is_open = True
            while is_open and sent < len(messages):
                due = round(len(messages) * min(1.0, (time.monotonic() - began_s) / FLOOD_S)) + 1
                for message in messages[sent:due]:
                    client.publish(order.subject, message)
                sent = max(sent, min(due, len(messages)))
                is_open = await client.drain() and not reading.done()
                await asyncio.sleep(min(_SPEND_S, FLOOD_S / len(messages)))
            reading.cancel()
    sizes = sum(map(len, messages[:sent]))
    return f"{sent} messages of {sizes // max(1, sent)} bytes on {opened} connections"


def _number(report: ReportColumns, number: int) -> bytes:
    return encode_columns(msgspec.structs.replace(report, boot="flood", sequence=number))


async def _go() -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    order = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=FloodOrder)
    print(asyncio.run(FLOODS[order.flood](order, _go)))
