"""What the HTTP responder answers, and how many datagrams are answered."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.engine.recvmmsg import Packet
from netprobe.engine.responder.identity_http import respond
from netprobe.engine.responder.server import RateLimiter, Responder
from netprobe.wire.identity import Identity, decode_identity

IDENTITY = Identity("dev/w1/pod", "b00t")


def status_of(response: bytes) -> bytes:
    return response.split(b"\r\n", 1)[0].partition(b" ")[2]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/1.1", b"200 OK"),
        (b"HEAD / HTTP/1.1", b"200 OK"),
        (b"GET /healthz HTTP/1.0", b"200 OK"),
        (b"GET /readyz HTTP/1.1", b"503 Service Unavailable"),
        (b"GET /etc/passwd HTTP/1.1", b"404 Not Found"),
        (b"POST / HTTP/1.1", b"405 Method Not Allowed"),
        (b"GET /", b"400 Bad Request"),
        (b"\x16\x03\x01", b"400 Bad Request"),
    ],
)
def test_only_identity_and_health_are_told(line: bytes, status: bytes) -> None:
    assert status_of(respond(line + b"\r\nHost: x\r\n\r\n", IDENTITY)) == status


def test_the_body_is_the_identity() -> None:
    body = respond(b"GET / HTTP/1.1\r\n\r\n", IDENTITY).partition(b"\r\n\r\n")[2]
    assert decode_identity(body) == IDENTITY
    assert respond(b"HEAD / HTTP/1.1\r\n\r\n", IDENTITY).endswith(b"\r\n\r\n")


@given(st.binary(max_size=200))
def test_any_request_has_one_whole_response(head: bytes) -> None:
    response = respond(head, IDENTITY)
    header, _, body = response.partition(b"\r\n\r\n")
    assert header.startswith(b"HTTP/1.1 ")
    assert not body or f"Content-Length: {len(body)}".encode() in header


def test_the_allowance_is_spent_and_earned() -> None:
    allowance = RateLimiter(per_s=10)
    start_ns = 10_000_000_000
    assert [allowance.take(4, now_ns=start_ns) for _ in range(4)] == [4, 4, 2, 0]
    assert allowance.take(5, now_ns=start_ns + 100_000_000) == 1
    assert allowance.take(1, now_ns=start_ns + 100_000_000) == 0


@pytest.mark.parametrize(
    ("reason", "is_ours"),
    [
        pytest.param(errno.ENOBUFS, True, id="no buffer"),
        pytest.param(errno.EAGAIN, True, id="no room"),
        pytest.param(errno.ENETUNREACH, False, id="no route"),
        pytest.param(errno.EHOSTUNREACH, False, id="no neighbour"),
        pytest.param(errno.EPERM, False, id="a filter of this machine"),
        pytest.param(errno.EMSGSIZE, False, id="larger than the way"),
    ],
)
def test_only_an_answer_for_which_there_was_no_room_is_our_own_loss(reason: int, is_ours: bool) -> None:
    """Else a node without a route is called an agent that cannot keep up, and nothing of it is believed."""

    def refuse(*_: object) -> None:
        raise OSError(reason, "refused")

    clock, unused = SimpleNamespace(wall_ns=lambda: 1), cast(Any, None)
    responder = Responder(http=unused, keys=unused, clock=cast(Any, clock), port=9771, reflector=unused)
    packet = Packet(bytes(64), 64, ("fd00::2", 40_000), 1)
    responder._send(cast(Any, SimpleNamespace(sendmsg=refuse)), packet, bytearray(64))
    assert responder.count_dropped() == int(is_ours)
