"""Relays TCP connections from 127.0.0.1 outside to the bus inside the lab.

Rule: the listening socket is made outside, before the lab has its own network; everything else is inside.
Nothing listens on any other address.
"""

from __future__ import annotations

import asyncio
import socket

_CHUNK = 65536


async def relay(listening: socket.socket, *, host: str, port: int) -> None:
    """Accept on *listening*, connect to ``host:port``, relay bytes both ways until cancelled."""

    async def relay_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()  # the bus is down; the client sees its connection close
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, inner_writer))
                tasks.create_task(_copy(inner_reader, writer))
        except* OSError:
            pass  # one side closed the connection
        finally:
            writer.close()
            inner_writer.close()

    server = await asyncio.start_server(relay_connection, sock=listening)
    async with server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()
