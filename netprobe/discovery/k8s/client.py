"""One cluster's API: JSON in, our structs out; every refusal is one clear line.

Rules: the client library signs and sends, msgspec reads only the fields that are used, so a page of large
objects costs little and unknown fields are ignored. Each request has a time-out. Credentials that an exec
plug-in or a token file gave are renewed once when the server no longer takes them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import aiohttp
import msgspec

from netprobe.discovery.k8s.kubeconfig import Context, open_client
from netprobe.discovery.k8s.schema import ApiStatus, ListOf
from netprobe.errors import RemoteFormatError, SystemRefusedError

if TYPE_CHECKING:
    from kubernetes.aio.client import ApiClient

logger = logging.getLogger(__name__)
T = TypeVar("T")
PAGE = 500
"""Objects per page of a list: what kubectl asks for."""
REQUEST_S = 15.0
"""How long one request may take until its body is read."""
_CONNECT_S = 5.0
_FAREWELL_S = 0.1
_CONTENT = {"PATCH": "application/apply-patch+yaml"}


class ApiError(SystemRefusedError):
    """The API of a cluster cannot be reached, or answered something else than was asked for."""


class ApiRefusedError(ApiError):
    """The server answered with an error; *code* is its HTTP status."""

    def __init__(self, what: str, *, code: int) -> None:
        self.code = code
        super().__init__(what)


class ClusterApi:
    """The API behind one context."""

    def __init__(self, context: Context, client: ApiClient) -> None:
        self.context = context
        self._client = client
        self._credentials = _read_credentials(client)
        self.calls = 0
        """Requests sent so far."""

    @property
    def server(self) -> str:
        """Where the API server is."""
        return str(self._client.configuration.host)

    def read_authority(self) -> bytes:
        """Who signed the API server's certificate, as PEM; nothing where the system's authorities do."""
        file = self._client.configuration.ssl_ca_cert
        return Path(file).read_bytes() if file else b""

    async def get(self, path: str, kind: type[T], query: Mapping[str, str | int] | None = None) -> T:
        """Read one object, or one page of a list."""
        async with self._ask(path, query or {}, total_s=REQUEST_S) as response:
            body = await response.read()
        return self.decode(body, kind, path)

    async def list(
        self, path: str, kind: type[T], selector: str = "", *, name: str = ""
    ) -> tuple[tuple[T, ...], str]:
        """Read a list page by page: its objects, and the resource version to watch from.

        *selector* is of labels; with *name* only objects of that name are asked for, in every namespace.
        """
        items: list[T] = []
        version = ""
        async for page, version in self.pages(path, kind, selector, name=name):  # noqa: B007 - the last counts
            items += page
        return tuple(items), version

    async def pages(
        self, path: str, kind: type[T], selector: str = "", *, name: str = "", size: int = PAGE
    ) -> AsyncIterator[tuple[tuple[T, ...], str]]:
        """Read a list as `list` does, for who does not keep it whole: each page, with the version so far."""
        query: dict[str, str | int] = {"limit": size}
        query |= {"labelSelector": selector} if selector else {}
        query |= {"fieldSelector": f"metadata.name={name}"} if name else {}
        while True:
            page = await self.get(path, ListOf[kind], query)  # type: ignore[valid-type]
            yield page.items, page.metadata.resource_version
            if not page.metadata.next_page:
                return
            query["continue"] = page.metadata.next_page

    async def stream(
        self, path: str, query: Mapping[str, str | int], *, silent_s: float
    ) -> AsyncGenerator[bytes, None]:
        """Yield the lines of a watch until the server ends it; *silent_s* of silence are an error.

        The first line is empty and says that the server took the watch, which may then be quiet for long.
        """
        async with self._ask(path, query, total_s=None, silent_s=silent_s) as response:
            yield b""
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line

    async def create(self, path: str, document: Mapping[str, object], kind: type[T]) -> T:
        """Make an object in the collection *path*; return it as the server keeps it."""
        async with self._ask(path, {}, method="POST", body=document, total_s=REQUEST_S) as response:
            return self.decode(await response.read(), kind, path)

    async def apply(self, path: str, document: Mapping[str, object], kind: type[T]) -> T:
        """Make the object *path* as *document* says, and own these fields (server-side apply)."""
        query: dict[str, str | int] = {"fieldManager": "netprobe", "force": "true"}
        async with self._ask(path, query, method="PATCH", body=document, total_s=REQUEST_S) as response:
            return self.decode(await response.read(), kind, path)

    async def merge(self, path: str, document: Mapping[str, object], kind: type[T]) -> T:
        """Change only those fields of the object *path* that *document* names (RFC 7386)."""
        content = "application/merge-patch+json"
        async with self._ask(
            path, {}, method="PATCH", body=document, content=content, total_s=REQUEST_S
        ) as response:
            return self.decode(await response.read(), kind, path)

    async def delete(self, path: str) -> None:
        """Delete the object *path*; it may be gone already."""
        try:
            async with self._ask(path, {}, method="DELETE", total_s=REQUEST_S) as response:
                await response.read()
        except ApiRefusedError as error:
            if error.code != 404:
                raise

    @asynccontextmanager
    async def open_socket(
        self, path: str, query: Sequence[tuple[str, str]], *, protocol: str
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket to *path*, closed afterwards."""
        self.calls += 1
        _, url, headers, _, _ = await self._client.param_serialize(
            "GET", path, query_params=list(query), auth_settings=["BearerToken"]
        )
        rest = self._client.rest_client
        rest.pool_manager = rest.pool_manager or rest._create_pool_manager()
        headers["Sec-WebSocket-Protocol"] = protocol
        configuration = self._client.configuration
        try:
            socket = await rest.pool_manager.ws_connect(
                url, headers=headers, proxy=configuration.proxy, max_msg_size=0,
                server_hostname=configuration.tls_server_name,
            )  # fmt: skip
        except aiohttp.WSServerHandshakeError as error:
            raise self._refusal(error.status, b"", path) from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            told = f"{configuration.host} cannot be reached: {failure_reason(error)}"
            raise ApiError(f"{self.context}: {told}") from error
        try:
            yield socket
        finally:
            await socket.close()

    def decode(self, body: bytes, kind: type[T], path: str) -> T:
        """Read *body* as *kind*; what does not fit is a :class:`RemoteFormatError` naming the field."""
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RemoteFormatError(f"{self.context}: {path}: {error}") from error

    @asynccontextmanager
    async def _ask(
        self,
        path: str,
        query: Mapping[str, str | int],
        *,
        total_s: float | None,
        silent_s: float | None = None,
        method: str = "GET",
        body: Mapping[str, object] | None = None,
        content: str = "",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        limits = aiohttp.ClientTimeout(total=total_s, sock_connect=_CONNECT_S, sock_read=silent_s)
        try:
            response = await self._send(method, path, query, body, limits, content)
            if response.status == 401 and await self._renew():
                response.release()
                response = await self._send(method, path, query, body, limits, content)
            try:
                if response.status >= 400:
                    raise self._refusal(response.status, await response.read(), path)
                yield response
            finally:
                response.close() if total_s is None else response.release()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            server = self._client.configuration.host
            raise ApiError(f"{self.context}: {server} cannot be reached: {failure_reason(error)}") from error

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        body: Mapping[str, object] | None,
        limits: aiohttp.ClientTimeout,
        content: str = "",
    ) -> aiohttp.ClientResponse:
        self.calls += 1
        content = content or _CONTENT.get(method, "application/json")
        given = {"Accept": "application/json, */*", "Content-Type": content}
        method, url, headers, sent, _ = await self._client.param_serialize(
            method, path, query_params=list(query.items()), auth_settings=["BearerToken"],
            header_params=given, body=body,
        )  # fmt: skip
        answer = await self._client.call_api(method, url, headers, sent, _request_timeout=limits)
        response: aiohttp.ClientResponse = answer.response
        logger.debug("%s: %s %s: %d", self.context, method, path, response.status)
        return response

    async def _renew(self) -> bool:
        """Ask for fresh credentials; False where they would be the same ones."""
        fresh = await open_client(self.context)
        credentials = _read_credentials(fresh)
        if credentials == self._credentials:
            await fresh.close()
            return False
        self._credentials = credentials
        logger.info("%s: the credentials were renewed", self.context)
        stale, self._client = self._client, fresh
        await stale.close()
        return True

    def _refusal(self, code: int, body: bytes, path: str) -> ApiRefusedError:
        try:
            said = msgspec.json.decode(body, type=ApiStatus).message
        except (msgspec.DecodeError, UnicodeDecodeError):
            said = ""
        what = {
            401: "the server does not accept the credentials (expired or revoked?): sign in again",
            403: f"not allowed: {said or path}",
            404: f"there is no {path}",
        }.get(code, f"{path}: the server answers {code}: {said}")
        return ApiRefusedError(f"{self.context}: {what}", code=code)


def _read_credentials(client: ApiClient) -> tuple[object, ...]:
    """What a client shows of itself: token, certificate and key; an exec plug-in may give any of them."""
    configuration = client.configuration
    files = (configuration.cert_file, configuration.key_file)
    contents = (Path(file).read_bytes() if file and Path(file).is_file() else b"" for file in files)
    return configuration.api_key.get("BearerToken"), *contents


@asynccontextmanager
async def open_api(context: Context) -> AsyncIterator[ClusterApi]:
    """The API behind *context*, closed afterwards; nothing is sent until something is asked."""
    api = ClusterApi(context, await open_client(context))
    try:
        yield api
    finally:
        await api._client.close()
        # aiohttp leaves the end of TLS connections to the loop, which may not end before them.
        await asyncio.sleep(_FAREWELL_S)


def failure_reason(error: BaseException) -> str:
    """Why a server cannot be reached, in a few words."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            certificate = error.certificate_error
            told = getattr(certificate, "verify_message", "") or str(certificate)
            return f"its certificate is not trusted: {told}"
        case aiohttp.ClientConnectorError():
            return os.strerror(error.os_error.errno) if error.os_error.errno else str(error.os_error)
        case asyncio.TimeoutError():
            return "no answer in time"
        case ssl.SSLError():
            return f"TLS: {error.reason}"
    return str(error) or type(error).__name__
