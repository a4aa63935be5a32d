"""Carries TCP connections from 127.0.0.1 outside to the bus inside.

Rule: the listening socket was made outside, before the lab had a network of its own; everything else is in
here. Nothing listens on any other address.
"""

from __future__ import annotations

import asyncio
import socket

_CHUNK = 65536


async def relay(listening: socket.socket, *, host: str, port: int) -> None:
    """Accept on *listening*, connect to ``host:port``, carry bytes both ways, until cancelled."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()  # the bus is away; the asker sees its connection end
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, inner_writer))
                tasks.create_task(_copy(inner_reader, writer))
        except* OSError:
            pass  # either side hung up
        finally:
            writer.close()
            inner_writer.close()

    server = await asyncio.start_server(carry, sock=listening)
    async with server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()
