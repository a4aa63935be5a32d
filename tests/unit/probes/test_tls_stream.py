"""A stream inside TLS against a real TLS server in memory: bytes go through, every ending is reported."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.outcome import TimedOut, TlsFailed
from netprobe.model.prose import Prose
from netprobe.probes.net import Closed
from netprobe.probes.observation import Observation
from netprobe.probes.tls_stream import SecureStream

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


class EchoPeer:
    """A TLS server without sockets that says again what it hears, and ends on an empty line."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._is_shaken = False

    async def send(self, data: bytes) -> Closed | Observation | None:
        self._in.write(data)
        with suppress(ssl.SSLWantReadError):
            if not self._is_shaken:
                self._tls.do_handshake()
                self._is_shaken = True
            heard = self._tls.read(100_000)
            if heard == b"\n":
                with suppress(ssl.SSLWantReadError):
                    self._tls.unwrap()
            else:
                self._tls.write(heard)
        return None

    async def receive(self) -> bytes | Closed | Observation:
        return self._out.read() or Closed()

    async def wait_acknowledged(self) -> Closed | Observation | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


class Lines:
    """A peer that says its lines whatever it hears."""

    def __init__(self, *lines: bytes | Closed | Observation) -> None:
        self._lines = list(lines)

    async def send(self, data: bytes) -> Closed | Observation | None:
        return None

    async def receive(self) -> bytes | Closed | Observation:
        return self._lines.pop(0) if self._lines else Closed()

    async def wait_acknowledged(self) -> Closed | Observation | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder: Path = tmp_path_factory.mktemp("secure")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", folder / "key", "-out", folder / "cert", "-days", "3650", "-subj", "/CN=echo"],
        check=True, capture_output=True,
    )  # fmt: skip
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / "cert", folder / "key")
    made.set_alpn_protocols(["h2"])
    return made


@needs_openssl
async def test_bytes_go_through_and_the_end_is_told(context: ssl.SSLContext) -> None:
    stream = SecureStream(EchoPeer(context), name="echo", protocols=("h2", "http/1.1"))
    assert await stream.shake_hands() is None
    assert stream.tls.selected_alpn_protocol() == "h2"
    assert await stream.send(b"who are you?") is None
    assert await stream.receive() == b"who are you?"
    await stream.send(b"\n")
    assert await stream.receive() == Closed()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (Closed(), TlsFailed(Prose("the connection was closed during the handshake"))),
        (Closed(reset=True), TlsFailed(Prose("the connection was reset during the handshake"))),
        (Observation(TimedOut(500)), TimedOut(500)),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", TlsFailed),
    ],
)
async def test_a_handshake_that_fails_says_why(line: bytes | Closed | Observation, said: object) -> None:
    failed = await SecureStream(Lines(line)).shake_hands()
    assert failed is not None
    assert (type(failed.outcome) if isinstance(said, type) else failed.outcome) == said


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=4))
def test_whatever_a_peer_says_in_a_handshake_is_an_outcome(lines: list[bytes]) -> None:
    failed = asyncio.run(SecureStream(Lines(*lines)).shake_hands())
    assert failed is not None
    assert isinstance(failed.outcome, TlsFailed)
