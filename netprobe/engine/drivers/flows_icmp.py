"""Echoes of several flows at any TTL; see :mod:`netprobe.engine.drivers.flows_udp`.

A flow is an identifier: :func:`netprobe.wire.paris.balance` makes its checksum follow from that alone. With
NET_RAW one raw socket sends for all flows; without, an unprivileged ping socket per flow, whose identifier
the kernel chooses.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netprobe.engine.clock import Clock
from netprobe.engine.drivers.flows_udp import Heard, heard_of, send_at, walk_options_of
from netprobe.engine.drivers.icmp_quotes import IcmpQuoteReader
from netprobe.engine.drivers.readable import ReadableSocket
from netprobe.engine.packet_header import mark_connection
from netprobe.engine.sockets import family_of, prepare, receive, receive_errors, version_of
from netprobe.errors import RemoteFormatError
from netprobe.model.check import Check
from netprobe.model.outcome import NotMeasured, Outcome, Reached
from netprobe.model.prose import Prose
from netprobe.probes import hops
from netprobe.probes.rejection import IcmpError, observe_send_error
from netprobe.wire import icmp
from netprobe.wire.icmp import EchoMessage, Quote
from netprobe.wire.paris import Sent, balance, find_rewritten

_PROTOCOL = {4: icmp.PROTOCOL_ICMP, 6: icmp.PROTOCOL_ICMPV6}


@dataclass(frozen=True, slots=True)
class _IcmpProbe:
    """A flow's newest packet."""

    ttl: int
    sequence: int
    message: bytes

    def is_of(self, header: bytes, *, at: int) -> bool:
        """Whether *header* repeats what we sent, from byte *at* on, as far as it goes."""
        return (
            len(header) >= icmp.HEADER_BYTES
            and header[at : len(self.message)] == self.message[at : len(header)]
        )


class IcmpFlows:
    """An echo per packet, told apart by its cookie."""

    def __init__(
        self, check: Check, readable: ReadableSocket, clock: Clock, *, key: bytes, boot: int
    ) -> None:
        self._check, self._readable, self._clock = check, readable, clock
        self._key, self._boot = key, boot
        self._version = version_of(check.target.address)
        self._quotes = IcmpQuoteReader(check.target.address, readable, replies=True)
        if self._quotes.sock is not None:
            mark_connection(self._quotes.sock, walk_options_of(check))
        self._pings: dict[int, socket.socket] = {}
        """Flow to its ping socket; empty with NET_RAW."""
        self._out: dict[int, _IcmpProbe] = {}
        self._sequence = 0

    def send(self, flow: int, ttl: int) -> Outcome | None:
        """Send one packet; an outcome where our own host did not let it out."""
        try:
            sock = self._quotes.sock or self._pings.get(flow) or self._open(flow)
        except OSError:
            return NotMeasured(Prose("no privilege to send icmp here"))
        self._sequence += 1
        cookie = icmp.encode_cookie(icmp.Cookie(self._check.id, self._boot, self._sequence), key=self._key)
        message = icmp.encode_echo_request(
            version=self._version, identifier=(self._boot + flow) & 0xFFFF, sequence=self._sequence,
            data=balance(cookie, sequence=self._sequence),
        )  # fmt: skip
        self._out[flow] = _IcmpProbe(ttl, self._sequence, message)
        failed = send_at(ttl, sock, message, (self._check.target.address, 0))
        return observe_send_error(failed, self._check, version=self._version).outcome if failed else None

    def read(self) -> Iterable[Heard]:
        """What came back."""
        for who, what in self._quotes.read():
            heard = self._take_reply(what) if isinstance(what, EchoMessage) else None
            if isinstance(who, IcmpError) and isinstance(what, Quote):
                heard = self._take_error(who, what)
            if heard is not None:
                yield heard
        yield from self._read_pings()

    def _read_pings(self) -> Iterator[Heard]:
        """A ping socket hears nothing but answers to its own identifier."""
        for flow, sock in self._pings.items():
            out = self._out[flow]
            for datagram in receive(sock):
                try:
                    heard = self._take_reply(icmp.decode_echo(datagram.data, version=self._version))
                except RemoteFormatError:
                    continue
                if heard is not None:
                    yield heard
            for report in receive_errors(sock):
                if out.is_of(report.quoted, at=6):  # behind the identifier, which the kernel wrote
                    yield heard_of(report.error, self._check, flow, out.ttl, self._clock.mono_ns())

    def _take_reply(self, echo: EchoMessage) -> Heard | None:
        try:
            cookie = icmp.decode_cookie(echo.data, key=self._key)
        except RemoteFormatError:
            return None
        for flow, out in self._out.items():
            if (cookie.check, cookie.boot, cookie.sequence) == (self._check.id, self._boot, out.sequence):
                return hops.Ended(flow, out.ttl, Reached(1), self._clock.mono_ns())
        return None

    def _take_error(self, error: IcmpError, quote: Quote) -> Heard | None:
        """By sequence number and cookie; the identifier may have been rewritten, the checksum with it."""
        if quote.protocol != _PROTOCOL[self._version]:
            return None
        for flow, out in self._out.items():
            whole = len(quote.transport) >= icmp.HEADER_BYTES + 16
            if out.is_of(quote.transport, at=6 if whole else 4):
                changed: tuple[str, ...] = ()
                if self._quotes.source:
                    target = self._check.target.address
                    sent = Sent(quote.protocol, self._quotes.source, target, out.message)
                    changed = find_rewritten(sent, quote)
                return heard_of(error, self._check, flow, out.ttl, self._clock.mono_ns(), changed)
        return None

    def _open(self, flow: int) -> socket.socket:
        protocol = socket.IPPROTO_ICMP if self._version == 4 else socket.IPPROTO_ICMPV6
        family = family_of(self._check.target.address)
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, protocol)
        prepare(sock, errors=True)
        mark_connection(sock, walk_options_of(self._check))
        self._readable.add(sock)
        self._pings[flow] = sock
        return sock
