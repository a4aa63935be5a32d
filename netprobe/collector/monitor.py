"""The collector's HTTP endpoints: ``/metrics`` for Prometheus, health and readiness for kubelets.

Rules. Alive: the event loop answers; ready: the bus is served. Requests change nothing, and responses contain
no address, key or payload. Metrics name what is broken, so they are for those who show the token; without a
token, for programs on this machine. Health is for everybody: a kubelet has no token.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web

from netprobe.bus.encryption import is_loopback
from netprobe.bus.server import Listen
from netprobe.errors import SystemRefusedError

_END_S = 1.0
"""How long shutdown waits for responses in progress."""


@dataclass(frozen=True, slots=True)
class MonitorSources:
    """Where the answers come from."""

    metrics: Callable[[str], Awaitable[tuple[bytes, str]]]
    """What a client accepts → body and content type."""
    unready: Callable[[], str]
    """Why the collector is not ready; empty if it is."""


@asynccontextmanager
async def open_monitor(
    listen: Listen | None, sources: MonitorSources, *, token: Path | None = None
) -> AsyncIterator[str]:
    """Serve for the time of the block; yield the URL, empty if *listen* is None.

    *token* is the file with the token for metrics, read at each request: it may be renewed, or come later.
    Raises :class:`SystemRefusedError` if it cannot listen.
    """
    if listen is None:
        yield ""
        return
    answers = _Answers(sources, token)
    app = web.Application()
    app.router.add_get("/metrics", answers.metrics)
    app.router.add_get("/healthz", answers.health)
    app.router.add_get("/readyz", answers.ready)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_END_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, listen.host, listen.port).start()
        except OSError as error:
            raise SystemRefusedError(f"--http {listen}: cannot listen: {error.strerror or error}") from error
        yield f"http://{Listen(listen.host, runner.addresses[0][1])}"
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True)
class _Answers:
    sources: MonitorSources
    token: Path | None

    async def health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(self, _: web.Request) -> web.Response:
        why = self.sources.unready()
        return web.Response(text=f"{why or 'ok'}\n", status=503 if why else 200)

    async def metrics(self, request: web.Request) -> web.Response:
        if not self._may_see_metrics(request):
            how = {hdrs.WWW_AUTHENTICATE: "Bearer"}
            return web.Response(text="metrics need the token of --metrics-token\n", status=401, headers=how)
        body, content_type = await self.sources.metrics(request.headers.get(hdrs.ACCEPT, ""))
        response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})
        response.enable_compression()
        return response

    def _may_see_metrics(self, request: web.Request) -> bool:
        if self.token is None:
            return is_loopback(request.remote or "")
        try:
            wanted = self.token.read_bytes().strip()
        except OSError:
            return False
        kind, _, shown = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        is_known = hmac.compare_digest(shown.strip().encode(errors="replace"), wanted)
        return bool(wanted) and kind.lower() == "bearer" and is_known
