"""A program inside a pod, through the API server: lines in, lines out.

The channels of ``v4.channel.k8s.io``: the first byte of each message says which stream it belongs to.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import msgspec

from netprobe.discovery.k8s.client import ClusterApi
from netprobe.errors import SystemRefusedError

_STDIN = 0
_CHUNK = 64 * 1024
_MOST_SAID = 4_096
_MOST_LINE = 64 * 1024 * 1024


class _ExecStatus(msgspec.Struct, frozen=True):
    status: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class PodContainer:
    """Where a program runs."""

    namespace: str
    pod: str
    container: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}"


class ExecStream:
    """A program that runs; it ends when it ends, or when the block around it does."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, place: PodContainer) -> None:
        self._socket = socket
        self._place = place
        self._said = b""

    async def send(self, line: bytes) -> None:
        """Write one line to the program; :class:`SystemRefusedError` where the connection is gone."""
        data = line + b"\n"
        try:
            for at in range(0, len(data), _CHUNK):
                await self._socket.send_bytes(bytes([_STDIN]) + data[at : at + _CHUNK])
        except (aiohttp.ClientError, OSError) as error:
            raise SystemRefusedError(f"{self._place}: the connection is gone: {error}") from error

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """What the program writes, line by line; :class:`SystemRefusedError` where it ends with an error."""
        rest = b""
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            match channel:
                case 1:
                    *whole, rest = (rest + data).split(b"\n")
                    if len(rest) > _MOST_LINE:
                        told = f"writes a line of more than {_MOST_LINE} bytes"
                        raise SystemRefusedError(f"{self._place}: {told}")
                    for line in whole:
                        yield line
                case 2:
                    self._said = (self._said + data)[-_MOST_SAID:]
                case 3:
                    self._expect_success(data)

    @property
    def said(self) -> str:
        """The last line that it wrote on stderr."""
        lines = self._said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _expect_success(self, data: bytes) -> None:
        try:
            told = msgspec.json.decode(data, type=_ExecStatus)
        except msgspec.DecodeError:
            told = _ExecStatus("Failure", "the API server says nothing that can be read")
        if told.status != "Success":
            raise SystemRefusedError(f"{self._place}: {self.said or told.message}")


@asynccontextmanager
async def run_in_pod(
    api: ClusterApi, place: PodContainer, command: Sequence[str]
) -> AsyncIterator[ExecStream]:
    """Run *command* in a pod for the time of the block; its stdin ends with the block."""
    path = f"/api/v1/namespaces/{place.namespace}/pods/{place.pod}/exec"
    query = [("container", place.container), ("stdin", "true"), ("stdout", "true"), ("stderr", "true")]
    query += [("command", word) for word in command]
    async with api.open_socket(path, query, protocol="v4.channel.k8s.io") as socket:
        yield ExecStream(socket, place)
