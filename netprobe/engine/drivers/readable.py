"""Sockets and a timer for one packet probe: wakes its driver when something arrives or time is up."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType


class ReadableSocket:
    """Wakes one waiting coroutine when a socket is readable, has an error, or time is up."""

    def __init__(self, *socks: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._socks: list[socket.socket] = []
        self._news = asyncio.Event()
        for sock in socks:
            self.add(sock)

    def __enter__(self) -> ReadableSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in list(self._socks):
            self.drop(sock)

    def add(self, sock: socket.socket, *, is_connecting: bool = False) -> None:
        """Watch one more socket; it is closed with the rest. A completed connection shows as writable."""
        self._socks.append(sock)
        self._loop.add_reader(sock.fileno(), self._news.set)
        if is_connecting:
            self._loop.add_writer(sock.fileno(), self._news.set)

    def drop(self, sock: socket.socket) -> None:
        """Close a socket and stop watching it."""
        self._socks.remove(sock)
        self._loop.remove_reader(sock.fileno())
        self._loop.remove_writer(sock.fileno())
        sock.close()

    async def wait(self, *, until_ns: int) -> None:
        """Return when a socket is ready, or at *until_ns* (monotonic)."""
        self._news.clear()
        try:
            async with asyncio.timeout_at(until_ns / 1e9):
                await self._news.wait()
        except TimeoutError:
            return
