"""Packets of several flows at any TTL: what the probes that walk along a path (``trace``, ``firewalk``) send.

UDP keeps one socket per flow for the whole walk; TCP and ICMP have files of their own. At most one packet of
a flow is out at a time, so an error that quotes too little still names its packet. Routers are heard in the
error queue, and, with NET_RAW, with the packet as they saw it (:mod:`netprobe.engine.drivers.icmp_quotes`).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from netprobe.engine.clock import Clock
from netprobe.engine.drivers.icmp_quotes import IcmpQuoteReader
from netprobe.engine.drivers.readable import ReadableSocket
from netprobe.engine.packet_header import mark_connection
from netprobe.engine.sockets import (
    IP_TTL,
    Datagram,
    family_of,
    open_udp,
    prepare,
    receive,
    receive_errors,
    version_of,
)
from netprobe.errors import RemoteFormatError
from netprobe.model.check import Check
from netprobe.model.outcome import NotMeasured, Outcome
from netprobe.model.prose import Prose
from netprobe.probes import hops
from netprobe.probes.observation import judge_identity
from netprobe.probes.packet_options import PacketOptions, packet_options_of
from netprobe.probes.rejection import EXPIRED, IcmpError, observe_send_error, outcome_of_icmp
from netprobe.wire import stamp
from netprobe.wire.icmp import PROTOCOL_UDP, Quote
from netprobe.wire.paris import Sent, find_rewritten

IPV6_UNICAST_HOPS, IPV6_AUTOFLOWLABEL = 16, 70
Heard = hops.Expired | hops.Ended
Ports = Callable[[int], int]
"""Flow to its destination port."""


class Flows(Protocol):
    """The sockets of one walk."""

    def send(self, flow: int, ttl: int) -> Outcome | None:
        """Send one packet; an outcome where our own host did not let it out."""

    def read(self) -> Iterable[Heard]:
        """What came back."""


@dataclass(frozen=True, slots=True)
class _UdpProbe:
    """A flow's newest packet."""

    ttl: int
    sequence: int
    source_port: int
    target_port: int
    payload: bytes

    @property
    def segment(self) -> bytes:
        """From the UDP header on; the checksum is the kernel's to write."""
        length = 8 + len(self.payload)
        return struct.pack("!HHHH", self.source_port, self.target_port, length, 0) + self.payload

    def is_quoted(self, quote: Quote) -> bool:
        """Whether the quote is of this packet: by what is quoted of its payload, else by its ports."""
        quoted = quote.transport[8 : 8 + len(self.payload)]
        if quote.protocol != PROTOCOL_UDP or not self.payload.startswith(quoted):
            return False
        return len(quoted) >= 4 or quote.transport[:4] == self.segment[:4]


class UdpFlows:
    """A STAMP request per packet: an agent at the end says who it is and which source it saw."""

    def __init__(
        self,
        check: Check,
        ports: Ports,
        readable: ReadableSocket,
        clock: Clock,
        *,
        seal: stamp.Seal,
        boot: int,
    ) -> None:
        self._check, self._ports, self._readable, self._clock = check, ports, readable, clock
        self._seal, self._boot = seal, boot
        self._version = version_of(check.target.address)
        self._quotes = IcmpQuoteReader(check.target.address, readable)
        self._socks: dict[int, socket.socket] = {}
        self._out: dict[int, _UdpProbe] = {}
        """Flow to its newest packet."""
        self._sequence = 0

    def send(self, flow: int, ttl: int) -> Outcome | None:
        """Send one packet; an outcome where our own host did not let it out."""
        try:
            sock = self._socks.get(flow) or self._open(flow)
        except OSError as error:
            return NotMeasured(Prose(f"no socket: {error.strerror}"))
        self._sequence += 1
        sent = stamp.ntp_of(self._clock.wall_ns())
        request = stamp.Request(
            self._check.id, self._boot, self._sequence, sent, self._sequence, is_urgent=True,
            asker=self._seal.asker,
        )  # fmt: skip
        packet = stamp.encode_request(request, key=self._seal.key)
        self._out[flow] = _UdpProbe(ttl, self._sequence, sock.getsockname()[1], self._ports(flow), packet)
        failed = send_at(ttl, sock, packet, (self._check.target.address, self._ports(flow)))
        return observe_send_error(failed, self._check, version=self._version).outcome if failed else None

    def read(self) -> Iterable[Heard]:
        """What came back."""
        for error, quote in self._quotes.errors():
            flow = next((flow for flow, out in self._out.items() if out.is_quoted(quote)), None)
            if flow is not None:
                yield self._heard(error, flow, self._rewritten(self._out[flow], quote))
        for flow, sock in self._socks.items():
            for datagram in receive(sock):
                event = self._take(flow, datagram)
                if event is not None:
                    yield event
            for report in receive_errors(sock):
                told = stamp.read_quote(report.quoted)
                if told.sequence == self._out[flow].sequence if told else not self._quotes.is_open:
                    yield self._heard(report.error, flow)

    def _heard(self, error: IcmpError, flow: int, rewritten: tuple[str, ...] = ()) -> Heard:
        return heard_of(error, self._check, flow, self._out[flow].ttl, self._clock.mono_ns(), rewritten)

    def _rewritten(self, out: _UdpProbe, quote: Quote) -> tuple[str, ...]:
        if not self._quotes.source:
            return ()
        sent = Sent(PROTOCOL_UDP, self._quotes.source, self._check.target.address, out.segment)
        return find_rewritten(sent, quote)

    def _take(self, flow: int, datagram: Datagram) -> Heard | None:
        try:
            answer = stamp.decode_answer(datagram.data, key=self._seal.key)
        except RemoteFormatError:
            return None
        out = self._out[flow]
        if (answer.check, answer.boot, answer.sequence) != (self._check.id, self._boot, out.sequence):
            return None
        outcome = judge_identity(self._check, answer.answered_by, rtt_ns=1, source=datagram.source)
        told = (("source", self._quotes.source, answer.observed_source),
                ("source port", str(out.source_port), str(answer.observed_port)))  # fmt: skip
        rewritten = tuple(f"{what} {seen}" for what, own, seen in told if own and seen != own)
        now_ns = self._clock.mono_ns() - answer.dwell_ns  # the time it was held is not the way's
        return hops.Ended(
            flow, out.ttl, outcome, now_ns, answer.answered_by, answer.observed_source, rewritten
        )

    def _open(self, flow: int) -> socket.socket:
        sock = open_udp(family_of(self._check.target.address))
        prepare(sock, errors=True)
        mark_connection(sock, walk_options_of(self._check))
        self._readable.add(sock)
        self._socks[flow] = sock
        return sock


def heard_of(
    error: IcmpError, check: Check, flow: int, ttl: int, now_ns: int, rewritten: tuple[str, ...] = ()
) -> Heard:
    """What an ICMP error means for a walk: the TTL ran out, or the packet got as far as it can."""
    if (error.icmp_type, error.icmp_code) != EXPIRED[error.version]:
        outcome = outcome_of_icmp(error, check, rtt_ns=1)
        return hops.Ended(flow, ttl, outcome, now_ns, rewritten=rewritten)
    if (
        error.sender == check.target.address
    ):  # a target does not forward, so another device speaks in its name
        rewritten = (*rewritten, "it speaks in the target's name")
    return hops.Expired(flow, ttl, error.sender, now_ns, rewritten)


def walk_options_of(check: Check) -> PacketOptions:
    """What the packets of a walk have in their headers beside the TTL, which is the walk's own."""
    return PacketOptions(packet_options_of(check.probe).dscp)


def send_at(ttl: int, sock: socket.socket, packet: bytes, address: tuple[str, int]) -> OSError | None:
    """Send a packet that lives for *ttl* hops; the error where our own host does not let it out."""
    failed: OSError | None = None
    for _ in range(2):  # a pending ICMP error is reported by the next call: send again
        try:
            set_ttl(sock, ttl)
            sock.sendto(packet, address)
        except OSError as error:
            failed = error
        else:
            return None
    return failed


def set_ttl(sock: socket.socket, ttl: int) -> None:
    """Let the socket's next packets live for *ttl* hops, all under one flow label."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0)  # RFC 6437: routers may spread by it
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_TTL, ttl)
