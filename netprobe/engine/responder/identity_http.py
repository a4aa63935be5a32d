"""The agent's identity over HTTP, its health, and connections that are held open for peers (``idle``).

Rules: it says the agent's name and whether it works, to every caller, and nothing else. A caller that stays
silent gives way to the next one: the kubelet's health check is answered whatever strangers hold open.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from netprobe.engine.keyring import Keyring
from netprobe.wire.identity import Identity, encode_identity

MAX_CONNECTIONS = 512
"""Connections whose request has not come yet; beyond them the oldest is dropped."""
MAX_PER_ADDRESS = 64
"""The same for one address."""
MAX_HELD = 64
"""Quiet connections kept open for peers that ask for it."""
MAX_REQUEST_BYTES = 8 * 1024
_HTTP_TIMEOUT_S = 5.0
_FIRST_BYTE_S = 1.0


@dataclass(slots=True)
class IdentityServer:
    """Answers connections."""

    identity: Identity
    keys: Keyring
    is_ready: bool = False
    """What ``/readyz`` answers: whether the owner of this server is working."""
    dropped: int = 0
    """Silent connections that gave way to others, since the start."""
    _silent: dict[asyncio.StreamWriter, str] = field(default_factory=dict)
    """Connections whose request has not come, oldest first, and from which address."""
    _held: int = 0

    @property
    def waiting(self) -> int:
        """Connections whose request has not come."""
        return len(self._silent)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request (RFC 9112, ``Connection: close``); a peer may ask us to wait for it."""
        self._admit(writer)
        hold_s: int | None = None
        try:
            head = await self._read_head(reader)
            self._silent.pop(writer, None)
            hold_s = self._find_hold(head)
            if hold_s is not None:
                await self._hold(hold_s, reader, writer)
            else:
                async with asyncio.timeout(_HTTP_TIMEOUT_S):
                    await self._finish(head, writer)
            writer.close()
            async with asyncio.timeout(_HTTP_TIMEOUT_S):
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            self._silent.pop(writer, None)

    def _admit(self, writer: asyncio.StreamWriter) -> None:
        """Make room for one more: of its own address, then of all."""
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        same = [each for each, at in self._silent.items() if at == address]
        if len(same) >= MAX_PER_ADDRESS:
            self._drop(same[0])
        elif len(self._silent) >= MAX_CONNECTIONS:
            self._drop(next(iter(self._silent)))
        self._silent[writer] = address

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        del self._silent[writer]
        self.dropped += 1
        writer.transport.abort()

    @staticmethod
    async def _read_head(reader: asyncio.StreamReader) -> bytes:
        async with asyncio.timeout(_HTTP_TIMEOUT_S) as patience:
            patience.reschedule(asyncio.get_running_loop().time() + _FIRST_BYTE_S)
            first = await reader.readexactly(1)
            patience.reschedule(asyncio.get_running_loop().time() + _HTTP_TIMEOUT_S)
            return first + await reader.readuntil(b"\r\n\r\n")

    async def _finish(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(head, self.identity, is_ready=self.is_ready))
        await writer.drain()

    def _find_hold(self, head: bytes) -> int | None:
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or self._held >= MAX_HELD:
            return None
        return self.keys.find_hold(words[1], head)

    async def _hold(self, seconds: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keep a quiet connection open until its peer speaks again."""
        self._held += 1
        try:
            async with asyncio.timeout(seconds):
                writer.write(_response(b"200 OK", b"", is_kept=True))
                await writer.drain()
                await self._finish(await reader.readuntil(b"\r\n\r\n"), writer)
        finally:
            self._held -= 1


def respond(head: bytes, identity: Identity, *, is_ready: bool = False) -> bytes:
    """The whole HTTP response to a request's head (RFC 9112, section 3)."""
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return _response(b"400 Bad Request", b"{}")
    method, target, _ = words
    if method not in {b"GET", b"HEAD"}:
        return _response(b"405 Method Not Allowed", b"{}")
    if target == b"/healthz":
        body = b'{"status":"ok"}'
    elif target == b"/readyz":
        if not is_ready:
            return _response(b"503 Service Unavailable", b'{"status":"no report has left yet"}')
        body = b'{"status":"ok"}'
    elif target == b"/":
        body = encode_identity(identity)
    else:
        return _response(b"404 Not Found", b"{}")
    return _response(b"200 OK", body, is_head=method == b"HEAD")


def _response(status: bytes, body: bytes, *, is_head: bool = False, is_kept: bool = False) -> bytes:
    lines = (
        b"HTTP/1.1 " + status,
        b"Content-Type: application/json",
        b"Content-Length: " + str(len(body)).encode(),
        b"Connection: keep-alive" if is_kept else b"Connection: close",
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if is_head else body)
