"""An API server whose only art is pod exec: pods are hosts of a network, and what is run there is real."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import WSMsgType, web

from netprobe.discovery.k8s.client import ClusterApi, open_api
from netprobe.discovery.k8s.kubeconfig import read_contexts
from tests.lab.namespaces import Host
from tests.unit.discovery.api_server import write_kubeconfig

_CHANNELS = "v4.channel.k8s.io"


@asynccontextmanager
async def serve_pods(
    pods: Mapping[str, Host], *, folder: Path, within: tuple[str, ...] = ()
) -> AsyncIterator[ClusterApi]:
    """The API behind which *pods* are, by name; it ends when every program has.

    *within* is a command that programs run under.
    """
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/{namespace}/pods/{pod}/exec", _Exec(pods, within).answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=60)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server = f"http://127.0.0.1:{runner.addresses[0][1]}"
        (context,) = read_contexts([write_kubeconfig(folder / "kubeconfig", server)]).choose(("x",))
        async with open_api(context) as api:
            yield api
    finally:
        await runner.cleanup()


class _Exec:
    def __init__(self, pods: Mapping[str, Host], within: tuple[str, ...]) -> None:
        self._pods, self._within = pods, within

    async def answer(self, request: web.Request) -> web.StreamResponse:
        host = self._pods.get(request.match_info["pod"])
        if host is None:
            return web.json_response({"message": "no such pod"}, status=404)
        socket = web.WebSocketResponse(protocols=(_CHANNELS,))
        await socket.prepare(request)
        words = [*self._within, sys.executable, *request.query.getall("command")[1:]]
        process = await asyncio.create_subprocess_exec(
            *host.command(*words), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        telling = asyncio.gather(_tell(socket, 1, process.stdout), _tell(socket, 2, process.stderr))
        ending = asyncio.ensure_future(self._end(socket, process, telling))
        assert process.stdin is not None
        async for message in socket:
            if message.type is WSMsgType.BINARY and message.data[:1] == b"\0":
                process.stdin.write(message.data[1:])
        process.stdin.close()
        await ending
        return socket

    @staticmethod
    async def _end(
        socket: web.WebSocketResponse,
        process: asyncio.subprocess.Process,
        telling: asyncio.Future[tuple[None, None]],
    ) -> None:
        await telling
        code = await process.wait()
        if not socket.closed:
            status = {"status": "Failure" if code else "Success", "message": f"exit code {code}"}
            await socket.send_bytes(b"\3" + json.dumps(status).encode())
            await socket.close()


async def _tell(socket: web.WebSocketResponse, channel: int, pipe: asyncio.StreamReader | None) -> None:
    assert pipe is not None
    while data := await pipe.read(65_536):
        if not socket.closed:
            await socket.send_bytes(bytes([channel]) + data)
