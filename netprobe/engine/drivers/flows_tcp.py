"""SYNs of several flows at any TTL; see :mod:`netprobe.engine.drivers.flows_udp`.

A connection that was refused or made cannot ask again, so each packet has a new socket, which
takes over its flow's port.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

from netprobe.engine.clock import Clock
from netprobe.engine.drivers.flows_udp import (
    Heard,
    Ports,
    heard_of,
    set_ttl,
    walk_options_of,
)
from netprobe.engine.drivers.icmp_quotes import IcmpQuoteReader
from netprobe.engine.drivers.readable import ReadableSocket
from netprobe.engine.packet_header import mark_connection
from netprobe.engine.sockets import family_of, prepare, receive_errors, version_of
from netprobe.model.check import Check
from netprobe.model.outcome import NotMeasured, Outcome, Reached, Refused
from netprobe.model.prose import Prose
from netprobe.probes import hops
from netprobe.probes.rejection import IcmpError, observe_send_error
from netprobe.wire.icmp import PROTOCOL_TCP, Quote
from netprobe.wire.paris import Sent, find_rewritten


class TcpFlows:
    """A SYN per packet, from the flow's own source port; a connection that is made is reset at once."""

    def __init__(self, check: Check, ports: Ports, readable: ReadableSocket, clock: Clock) -> None:
        self._check, self._ports, self._readable, self._clock = check, ports, readable, clock
        self._version = version_of(check.target.address)
        self._quotes = IcmpQuoteReader(check.target.address, readable)
        self._quoted: dict[int, list[tuple[IcmpError, Quote]]] = {}
        """Flow to what was quoted of its newest packet."""
        self._sources: dict[int, int] = {}
        """Flow to its source port."""
        self._socks: dict[int, tuple[socket.socket, int]] = {}

    def send(self, flow: int, ttl: int) -> Outcome | None:
        """Send one SYN; an outcome where our own host did not let it out."""
        self._drop(flow)
        self._quoted.pop(flow, None)
        try:
            sock = self._open(flow, ttl)
        except OSError as error:
            return NotMeasured(Prose(f"no socket: {error.strerror}"))
        result = sock.connect_ex((self._check.target.address, self._ports(flow)))
        self._readable.add(sock, is_connecting=True)
        self._socks[flow] = (sock, ttl)
        if result in {0, errno.EINPROGRESS}:
            return None
        return observe_send_error(OSError(result, ""), self._check, version=self._version).outcome

    def read(self) -> Iterable[Heard]:
        """What came back.

        The kernel gives an error to the socket only if it quotes our own address, so one that does not is
        taken from the quotes.
        """
        self._read_quotes()
        for flow, (sock, ttl) in list(self._socks.items()):
            event = self._look(flow, sock, ttl)
            if event is not None:
                self._drop(flow)
                yield event

    def _look(self, flow: int, sock: socket.socket, ttl: int) -> Heard | None:
        now_ns = self._clock.mono_ns()
        quoted = self._quoted.get(flow, [])
        for report in receive_errors(sock):
            changed = [self._rewritten(flow, quote) for error, quote in quoted if error == report.error]
            return heard_of(report.error, self._check, flow, ttl, now_ns, changed[-1] if changed else ())
        for told, quote in quoted:
            if quote.source != self._quotes.source:
                return heard_of(told, self._check, flow, ttl, now_ns, self._rewritten(flow, quote))
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error == errno.ECONNREFUSED:
            return hops.Ended(flow, ttl, Refused(1), now_ns)
        with suppress(OSError):
            sock.getpeername()
            return hops.Ended(flow, ttl, Reached(1), now_ns)
        return None

    def _read_quotes(self) -> None:
        flows = {port: flow for flow, port in self._sources.items()}
        for error, quote in self._quotes.errors():
            flow = flows.get(int.from_bytes(quote.transport[:2], "big"))
            if quote.protocol == PROTOCOL_TCP and flow is not None:
                self._quoted.setdefault(flow, []).append((error, quote))

    def _rewritten(self, flow: int, quote: Quote) -> tuple[str, ...]:
        if not self._quotes.source:
            return ()
        ports = struct.pack("!HH", self._sources[flow], self._ports(flow))
        return find_rewritten(
            Sent(PROTOCOL_TCP, self._quotes.source, self._check.target.address, ports), quote
        )

    def _open(self, flow: int, ttl: int) -> socket.socket:
        sock = socket.socket(family_of(self._check.target.address), socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            prepare(sock, errors=True)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            mark_connection(sock, walk_options_of(self._check))
            set_ttl(sock, ttl)
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
