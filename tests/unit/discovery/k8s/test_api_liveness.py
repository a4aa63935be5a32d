"""Declared API servers, asked on this machine: each way of answering and of not answering."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from netprobe.discovery.cluster_sources.api_addresses import read_address
from netprobe.discovery.k8s.api_liveness import probe_address, probe_addresses
from netprobe.model.declared_cluster import ApiAddress, ApiOutcome
from tests.unit.authority import Authority

NAME = "api.example"
PATIENCE_S = 60.0


@dataclass(slots=True)
class MadeApi:
    """A server that answers as it is made to, and remembers what it was asked."""

    live: int = 200
    ready: int = 200
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.headers.append(dict(request.headers))
        status = self.live if request.path == "/livez" else self.ready
        return web.Response(status=status, headers={"Location": "https://elsewhere.example/"}, text="ok")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def serving(
    api: MadeApi, authority: Authority, *, host: str = NAME, lasts: timedelta = timedelta(hours=1)
) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.sign(f"{host}-{lasts.total_seconds():.0f}", host=host, lasts=lasts))
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", api.answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def address_of(url: str, authority: Authority, *, tls_name: str = NAME) -> ApiAddress:
    """As declared, but asked although its address leads back to this machine."""
    certificates = read_address(url, authority=authority.file.read_text()).authorities
    assert certificates
    return ApiAddress(url, certificates, tls_name)


@pytest.mark.parametrize(
    ("live", "ready", "outcome", "detail"),
    [
        (200, 200, ApiOutcome.ANSWERS, ""),
        (401, 401, ApiOutcome.ANSWERS, ""),
        (403, 403, ApiOutcome.ANSWERS, ""),
        (200, 500, ApiOutcome.UNHEALTHY, "/readyz gives 500"),
        (503, 200, ApiOutcome.UNHEALTHY, "/livez gives 503"),
        (404, 200, ApiOutcome.FOREIGN, "/livez gives 404"),
        (302, 200, ApiOutcome.FOREIGN, "/livez gives 302"),
    ],
)
async def test_the_status_decides(
    live: int, ready: int, outcome: ApiOutcome, detail: str, authority: Authority
) -> None:
    api = MadeApi(live, ready)
    async with serving(api, authority) as url:
        found = await probe_address(address_of(url, authority), timeout_s=PATIENCE_S)
    assert (found.outcome, found.live, found.detail) == (outcome, live, detail)
    assert set(api.paths) <= {"/livez", "/readyz"}


async def test_nothing_that_identifies_a_person_is_sent(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    api = MadeApi()
    async with serving(api, authority) as url:
        found = await probe_address(address_of(url, authority), timeout_s=PATIENCE_S)
    assert found.outcome is ApiOutcome.ANSWERS
    for headers in api.headers:
        assert {"authorization", "cookie", "proxy-authorization"}.isdisjoint(map(str.lower, headers))


async def test_a_certificate_of_another_authority_is_not_trusted(
    authority: Authority, tmp_path: Path
) -> None:
    async with serving(MadeApi(), authority) as url:
        found = await probe_address(address_of(url, Authority(tmp_path, "other")), timeout_s=PATIENCE_S)
    assert found.outcome is ApiOutcome.UNTRUSTED
    assert "certificate" in found.detail


async def test_a_certificate_for_another_name_is_not_trusted(authority: Authority) -> None:
    async with serving(MadeApi(), authority, host="another.example") as url:
        found = await probe_address(address_of(url, authority), timeout_s=PATIENCE_S)
    assert found.outcome is ApiOutcome.UNTRUSTED


async def test_an_expired_certificate_is_not_trusted(authority: Authority) -> None:
    async with serving(MadeApi(), authority, lasts=timedelta(hours=-1)) as url:
        found = await probe_address(address_of(url, authority), timeout_s=PATIENCE_S)
    assert (found.outcome, "expired" in found.detail) == (ApiOutcome.UNTRUSTED, True)


async def test_an_entry_that_takes_any_certificate_is_asked_so(authority: Authority) -> None:
    async with serving(MadeApi(), authority) as url:
        found = await probe_address(ApiAddress(url, is_unverified=True), timeout_s=PATIENCE_S)
    assert found.outcome is ApiOutcome.ANSWERS


async def test_a_closed_port_refuses(authority: Authority) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{bound.getsockname()[1]}"
        found = await probe_address(address_of(url, authority), timeout_s=PATIENCE_S)
    assert (found.outcome, found.detail) == (ApiOutcome.CLOSED, "Connection refused")


async def test_a_server_that_says_nothing_is_silent(authority: Authority) -> None:
    hung_up = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found = await probe_address(address_of(url, authority), timeout_s=0.3)
        await hung_up.wait()
    assert (found.outcome, found.live) == (ApiOutcome.SILENT, None)


async def test_what_speaks_something_else_is_not_an_api_server(authority: Authority) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found = await probe_address(address_of(url, authority), timeout_s=PATIENCE_S)
    assert found.outcome is ApiOutcome.FOREIGN


async def test_a_bundle_that_is_not_a_certificate_is_not_taken_for_none() -> None:
    found = await probe_address(ApiAddress("https://127.0.0.1:1", (b"nonsense",)), timeout_s=PATIENCE_S)
    assert (found.outcome, found.detail) == (ApiOutcome.NOT_ASKED, "its CA is not a certificate")


async def test_an_address_with_a_problem_is_not_asked(authority: Authority) -> None:
    api = MadeApi()
    async with serving(api, authority) as url:
        declared = read_address(url, authority=authority.file.read_text())
        found = await probe_address(declared, timeout_s=PATIENCE_S)
    assert (found.outcome, found.detail) == (ApiOutcome.NOT_ASKED, declared.problem)
    assert api.paths == []


async def test_an_address_that_many_declare_is_asked_once(authority: Authority) -> None:
    api = MadeApi()
    async with serving(api, authority) as url:
        address = address_of(url, authority)
        found = await probe_addresses([address, address, address], timeout_s=PATIENCE_S)
    assert [answer.outcome for answer in found.values()] == [ApiOutcome.ANSWERS]
    assert api.paths == ["/livez", "/readyz"]
