"""One connection to NATS, as the rest of this room uses it.

Rules: every wait has an end; a lost connection ends every wait at once with :class:`BusAwayError`; what the
library raises is translated here. A connection never reconnects by itself: its owner opens a
new one, because only the owner knows what to subscribe to and what to ask again.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import nats
import nats.errors
from nats.aio.msg import Msg

from netprobe.bus.encryption import ENCRYPTED, expect_url
from netprobe.bus.login import Login, SeedLogin, ServerTrust, TokenLogin
from netprobe.bus.nats_client import NatsClient
from netprobe.errors import BusAwayError, MisuseError, SystemRefusedError
from netprobe.tasks import cancellation_kept

CONNECT_TIMEOUT_S = 5
REQUEST_TIMEOUT_S = 5.0
_PING_INTERVAL_S = 4
_PINGS_UNANSWERED = 2
_PENDING_BYTES = 64 * 1024 * 1024

logger = logging.getLogger(__name__)
logging.getLogger("nats").propagate = False  # it logs whole tracebacks; we say in one line what happened
logging.getLogger("nats").addHandler(logging.NullHandler())


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Whether asyncio's record is more than what the library makes it say whenever TLS ends."""
    return "eof_received() has no effect" not in str(record.msg)


logging.getLogger("asyncio").addFilter(_is_worth_logging)


@dataclass(frozen=True, slots=True)
class Message:
    """What arrived on a subject."""

    subject: str
    data: bytes
    reply: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        """One of *headers*, or None."""
        return dict(self.headers).get(name)


_LIBRARY_ERRORS = (AttributeError, TypeError, ValueError, KeyError, AssertionError)
"""What the library raises where a server's greeting is none."""

Handler = Callable[[Message], Awaitable[None]]


class Connection:
    """An open connection; ends when it is closed or lost, and then stays ended."""

    def __init__(self, client: NatsClient, ended: asyncio.Event, refused: dict[str, str]) -> None:
        self._client = client
        self._ended = ended
        self._refused = refused
        """Verb by subject in lower case: what the server just told us we may not."""
        self._waits: dict[asyncio.Timeout, str] = {}

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return not self._ended.is_set()

    @property
    def holds_socket(self) -> bool:
        """Whether the socket is still open."""
        return self._client.holds_socket

    async def wait_ended(self) -> None:
        """Return when the connection is lost or closed."""
        await self._ended.wait()

    async def request(
        self,
        subject: str,
        data: bytes,
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
        headers: dict[str, str] | None = None,
    ) -> Message:
        """Ask on *subject* and return the reply.

        Raises :class:`BusAwayError` on silence, a lost connection or if there is no responder, and
        :class:`SystemRefusedError` where we may not ask.
        """
        async with self._waiting(subject, timeout_s):
            reply = await self._client.request(subject, data, timeout=timeout_s, headers=headers)
            return _message_of(reply)

    async def publish(
        self, subject: str, data: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Send without waiting for anything but the socket's buffer."""
        async with self._waiting(subject, REQUEST_TIMEOUT_S):
            await self._client.publish(subject, data, reply=reply, headers=headers)

    async def flush(self, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Return when the server has read everything we sent."""
        async with self._waiting("", timeout_s):
            await self._client.flush(timeout=max(1, round(timeout_s)))

    async def subscribe(self, subject: str, handler: Handler, *, pending: int = 65_536) -> None:
        """Call *handler* for each message on *subject*, one after another."""

        async def call(message: Msg) -> None:
            await handler(_message_of(message))

        async with self._waiting(subject, REQUEST_TIMEOUT_S):
            await self._client.subscribe(
                subject, cb=call, pending_msgs_limit=pending, pending_bytes_limit=_PENDING_BYTES
            )

    def new_inbox(self) -> str:
        """A fresh subject that only we may hear."""
        return self._client.new_inbox()

    async def close(self) -> None:
        """End the connection; safe to call twice."""
        await self._close(self._client.close())

    async def abandon(self) -> None:
        """End a connection that was never established."""
        await self._close(self._client.abandon())

    async def _close(self, closing: Awaitable[None]) -> None:
        self._ended.set()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await closing
        except (nats.errors.Error, OSError, TimeoutError) as error:
            logger.debug("closing the connection to the bus: %s", str(error) or type(error).__name__)
        finally:
            self._client.drop()

    def end_waits(self) -> None:
        """End every wait now, because the connection is gone or a subject was refused."""
        now = asyncio.get_running_loop().time()
        for scope, subject in self._waits.items():
            if self._ended.is_set() or subject.lower() in self._refused:
                scope.reschedule(now)

    @asynccontextmanager
    async def _waiting(self, subject: str, timeout_s: float) -> AsyncIterator[None]:
        if self._ended.is_set():
            raise BusAwayError("the bus is away")
        try:
            with cancellation_kept():
                async with asyncio.timeout(timeout_s) as scope:
                    self._waits[scope] = subject
                    try:
                        yield
                    finally:
                        del self._waits[scope]
        except (TimeoutError, nats.errors.Error, OSError) as error:
            if isinstance(error, nats.errors.ConnectionClosedError):
                self._ended.set()  # the library's close may be cut before it tells us
                self.end_waits()
            verb = self._refused.pop(subject.lower(), None)
            if verb is not None:
                raise SystemRefusedError(f"the bus does not let us {verb} to {subject}") from error
            raise _translated(error, subject) from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if self._ended.is_set() and task is not None and not task.cancelling():
                raise BusAwayError("the bus went away") from error  # the library cancelled, not our caller
            raise


async def open_connection(
    url: str, *, login: Login, name: str, trust: ServerTrust | None = None, at: str = "",
    timeout_s: float = CONNECT_TIMEOUT_S,
) -> Connection:  # fmt: skip
    """Connect once to *url* as *login*; *at* is an address (``IP:PORT``) to find it at without its name.

    Whatever answers there has to prove with its certificate that it is *url*, where there are certificates.

    Raises :class:`BusAwayError` if there is no answer, :class:`SystemRefusedError` if the bus does not accept
    the login or its certificate is not trusted, :class:`InputError` where *url* or a file is none, or where
    it would be plain text beyond this machine.
    """
    expect_url(url, at=at)
    ended = asyncio.Event()
    refused: dict[str, str] = {}
    client = NatsClient(expects_tls=urlsplit(url).scheme in ENCRYPTED or trust is not None)
    connection = Connection(client, ended, refused)
    options = _login_options(login) | _tls_options(url, trust) | {"inbox_prefix": login.inbox}
    where = at or f"{urlsplit(url).hostname}:{urlsplit(url).port}"
    logger.debug("%s: connecting to the bus at %s with a %s", name, where, type(login).__name__)

    async def on_error(error: Exception) -> None:
        denied = re.search(r"permissions violation for (\w+) to \"([^\"]+)\"", str(error), re.IGNORECASE)
        if denied is not None:
            refused[denied[2].lower()] = denied[1].lower()  # the library has lowered the subject, too
            connection.end_waits()
        logger.debug("%s: the bus: %s", name, error)

    async def on_end() -> None:
        if not ended.is_set():
            logger.info("%s: the connection to the bus at %s ended", name, where)
        ended.set()
        connection.end_waits()

    try:
        with cancellation_kept():
            async with asyncio.timeout(timeout_s):
                await client.connect(
                    urlsplit(url)._replace(netloc=at).geturl() if at else url,
                    name=name, **options,
                    error_cb=on_error, closed_cb=on_end, disconnected_cb=on_end, allow_reconnect=False,
                    max_reconnect_attempts=1, reconnect_time_wait=1, connect_timeout=CONNECT_TIMEOUT_S,
                    ping_interval=_PING_INTERVAL_S, max_outstanding_pings=_PINGS_UNANSWERED,
                    pending_size=_PENDING_BYTES,
                )  # fmt: skip
    except (
        TimeoutError,
        nats.errors.Error,
        OSError,
    ) as error:  # ahead: a bad certificate is a ValueError, too
        await connection.abandon()
        if client.offers_plain_text:
            raise SystemRefusedError(f"what answers at {url} offers plain text: nothing was sent") from error
        if client.wants_certificate and (trust is None or trust.certificate is None):
            raise SystemRefusedError(f"the bus at {url} wants a certificate of ours (mutual TLS)") from error
        raise _not_connected(url, login, error) from error
    except _LIBRARY_ERRORS as error:
        await connection.abandon()
        raise BusAwayError(f"what answers at {url} does not speak NATS") from error
    except BaseException:
        await connection.abandon()
        raise
    logger.info("%s: connected to the bus at %s", name, where)
    return connection


def _login_options(login: Login) -> dict[str, Any]:
    match login:
        case SeedLogin(seed):
            return {"nkeys_seed_str": seed}
        case TokenLogin():
            return {"token": login.read()}


def _tls_options(url: str, trust: ServerTrust | None) -> dict[str, Any]:
    """TLS where the address or the files ask for it; an address without TLS and no files: none."""
    if trust is None and urlsplit(url).scheme in {"nats", "ws"}:
        return {}
    return {"tls": (trust or ServerTrust()).context(), "tls_hostname": urlsplit(url).hostname}


def _not_connected(url: str, login: Login, error: Exception) -> SystemRefusedError:
    if "authorization" in str(error).lower():
        return SystemRefusedError(f"the bus at {url} does not know our {login.what}")
    complaint = _tls_complaint(error)
    if complaint:
        return SystemRefusedError(f"the bus at {url}: {complaint}")
    return BusAwayError(f"no bus at {url}: {_reason(error)}")


def _tls_complaint(error: Exception) -> str:
    """What is wrong with TLS, in words that say what to do; empty where something else is wrong."""
    match error:
        case ssl.SSLCertVerificationError():
            told = error.verify_message
            if "expired" in told:
                return "its certificate has expired: renew it"
            if "mismatch" in told.lower() or "not valid for" in told.lower():
                return f"its certificate is for another name: {told}"
            return f"its certificate is not trusted: {told}"
        case ssl.SSLError():
            return f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"
    return ""


def _translated(error: Exception, subject: str) -> Exception:
    where = f" ({subject})" if subject else ""
    match error:
        case nats.errors.NoRespondersError():
            return BusAwayError(f"no answer on the bus{where}")
        case nats.errors.MaxPayloadError() | nats.errors.BadSubjectError():
            return MisuseError(f"{_reason(error)}{where}")
        case _:
            return BusAwayError(f"the bus did not answer: {_reason(error)}{where}")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, nats.errors.NoServersError):
        return "nothing listens there"
    return str(error).removeprefix("nats: ") or type(error).__name__


def _message_of(message: Msg) -> Message:
    headers = tuple((message.headers or {}).items())
    return Message(message.subject, message.data or b"", message.reply or "", headers)
