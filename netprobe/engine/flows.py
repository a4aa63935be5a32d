"""Packets of several flows at any TTL: what the probes that walk along a path (``trace``, ``firewalk``) send.

UDP keeps one socket per flow for the whole walk. TCP needs a new socket per packet on the flow's own port:
a connection that was refused or made cannot ask again. At most one packet of a flow is out at a time, so an
error that quotes too little still names its packet. Routers are heard in the error queue.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

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
from netprobe.probes.rejection import outcome_of_icmp, seen_of_send_error
from netprobe.probes.seen import judge_identity
from netprobe.wire import stamp

IPV6_UNICAST_HOPS, IPV6_AUTOFLOWLABEL = 16, 70
_EXPIRED = {4: (11, 0), 6: (3, 0)}
Heard = trace.Expired | trace.Ended
Ports = Callable[[int], int]
"""Flow to its destination port."""


class Flows(Protocol):
    """The sockets of one walk."""

    def send(self, flow: int, ttl: int) -> Outcome | None:
        """Send one packet; an outcome where our own host did not let it out."""

    def read(self) -> Iterable[Heard]:
        """What came back."""


class UdpFlows:
    """A STAMP request per packet: an agent at the end says who it is and which source it saw."""

    def __init__(
        self, check: Check, ports: Ports, readable: Readable, clock: Clock, *, key: bytes, boot: int
    ) -> None:
        self._check, self._ports, self._readable, self._clock = check, ports, readable, clock
        self._key, self._boot = key, boot
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
                sock.sendto(packet, (self._check.target.address, self._ports(flow)))
            except OSError as error:
                failed = error
            else:
                return None
        assert failed is not None
        return seen_of_send_error(failed, self._check, version=self._version).outcome

    def read(self) -> Iterable[Heard]:
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

    def _take(self, flow: int, data: bytes) -> Heard | None:
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


class TcpFlows:
    """A SYN per packet, from the flow's own source port; a connection that is made is reset at once."""

    def __init__(self, check: Check, ports: Ports, readable: Readable, clock: Clock) -> None:
        self._check, self._ports, self._readable, self._clock = check, ports, readable, clock
        self._version = version_of(check.target.address)
        self._sources: dict[int, int] = {}
        """Flow to its source port."""
        self._socks: dict[int, tuple[socket.socket, int]] = {}

    def send(self, flow: int, ttl: int) -> Outcome | None:
        """Send one SYN; an outcome where our own host did not let it out."""
        self._drop(flow)
        try:
            sock = self._open(flow, ttl)
        except OSError as error:
            return NotMeasured(f"no socket: {error.strerror}")
        result = sock.connect_ex((self._check.target.address, self._ports(flow)))
        self._readable.add(sock, is_connecting=True)
        self._socks[flow] = (sock, ttl)
        if result in {0, errno.EINPROGRESS}:
            return None
        return seen_of_send_error(OSError(result, ""), self._check, version=self._version).outcome

    def read(self) -> Iterable[Heard]:
        """What came back."""
        for flow, (sock, ttl) in list(self._socks.items()):
            event = self._look(flow, sock, ttl)
            if event is not None:
                self._drop(flow)
                yield event

    def _look(self, flow: int, sock: socket.socket, ttl: int) -> Heard | None:
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
            sock.bind(("::" if self._version == 6 else "0.0.0.0", self._sources.get(flow, 0)))  # noqa: S104
        except OSError:
            sock.close()
            raise
        self._sources[flow] = sock.getsockname()[1]
        return sock

    def _drop(self, flow: int) -> None:
        sock, _ = self._socks.pop(flow, (None, 0))
        if sock is not None:
            self._readable.drop(sock)


def _event_of(report: Reported, check: Check, flow: int, ttl: int, now_ns: int) -> Heard:
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
