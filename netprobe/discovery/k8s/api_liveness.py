"""Whether declared API servers answer this machine: ``/livez`` and ``/readyz`` by TLS, without credentials.

Rules. A server proves itself by the declared authority and name. 200, 401 and 403 all say that it is there: a
stranger may have no rights. No redirect is followed, no proxy and no cookie is used, no body is read. Each
address is asked once, however many entries declare it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import aiohttp

from netprobe.discovery.k8s.client import failure_reason
from netprobe.model.declared_cluster import ApiAddress, ApiOutcome, ApiReading

LIVE, READY = "/livez", "/readyz"
_THERE = frozenset({200, 401, 403})
_TOGETHER = 32
_FAREWELL_S = 0.1


async def probe_addresses(
    addresses: Iterable[ApiAddress], *, timeout_s: float
) -> dict[ApiAddress, ApiReading]:
    """Ask every address, at most *timeout_s* for each."""
    gate = asyncio.Semaphore(_TOGETHER)
    wanted = tuple(dict.fromkeys(addresses))

    async def probe(address: ApiAddress) -> ApiReading:
        async with gate:
            return await probe_address(address, timeout_s=timeout_s)

    readings = await asyncio.gather(*map(probe, wanted))
    # aiohttp leaves the end of TLS connections to the loop, which may not end before them.
    await asyncio.sleep(_FAREWELL_S)
    return dict(zip(wanted, readings, strict=True))


async def probe_address(address: ApiAddress, *, timeout_s: float) -> ApiReading:
    """Ask one API server; every outcome is a reading, and none an error."""
    if address.problem:
        return ApiReading(ApiOutcome.NOT_ASKED, detail=address.problem)
    try:
        context = _trust(address)
    except (ssl.SSLError, ValueError):
        return ApiReading(ApiOutcome.NOT_ASKED, detail="its CA is not a certificate")
    try:
        async with asyncio.timeout(timeout_s), _open_session(context) as session:
            live = await _ask(session, address, LIVE)
            ready = await _ask(session, address, READY) if live in _THERE else None
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        return _failure(error)
    return _judge(live, ready)


def _trust(address: ApiAddress) -> ssl.SSLContext:
    """A client that believes the declared authorities only; any of them, as API clients in Go take them."""
    if address.is_unverified:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif address.authorities:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=b"".join(address.authorities))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    else:
        context = ssl.create_default_context()
    return context


@asynccontextmanager
async def _open_session(context: ssl.SSLContext) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=1),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    ) as session:
        yield session


async def _ask(session: aiohttp.ClientSession, address: ApiAddress, path: str) -> int:
    """The status of one answer."""
    name = address.tls_name or None
    async with session.get(address.server + path, allow_redirects=False, server_hostname=name) as response:
        return response.status


def _judge(live: int, ready: int | None) -> ApiReading:
    worst = max(live, ready or 0)
    if worst >= 500:
        path = LIVE if live >= 500 else READY
        return ApiReading(ApiOutcome.UNHEALTHY, live, ready, f"{path} gives {worst}")
    if live in _THERE:
        return ApiReading(ApiOutcome.ANSWERS, live, ready)
    return ApiReading(ApiOutcome.FOREIGN, live, ready, f"{LIVE} gives {live}")


def _failure(error: BaseException) -> ApiReading:
    match error:
        case TimeoutError():
            return ApiReading(ApiOutcome.SILENT, detail="no answer in time")
        case aiohttp.ClientConnectorCertificateError():
            return ApiReading(ApiOutcome.UNTRUSTED, detail=failure_reason(error))
        case aiohttp.ClientConnectorDNSError():
            return ApiReading(ApiOutcome.NO_NAME, detail="its name has no address here")
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return ApiReading(ApiOutcome.FOREIGN, detail="it speaks another protocol, or another TLS")
        case aiohttp.ClientOSError() | ConnectionError():
            is_closed = isinstance(error.__cause__ or error, ConnectionError) or isinstance(
                getattr(error, "os_error", None), ConnectionError
            )
            outcome = ApiOutcome.CLOSED if is_closed else ApiOutcome.SILENT
            return ApiReading(outcome, detail=failure_reason(error))
    return ApiReading(ApiOutcome.FOREIGN, detail="what it answers is not HTTP")
