"""The gRPC health check against scripted and in-memory HTTP/2 servers: every answer is told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Check, Probe
from netprobe.model.outcome import AppFailed, OutcomeKind, Reached, TimedOut
from netprobe.model.prose import Prose
from netprobe.probes import grpc
from netprobe.probes.net import Closed, Resolvers
from netprobe.probes.observation import Observation, make_facts
from tests.unit.probes.questions import make_check

T = TypeVar("T")
SILENCE = Observation(TimedOut(500))
SERVING = bytes.fromhex("00 00 00 00 02 08 01")
NOT_SERVING = bytes.fromhex("00 00 00 00 02 08 02")
UNKNOWN = bytes.fromhex("00 00 00 00 00")


@dataclass
class HealthServer:
    """An HTTP/2 server without sockets: a frame and trailers for a request."""

    frame: bytes = SERVING
    status: str = "0"
    message: str = ""
    head: tuple[tuple[str, str], ...] = ((":status", "200"), ("content-type", "application/grpc"))
    lines: list[bytes | Closed | Observation] = field(default_factory=list)
    """What it says instead."""
    asked: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    now: int = 5
    is_closed: bool = False

    def __post_init__(self) -> None:
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._h2.initiate_connection()

    def now_ns(self) -> int:
        self.now += 10
        return self.now

    def wall_ns(self) -> int:
        return self.now

    def resolvers(self) -> Resolvers:
        return Resolvers()

    async def connect(self, check: Check, *, port: int) -> HealthServer | Observation:
        return self

    async def exchange(
        self, check: Check, *, port: int, request: bytes, accept: Callable[[bytes], T | None]
    ) -> T | Observation:
        raise AssertionError("grpc asks no datagrams")

    async def send(self, data: bytes) -> Closed | Observation | None:
        if self.lines:
            return None
        for event in self._h2.receive_data(data):
            if isinstance(event, RequestReceived):
                self.asked = {str(key): str(value) for key, value in event.headers or ()}
                self._answer()
            self.body += getattr(event, "data", b"") or b""
        return None

    def _answer(self) -> None:
        trailers = [("grpc-status", self.status), ("grpc-message", self.message)]
        if self.frame:
            self._h2.send_headers(1, self.head)
            self._h2.send_data(1, self.frame)
            self._h2.send_headers(1, trailers, end_stream=True)
        else:  # only trailers, as servers do for errors
            self._h2.send_headers(1, [*self.head, *trailers], end_stream=True)

    async def receive(self) -> bytes | Closed | Observation:
        return self.lines.pop(0) if self.lines else self._h2.data_to_send() or SILENCE

    async def wait_acknowledged(self) -> Closed | Observation | None:
        return None

    def close(self) -> None:
        self.is_closed = True


def ask(server: HealthServer, **options: str) -> Observation:
    probe = Probe("grpc", port=50_051, options=tuple(options.items()))
    seen = asyncio.run(grpc.ask(make_check(probe), server))
    assert server.is_closed
    return seen


def test_a_serving_server_is_reached_with_its_phases() -> None:
    server = HealthServer()
    assert ask(server, service="orders") == Observation(
        Reached(20), phases_ns=(("connect", 10), ("answer", 10)), facts=make_facts((("health", "SERVING"),))
    )
    assert server.asked[":path"] == "/grpc.health.v1.Health/Check"
    assert server.asked["te"] == "trailers"
    assert server.body == grpc.encode_request("orders")


@pytest.mark.parametrize(
    ("server", "words"),
    [
        pytest.param(HealthServer(NOT_SERVING), "service 'orders' says NOT_SERVING", id="not serving"),
        pytest.param(HealthServer(UNKNOWN), "service 'orders' says UNKNOWN", id="unknown health"),
        pytest.param(
            HealthServer(b"", "5"), "the server knows no service 'orders' (NOT_FOUND)", id="no service"
        ),
        pytest.param(
            HealthServer(b"", "12"),
            "the server speaks gRPC but offers no health checks (UNIMPLEMENTED)",
            id="no health checks",
        ),
        pytest.param(
            HealthServer(b"", "16", "who%20are you"),
            "the health check failed with UNAUTHENTICATED: who are you",
            id="another status",
        ),
        pytest.param(
            HealthServer(b"", "x"), "the health check failed with status x", id="a status that is none"
        ),
        pytest.param(HealthServer(b"", "77"), "the health check failed with status 77", id="a new status"),
        pytest.param(
            HealthServer(b"\x01" + SERVING[1:]),
            "the gRPC message is compressed, though none was asked for",
            id="compressed",
        ),
        pytest.param(HealthServer(SERVING[:-1]), "the gRPC frame is torn", id="torn"),
        pytest.param(
            HealthServer(head=((":status", "404"), ("content-type", "text/html"))),
            "no gRPC: HTTP status 404, text/html",
            id="a web server",
        ),
        pytest.param(
            HealthServer(lines=[Closed(reset=True)]), "the connection was reset before the answer", id="reset"
        ),
        pytest.param(
            HealthServer(lines=[Closed()]), "the connection was closed before the answer", id="closed"
        ),
    ],
)
def test_everything_else_is_told_apart(server: HealthServer, words: str) -> None:
    assert ask(server, service="orders").outcome == AppFailed(Prose(words))


def test_a_server_that_speaks_no_http2_and_one_that_says_nothing() -> None:
    spoken = ask(HealthServer(lines=[b"HTTP/1.1 400 Bad Request\r\n\r\n"])).outcome
    assert spoken == AppFailed(Prose("not HTTP/2: it answers in HTTP/1"))
    assert ask(HealthServer(lines=[SILENCE])).outcome == SILENCE.outcome


@given(st.lists(st.binary(min_size=1), max_size=5))
def test_whatever_a_peer_says_is_an_outcome(lines: list[bytes]) -> None:
    seen = ask(HealthServer(lines=[*lines, Closed()]))
    assert seen.outcome.kind is OutcomeKind.APP_FAILED


@given(st.binary(max_size=40))
def test_a_garbled_reply_is_refused_not_believed(data: bytes) -> None:
    frame = b"\x00" + len(data).to_bytes(4, "big") + data
    try:
        health = grpc.decode_response(frame)
    except RemoteFormatError:
        return
    assert health >= 0


@given(st.text(max_size=50))
def test_a_request_carries_its_name_whole(service: str) -> None:
    frame = grpc.encode_request(service)
    name = service.encode()
    assert int.from_bytes(frame[1:5], "big") == len(frame) - 5
    assert frame.endswith(name)


def test_a_name_that_cannot_be_a_service_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be a service"):
        grpc.validate(Probe("grpc", options=(("service", "a\nb"),)))
