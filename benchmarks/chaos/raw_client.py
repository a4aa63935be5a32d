"""A NATS client that does what the library would not: it floods, and does not read."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from netprobe.bus.keys import public_key
from netprobe.bus.nkey import KeyPair


class RawClient:
    """One connection with an agent's seed; use it as ``async with await RawClient.open(…)``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: str, seed: str, *, limit: int = 65_536) -> Self:
        """Connect and log in; *limit* bytes are read ahead at most."""
        host, _, port = url.removeprefix("nats://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=limit)
        info: dict[str, Any] = json.loads((await reader.readline()).removeprefix(b"INFO "))
        signature = base64.urlsafe_b64encode(KeyPair(seed).sign(info["nonce"].encode())).rstrip(b"=").decode()
        login = {"verbose": False, "pedantic": False, "nkey": public_key(seed), "sig": signature}
        writer.write(f"CONNECT {json.dumps(login | {'protocol': 1})}\r\nPING\r\n".encode())
        await writer.drain()
        await reader.readline()
        return cls(reader, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.transport.abort()

    def publish(self, subject: str, data: bytes, reply: str = "") -> None:
        """Send; nothing is awaited."""
        words = filter(None, ("PUB", subject, reply, str(len(data))))
        self._writer.write(f"{' '.join(words)}\r\n".encode() + data + b"\r\n")

    def subscribe(self, subject: str, number: int) -> None:
        """Subscribe; nothing is awaited."""
        self._writer.write(f"SUB {subject} {number}\r\n".encode())

    async def drain(self) -> bool:
        """Wait until it was sent; whether the server still listens."""
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(5):
                await self._writer.drain()
            return not self._writer.is_closing()
        return False
