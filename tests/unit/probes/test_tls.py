"""TLS against real servers in memory: what the server shows is reported, and need not be trusted."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.outcome import Reached, TimedOut, TlsFailed
from netprobe.probes import tls
from netprobe.probes.net import Closed, Resolvers
from netprobe.probes.observation import Observation
from tests.facts import texts
from tests.unit.probes.questions import make_check

T = TypeVar("T")
NAME = "echo.example.org"
NOW_NS = 1_800_000_000_000_000_000
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@dataclass
class TlsServer:
    """A TLS server without sockets; without a context it says its lines."""

    context: ssl.SSLContext | None = None
    lines: list[bytes | Closed | Observation] = field(default_factory=list)
    wall: int = NOW_NS
    now: int = 5
    is_closed: bool = False

    def __post_init__(self) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self.context.wrap_bio(self._in, self._out, server_side=True) if self.context else None

    def now_ns(self) -> int:
        self.now += 10
        return self.now

    def wall_ns(self) -> int:
        return self.wall

    def resolvers(self) -> Resolvers:
        return Resolvers()

    async def connect(self, check: Check, *, port: int) -> TlsServer | Observation:
        return self

    async def exchange(
        self, check: Check, *, port: int, request: bytes, accept: Callable[[bytes], T | None]
    ) -> T | Observation:
        raise AssertionError("tls asks no datagrams")

    async def send(self, data: bytes) -> Closed | Observation | None:
        if self._tls is not None:
            self._in.write(data)
            with suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
        return None

    async def receive(self) -> bytes | Closed | Observation:
        if self._tls is not None:
            return self._out.read() or Closed()
        return self.lines.pop(0) if self.lines else Observation(TimedOut(500))

    async def wait_acknowledged(self) -> Closed | Observation | None:
        return None

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder: Path = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", folder / "key", "-out", folder / "cert", "-days", "3650", "-subj", "/CN=echo",
         "-addext", f"subjectAltName=DNS:{NAME},DNS:*.wild.example.org,IP:10.0.0.2"],
        check=True, capture_output=True,
    )  # fmt: skip
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / "cert", folder / "key")
    return made


async def ask(server: TlsServer, name: str = NAME) -> Observation:
    check = make_check(Probe("tls", port=443, name=name), kind=TargetKind.OUTSIDE)
    seen = await tls.ask(check, server)
    assert server.is_closed
    return seen


@needs_openssl
@pytest.mark.parametrize("name", [NAME, "a.wild.example.org", "10.0.0.2", ""])
async def test_a_certificate_nobody_knows_is_observed_and_told(context: ssl.SSLContext, name: str) -> None:
    seen = await ask(TlsServer(context), name)
    facts = texts(seen.facts)
    assert isinstance(seen.outcome, Reached), seen
    assert str(facts["version"]).startswith("TLSv1.3")
    assert (facts["subject"], facts["chain"]) == ("echo", "echo < echo")
    assert facts["names"] == f"{NAME}, *.wild.example.org, 10.0.0.2"
    assert len(facts["top of chain"]) == len("sha256 ") + 64
    assert [phase for phase, _ in seen.phases_ns] == ["connect", "tls"]


@needs_openssl
@pytest.mark.parametrize(
    ("name", "wall_ns", "said"),
    [
        pytest.param("other.example.org", NOW_NS, f"the certificate is for {NAME}, ", id="another's"),
        pytest.param("a.b.wild.example.org", NOW_NS, "the certificate is for ", id="one label only"),
        pytest.param(NAME, 4_000_000_000_000_000_000, "the certificate expired ", id="expired"),
        pytest.param(NAME, 1, "the certificate is not valid yet", id="not yet"),
    ],
)
async def test_a_certificate_that_does_not_fit_is_a_tls_failure(
    context: ssl.SSLContext, name: str, wall_ns: int, said: str
) -> None:
    seen = await ask(TlsServer(context, wall=wall_ns), name)
    assert isinstance(seen.outcome, TlsFailed)
    assert str(seen.outcome.reason).startswith(said)
    assert texts(seen.facts)["subject"] == "echo", "it is told all the same"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "handshake failed: ", id="no TLS at all"),
        pytest.param(Closed(), "the connection was closed during the handshake", id="closed"),
        pytest.param(Closed(reset=True), "the connection was reset during the handshake", id="reset"),
    ],
)
async def test_a_handshake_that_breaks_says_how(line: bytes | Closed, said: str) -> None:
    outcome = (await ask(TlsServer(lines=[line]))).outcome
    assert isinstance(outcome, TlsFailed)
    assert str(outcome.reason).startswith(said)


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4))
async def test_whatever_a_peer_says_is_an_outcome(lines: list[bytes]) -> None:
    outcome = (await ask(TlsServer(lines=list(lines)))).outcome
    assert isinstance(outcome, TlsFailed | TimedOut)
