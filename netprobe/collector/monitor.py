"""What machines ask of the collector over HTTP: ``/metrics`` for Prometheus, probes for kubelets.

Rules. Alive is whose event loop answers; ready is who serves the bus. Nothing that is asked changes anything,
and nothing here tells an address, a key or a payload.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import hdrs, web

from netprobe.bus.server import Listen
from netprobe.errors import SystemRefusedError

_END_S = 1.0
"""How long the end waits for answers that are on their way."""


@dataclass(frozen=True, slots=True)
class MonitorSources:
    """Where the answers come from."""

    metrics: Callable[[str], Awaitable[tuple[bytes, str]]]
    """What a client accepts → body and content type."""
    unready: Callable[[], str]
    """Why the collector does not serve; empty where it does."""


@asynccontextmanager
async def open_monitor(listen: Listen | None, told: MonitorSources) -> AsyncIterator[str]:
    """Answer for the time of the block; yield the URL, or nothing where nobody is to be answered.

    Raises :class:`SystemRefusedError` where it cannot listen.
    """
    if listen is None:
        yield ""
        return
    answers = _Answers(told)
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
    told: MonitorSources

    async def health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(self, _: web.Request) -> web.Response:
        why = self.told.unready()
        return web.Response(text=f"{why or 'ok'}\n", status=503 if why else 200)

    async def metrics(self, request: web.Request) -> web.Response:
        body, content_type = await self.told.metrics(request.headers.get(hdrs.ACCEPT, ""))
        response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})
        response.enable_compression()
        return response
