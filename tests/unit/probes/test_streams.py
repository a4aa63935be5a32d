"""Conversations against scripted peers: every ending is an outcome, whatever the peer says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.outcome import AppFailed, NotResolved, OutcomeKind, Reached, Refused, TimedOut, WrongPeer
from netprobe.model.prose import Prose
from netprobe.probes import dns as probe_dns
from netprobe.probes import http, tcp
from netprobe.probes.net import Closed, Resolvers
from netprobe.probes.observation import Observation
from netprobe.wire.identity import Identity, encode_identity
from tests.facts import texts
from tests.unit.probes.questions import PEER, make_check

T = TypeVar("T")
SILENCE = Observation(TimedOut(500))
BODY = encode_identity(Identity(str(PEER), "b00t"))


def response(body: bytes = BODY, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Script:
    """A peer that says its lines; each look at the clock takes 10 ns."""

    lines: list[bytes | Closed | Observation] = field(default_factory=list)
    dial: Observation | None = None
    datagrams: list[bytes] = field(default_factory=list)
    heard: bytes = b""
    is_closed: bool = False
    now: int = 5

    def now_ns(self) -> int:
        self.now += 10
        return self.now

    def wall_ns(self) -> int:
        return self.now

    def resolvers(self) -> Resolvers:
        return Resolvers()

    async def connect(self, check: Check, *, port: int) -> Script | Observation:
        return self.dial or self

    async def exchange(
        self, check: Check, *, port: int, request: bytes, accept: Callable[[bytes], T | None]
    ) -> T | Observation:
        self.heard = request
        for datagram in self.datagrams:
            if (accepted := accept(datagram)) is not None:
                return accepted
        return SILENCE

    async def send(self, data: bytes) -> Closed | Observation | None:
        self.heard += data
        return None

    async def receive(self) -> bytes | Closed | Observation:
        return self.lines.pop(0) if self.lines else SILENCE

    async def wait_acknowledged(self) -> Closed | Observation | None:
        return next((line for line in self.lines if not isinstance(line, bytes)), None)

    def close(self) -> None:
        self.is_closed = True


HTTP = make_check(Probe("http", port=9771))


@pytest.mark.parametrize(
    ("lines", "ending"),
    [
        pytest.param([response()], Reached(20), id="the right agent"),
        pytest.param([response()[:9], response()[9:60], response()[60:]], Reached(20), id="in pieces"),
        pytest.param([], TimedOut(500), id="silence"),
        pytest.param([response()[:40]], TimedOut(500), id="half an answer"),
        pytest.param([Closed()], AppFailed, id="closed at once"),
        pytest.param([Closed(reset=True)], AppFailed(Prose("the connection was reset")), id="reset"),
        pytest.param([b"SSH-2.0-OpenSSH\r\n\r\n"], AppFailed, id="another protocol"),
        pytest.param([response(status="503 Busy")], AppFailed(Prose("HTTP status 503")), id="status"),
        pytest.param([response(b"{}")], AppFailed(Prose("HTTP: the body names no agent")), id="no identity"),
        pytest.param([response(b"x" * 70_000)], AppFailed, id="an endless body"),
        pytest.param(
            [response(encode_identity(Identity("test/w1/pod", "b")))],
            WrongPeer(str(PEER), "test/w1/pod", 20),
            id="another agent",
        ),
    ],
)
async def test_every_http_conversation_ends_in_an_outcome(
    lines: list[bytes | Closed | Observation], ending: object
) -> None:
    peer = Script(lines=lines)
    seen = await http.ask(HTTP, peer)
    assert (type(seen.outcome) if isinstance(ending, type) else seen.outcome) == ending
    assert peer.is_closed
    assert peer.heard.startswith(b"GET / HTTP/1.1\r\n")


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=5))
async def test_an_http_peer_can_say_anything(lines: list[bytes]) -> None:
    seen = await http.ask(HTTP, Script(lines=[*lines, Closed()]))
    assert seen.outcome.kind is OutcomeKind.APP_FAILED


async def test_http_asks_what_it_was_told_to() -> None:
    options = (("identity", "no"), ("path", "/ready"), ("status", "204"))
    check = make_check(Probe("http", port=80, name="echo.example", options=options), kind=TargetKind.SERVICE)
    peer = Script(lines=[b"HTTP/1.1 204 No Content\r\n\r\n"])
    seen = await http.ask(check, peer)
    assert seen.outcome == Reached(20)
    assert [name for name, _ in seen.phases_ns] == ["connect", "first-byte"]
    assert peer.heard.startswith(b"GET /ready HTTP/1.1\r\nHost: echo.example\r\n")


async def test_a_failed_dial_is_the_outcome() -> None:
    refused = Observation(Refused(3))
    for kind, check in ((http, HTTP), (tcp, make_check(Probe("tcp", port=1)))):
        assert await kind.ask(check, Script(dial=refused)) is refused


async def test_a_connection_is_closed_again() -> None:
    peer = Script()
    assert (await tcp.ask(make_check(Probe("tcp", port=1)), peer)).outcome == Reached(10)
    assert peer.is_closed


NAME = "echo.netprobe.svc.clusterset.local"


def dns_check(**options: str) -> Check:
    probe = Probe("dns", port=53, name=NAME, options=tuple(sorted(options.items())))
    return make_check(probe, kind=TargetKind.DNS, name="dev/dns")


class StreamDnsServer(Script):
    """A server that answers each question with *reply_to*."""

    def __init__(self, reply_to: Callable[[dns.message.Message], list[bytes]]) -> None:
        super().__init__()
        self._reply_to = reply_to

    async def exchange(
        self, check: Check, *, port: int, request: bytes, accept: Callable[[bytes], T | None]
    ) -> T | Observation:
        self.datagrams = self._reply_to(dns.message.from_wire(request))
        return await super().exchange(check, port=port, request=request, accept=accept)

    async def receive(self) -> bytes | Closed | Observation:
        if self.heard:
            query, self.heard = dns.message.from_wire(self.heard[2:]), b""
            wire = b"".join(self._reply_to(query))
            self.lines = [len(wire).to_bytes(2, "big")[:1], len(wire).to_bytes(2, "big")[1:] + wire]
        return await super().receive()


def right(query: dns.message.Message) -> list[bytes]:
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_text(f"{NAME}.", 5, "IN", "A", "10.0.0.9"))
    return [reply.to_wire()]


def saying(rcode: dns.rcode.Rcode) -> Callable[[dns.message.Message], list[bytes]]:
    def reply_to(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.set_rcode(rcode)
        return [reply.to_wire()]

    return reply_to


def foreign(query: dns.message.Message) -> list[bytes]:
    query.id ^= 1
    other = dns.message.make_query("other.example", "A", id=query.id ^ 1)
    return [b"", b"\0" * 11, *right(query), dns.message.make_response(other).to_wire()]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("reply_to", "ending"),
    [
        pytest.param(right, OutcomeKind.REACHED, id="an address"),
        pytest.param(saying(dns.rcode.NXDOMAIN), NotResolved(NAME, "NXDOMAIN"), id="no such name"),
        pytest.param(saying(dns.rcode.SERVFAIL), NotResolved(NAME, "SERVFAIL"), id="server failure"),
        pytest.param(saying(dns.rcode.NOERROR), NotResolved(NAME, "NODATA"), id="no such record"),
    ],
)
async def test_dns_replies_become_outcomes(
    transport: str, reply_to: Callable[[dns.message.Message], list[bytes]], ending: object
) -> None:
    seen = await probe_dns.ask(dns_check(transport=transport), StreamDnsServer(reply_to))
    assert ending in (seen.outcome, seen.outcome.kind)


async def test_replies_to_other_questions_never_count() -> None:
    seen = await probe_dns.ask(dns_check(), StreamDnsServer(foreign))
    assert seen is SILENCE


@given(st.binary(max_size=80))
async def test_a_dns_server_can_say_anything(noise: bytes) -> None:
    def babble(query: dns.message.Message) -> list[bytes]:
        return [query.id.to_bytes(2, "big") + noise]

    seen = await probe_dns.ask(dns_check(), StreamDnsServer(babble))
    assert seen.outcome.kind in {OutcomeKind.TIMED_OUT, OutcomeKind.NOT_RESOLVED}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_what_a_server_says_and_which_server_said_it_are_told(transport: str) -> None:
    seen = await probe_dns.ask(dns_check(transport=transport), StreamDnsServer(right))
    told = f"10.0.0.2 port 53, over {transport.upper()}"
    assert texts(seen.facts) == {"records": "10.0.0.9", "server": told}


async def dial_with_data(data: str, *lines: bytes | Closed | Observation) -> Observation:
    probe = Probe("tcp", port=9771, options=(("data", data),))
    return await tcp.ask(make_check(probe), Script(list(lines)))


async def test_a_connection_that_carries_nothing_is_silence_with_its_connect_phase() -> None:
    for data in ("ack", "answer"):
        seen = await dial_with_data(data, SILENCE)
        assert isinstance(seen.outcome, TimedOut)
        assert [name for name, _ in seen.phases_ns] == ["connect"]


async def test_data_that_passed_is_a_phase_of_its_own() -> None:
    for data in ("ack", "answer"):
        seen = await dial_with_data(data, b"HTTP/1.1 200 OK")
        assert isinstance(seen.outcome, Reached)
        assert [name for name, _ in seen.phases_ns] == ["connect", "data"]


async def test_a_reset_of_the_first_data_is_told_as_such() -> None:
    seen = await dial_with_data("answer", Closed(reset=True))
    assert seen.outcome == AppFailed(Prose("connected; the connection was reset when data was sent"))
