"""A connection inside TLS (RFC 8446), with the interface of any stream; no certificate is verified."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from netprobe.model.outcome import TlsFailed
from netprobe.model.prose import Prose
from netprobe.probes.net import Closed, Stream
from netprobe.probes.observation import Observation

_CHUNK_BYTES = 16 * 1024


class SecureStream:
    """TLS over *stream*; *name* is asked for in the handshake, *protocols* are offered (ALPN, RFC 7301)."""

    def __init__(self, stream: Stream, *, name: str = "", protocols: Sequence[str] = ()) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Old versions and unknown roots are shown as they are: we look, we send no secrets.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if protocols:
            context.set_alpn_protocols(list(protocols))
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name or None)

    async def shake_hands(self) -> Observation | None:
        """Shake hands; anything but None is why it failed."""
        while True:
            is_done, failed = False, None
            try:
                self.tls.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                failed = Observation(
                    TlsFailed(Prose(f"handshake failed: {error.reason or 'protocol error'}"[:200]))
                )
            trouble = await self._flush()
            if failed is not None or is_done:
                return failed
            data = trouble if trouble is not None else await self._stream.receive()
            if isinstance(data, Observation):
                return data
            if isinstance(data, Closed):
                how = "reset" if data.reset else "closed"
                return Observation(TlsFailed(Prose(f"the connection was {how} during the handshake")))
            self._incoming.write(data)

    async def send(self, data: bytes) -> Closed | Observation | None:
        """Send everything; anything but None is why it could not be sent."""
        try:
            self.tls.write(data)
        except ssl.SSLError as error:
            return Observation(TlsFailed(Prose(f"TLS broke: {error.reason or 'protocol error'}"[:200])))
        return await self._flush()

    async def receive(self) -> bytes | Closed | Observation:
        """The next bytes; `Closed` at the end, with or without a close_notify; `Observation` on trouble."""
        while True:
            try:
                return self.tls.read(_CHUNK_BYTES) or Closed()
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return Closed()
            except ssl.SSLError as error:
                return Observation(TlsFailed(Prose(f"TLS broke: {error.reason or 'protocol error'}"[:200])))
            trouble = await self._flush()
            data = trouble if trouble is not None else await self._stream.receive()
            if isinstance(data, Observation | Closed):
                return data
            self._incoming.write(data)

    async def wait_acknowledged(self) -> Closed | Observation | None:
        """Wait until all that was sent is acknowledged, as the connection below does."""
        return await self._stream.wait_acknowledged()

    def close(self) -> None:
        """Close; never fails."""
        self._stream.close()

    async def _flush(self) -> Closed | Observation | None:
        told = self._outgoing.read()
        return await self._stream.send(told) if told else None
