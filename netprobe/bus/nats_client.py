"""NATS's own client, with the five things we need of it that it does not offer.

Rule: nothing private of the library is used outside this module.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import nats.errors
from nats.aio.client import PONG_PROTO, Client
from nats.aio.transport import TcpTransport

from netprobe.bus.nkey import KeyPair


class NatsClient(Client):
    """The library's client."""

    def __init__(self, *, expects_tls: bool = False) -> None:
        super().__init__()
        self._expects_tls = expects_tls
        self.offers_plain_text = False
        """Whether the greeting offered no TLS where we expect it."""
        self._login_answer: asyncio.Future[bool] | None = None

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Refuse a greeting without TLS: the library would send the login in plain text, whatever the URL.

        With ``wss`` the greeting comes through TLS and need not say so.
        """
        is_inside_tls = self._current_server is not None and self._current_server.uri.scheme == "wss"
        if initial_connection and self._expects_tls and not (is_inside_tls or info.get("tls_required")):
            self.offers_plain_text = True
            raise nats.errors.Error("no TLS")
        await super()._process_info(info, initial_connection)

    async def _process_connect_init(self) -> None:
        """Wait until the server has answered our login.

        A server that takes more than two seconds to decide sends a PING in between. The library takes any
        line but ``-ERR`` for consent, and then never sends what is published.
        """
        await super()._process_connect_init()
        if not self.is_connecting:
            return
        self._status = Client.CONNECTED  # or the library's tasks, which have not run yet, would end at once
        answer = self._login_answer = asyncio.get_running_loop().create_future()
        self._pongs.append(answer)
        assert self._transport is not None  # the library has just read from it
        self._transport.write(PONG_PROTO)
        await answer

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """End the wait for the answer to our login, too."""
        if self._login_answer is not None and not self._login_answer.done():
            self._login_answer.set_exception(self._err or nats.errors.ConnectionClosedError())
        await super()._close(status, do_cbs)

    @property
    def wants_certificate(self) -> bool:
        """Whether the server's greeting asks for a certificate of ours (mutual TLS)."""
        return bool(self._server_info.get("tls_verify"))

    def _setup_nkeys_seed_connect(self) -> None:
        """Sign the server's nonce; the library would import ``nkeys`` for it."""
        pair = KeyPair((self._nkeys_seed_str or "").strip())
        self._public_nkey = pair.public
        self._signature_cb = lambda nonce: base64.b64encode(pair.sign(nonce.encode()))

    @property
    def holds_socket(self) -> bool:
        """Whether a TCP connection is still open."""
        return self._open_writer is not None

    def drop(self) -> None:
        """Close the socket at once: the library's ``close`` leaves it open when it is cut in between."""
        if self._open_writer is not None:
            self._open_writer.close()

    @property
    def _open_writer(self) -> asyncio.StreamWriter | None:
        tcp = self._transport
        writer = tcp._io_writer if isinstance(tcp, TcpTransport) else None
        return writer if writer is not None and not writer.is_closing() else None

    async def abandon(self) -> None:
        """Close a connection that was never established.

        A failed TLS handshake has closed the socket, but the library's ``close`` would wait for the stream
        that was there before, and asyncio no longer informs that one: the wait ends by a time-out.
        """
        tcp = self._transport
        if isinstance(tcp, TcpTransport) and tcp._io_writer is not None and not self.holds_socket:
            return
        await self.close()
