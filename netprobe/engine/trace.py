"""The shell around ``probes.trace``: one socket per flow, TTL per packet, routers from the error queue.

UDP keeps one socket per flow for the whole trace. TCP needs a new socket per packet on the flow's own port:
a connection that was refused or made cannot ask again. At most one packet of a flow is out at a time, so an
error that quotes too little still names its packet.
"""

from __future__ import annotations

import errno
import random
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

from netprobe.engine.clock import Clock
from netprobe.engine.conversing import Readable
from netprobe.engine.sockets import (
    IP_TTL,
    Reported,
    family_of,
    open_udp,
    prepare,
    receive,
    receive_errors,
    version_of,
)
from netprobe.errors import RemoteFormatError
from netprobe.model.check import Check
from netprobe.model.outcome import NotMeasured, Outcome, Reached, Refused
from netprobe.probes import trace
from netprobe.probes.conversation import Finish, Started, WakeAt, Woke
from netprobe.probes.rejection import outcome_of_icmp, seen_of_send_error
from netprobe.probes.seen import Seen, judge_identity
from netprobe.wire import stamp

IPV6_UNICAST_HOPS, IPV6_AUTOFLOWLABEL = 16, 70
_EXPIRED = {4: (11, 0), 6: (3, 0)}


async def trace_route(check: Check, clock: Clock, key: bytes, rng: random.Random) -> Seen:
    """Trace; everything that goes wrong is an outcome."""
    kind = _TcpFlows if check.probe.option("transport", "udp") == "tcp" else _UdpFlows
    with Readable() as readable:
        tracing = _Tracing(check, clock, kind(check, readable, key, rng.getrandbits(32), clock))
        tracing.feed(Started(clock.mono_ns()))
        while tracing.seen is None:
            await readable.wait(until_ns=tracing.wake_ns)
            tracing.read()
            tracing.feed(Woke(clock.mono_ns()))
    return tracing.seen


class _Tracing:
    """One trace under way."""

    def __init__(self, check: Check, clock: Clock, flows: _UdpFlows | _TcpFlows) -> None:
        self._clock, self._flows = clock, flows
        self._state = trace.begin(check.probe)
        self.wake_ns = 0
        self.seen: Seen | None = None

    def feed(self, event: trace.Event) -> None:
        """Give the machine an event and do what it says."""
        self._state, commands = trace.step(self._state, event)
        failed: list[trace.Event] = []
        for command in commands:
            match command:
                case trace.Send(flow, ttl):
                    trouble = self._flows.send(flow, ttl)
                    if trouble is not None:
                        failed.append(trace.Ended(flow, ttl, trouble, self._clock.mono_ns()))
                case WakeAt(at_ns):
                    self.wake_ns = at_ns
                case Finish(seen):
                    self.seen = seen
        for event_ in failed:
            self.feed(event_)

    def read(self) -> None:
        """Answers and errors that wait."""
        for event in list(self._flows.read()):
            self.feed(event)


class _UdpFlows:
    """A STAMP request per packet: an agent at the end says who it is and which source it saw."""

    def __init__(self, check: Check, readable: Readable, key: bytes, boot: int, clock: Clock) -> None:
        self._check, self._readable, self._key, self._boot, self._clock = check, readable, key, boot, clock
        self._port = check.probe.port or trace.DEFAULT_UDP_PORT
        self._version = version_of(check.target.address)
        self._socks: dict[int, socket.socket] = {}
        self._out: dict[int, tuple[int, int]] = {}
        """Flow to the TTL and sequence number of its newest packet."""
        self._sequence = 0

    def send(self, flow: int, ttl: int) -> Outcome | None:
        """Send one packet; an outcome where our own host did not let it out."""
        try:
            sock = self._socks.get(flow) or self._open(flow)
        except OSError as error:
            return NotMeasured(f"no socket: {error.strerror}")
        self._sequence += 1
        self._out[flow] = (ttl, self._sequence)
        request = stamp.Request(
            self._check.id, self._boot, self._sequence, self._clock.wall_ns(), self._sequence
        )
        packet = stamp.encode_request(request, key=self._key)
        failed: OSError | None = None
        for _ in range(2):  # a pending ICMP error is reported by the next call: send again
            try:
                _set_ttl(sock, ttl)
                sock.sendto(packet, (self._check.target.address, self._port))
            except OSError as error:
                failed = error
            else:
                return None
        assert failed is not None
        return seen_of_send_error(failed, self._check, version=self._version).outcome

    def read(self) -> Iterable[trace.Event]:
        """What came back."""
        for flow, sock in self._socks.items():
            ttl, sequence = self._out[flow]
            for datagram in receive(sock):
                event = self._take(flow, datagram.data)
                if event is not None:
                    yield event
            for report in receive_errors(sock):
                quote = stamp.read_quote(report.quoted)
                if quote is None or quote.sequence == sequence:
                    yield _event_of(report, self._check, flow, ttl, self._clock.mono_ns())

    def _take(self, flow: int, data: bytes) -> trace.Event | None:
        try:
            answer = stamp.decode_answer(data, key=self._key)
        except RemoteFormatError:
            return None
        ttl, sequence = self._out[flow]
        if (answer.check, answer.boot, answer.sequence) != (self._check.id, self._boot, sequence):
            return None
        outcome = judge_identity(self._check, answer.answered_by, rtt_ns=1)
        now_ns = self._clock.mono_ns()
        return trace.Ended(flow, ttl, outcome, now_ns, answer.answered_by, answer.observed_source)

    def _open(self, flow: int) -> socket.socket:
        sock = open_udp(family_of(self._check.target.address))
        prepare(sock, errors=True)
        self._readable.add(sock)
        self._socks[flow] = sock
        return sock


class _TcpFlows:
    """A SYN per packet, from the flow's own source port; a connection that is made is reset at once."""

    def __init__(self, check: Check, readable: Readable, key: bytes, boot: int, clock: Clock) -> None:
        del key, boot
        self._check, self._readable, self._clock = check, readable, clock
        self._version = version_of(check.target.address)
        self._ports: dict[int, int] = {}
        self._socks: dict[int, tuple[socket.socket, int]] = {}

    def send(self, flow: int, ttl: int) -> Outcome | None:
        """Send one SYN; an outcome where our own host did not let it out."""
        self._drop(flow)
        try:
            sock = self._open(flow, ttl)
        except OSError as error:
            return NotMeasured(f"no socket: {error.strerror}")
        result = sock.connect_ex((self._check.target.address, self._check.probe.port))
        self._readable.add(sock, is_connecting=True)
        self._socks[flow] = (sock, ttl)
        if result in {0, errno.EINPROGRESS}:
            return None
        return seen_of_send_error(OSError(result, ""), self._check, version=self._version).outcome

    def read(self) -> Iterable[trace.Event]:
        """What came back."""
        for flow, (sock, ttl) in list(self._socks.items()):
            event = self._look(flow, sock, ttl)
            if event is not None:
                self._drop(flow)
                yield event

    def _look(self, flow: int, sock: socket.socket, ttl: int) -> trace.Event | None:
        now_ns = self._clock.mono_ns()
        for report in receive_errors(sock):
            return _event_of(report, self._check, flow, ttl, now_ns)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error == errno.ECONNREFUSED:
            return trace.Ended(flow, ttl, Refused(1), now_ns)
        with suppress(OSError):
            sock.getpeername()
            return trace.Ended(flow, ttl, Reached(1), now_ns)
        return None

    def _open(self, flow: int, ttl: int) -> socket.socket:
        sock = socket.socket(family_of(self._check.target.address), socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            prepare(sock, errors=True)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            _set_ttl(sock, ttl)
            sock.bind(("::" if self._version == 6 else "0.0.0.0", self._ports.get(flow, 0)))  # noqa: S104
        except OSError:
            sock.close()
            raise
        self._ports[flow] = sock.getsockname()[1]
        return sock

    def _drop(self, flow: int) -> None:
        sock, _ = self._socks.pop(flow, (None, 0))
        if sock is not None:
            self._readable.drop(sock)


def _event_of(report: Reported, check: Check, flow: int, ttl: int, now_ns: int) -> trace.Event:
    error = report.error
    if (error.icmp_type, error.icmp_code) == _EXPIRED[error.version]:
        return trace.Expired(flow, ttl, error.sender, now_ns)
    return trace.Ended(flow, ttl, outcome_of_icmp(error, check, rtt_ns=1), now_ns)


def _set_ttl(sock: socket.socket, ttl: int) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0)  # RFC 6437: routers may spread by it
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_TTL, ttl)
