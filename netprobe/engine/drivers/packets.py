"""Drives ``packets``: sends what it is handed and listens to the target, for as long as the check says.

Rule: only to the target, which the allow-list has let through, and only from addresses of this host. Each run
is logged with its protocol, number and bytes.
"""

from __future__ import annotations

import logging
import random
import socket
from contextlib import suppress
from dataclasses import dataclass, field

from netprobe.engine.clock import Clock
from netprobe.engine.drivers.icmp_quotes import find_source
from netprobe.engine.drivers.readable import ReadableSocket
from netprobe.engine.keyring import Keyring
from netprobe.engine.packet_header import mark_connection
from netprobe.engine.sockets import (
    family_of,
    listen_for_errors,
    prepare,
    receive,
    receive_errors,
    version_of,
    want_stamps,
)
from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Check
from netprobe.model.outcome import NotMeasured, Outcome, Reached, TimedOut
from netprobe.model.prose import Prose
from netprobe.probes.observation import Observation
from netprobe.probes.packet_options import packet_options_of
from netprobe.probes.packets import (
    MAX_HEARD,
    PROTOCOLS,
    HeardPacket,
    PacketHeader,
    SentPacket,
    payloads_of,
    read_header,
    write_heard,
    write_sent,
)
from netprobe.probes.rejection import IcmpError, observe_send_error, outcome_of_icmp
from netprobe.wire.icmp import PROTOCOL_ICMP, PROTOCOL_ICMPV6, decode_error, split_ipv4

_GAP_NS = 30_000_000
"""Between two packets: what the first one changes at the target (a neighbour) is there for the next."""
_IPV6_HDRINCL = 36
_PORTED = frozenset((6, 17, 132))
_ECHO_REPLIES = {8: 0, 128: 129}
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Exchange:
    """What was sent and heard so far."""

    check: Check
    clock: Clock
    values: list[str] = field(default_factory=list)
    heard: int = 0
    failed: Outcome | None = None
    first_sent_ns: int = 0
    first_heard_ns: int = 0

    def note_sent(self, wall_ns: int, source: str, port: int, number: int) -> None:
        self.values.append(write_sent(SentPacket(wall_ns, source, port, number)))

    def note_heard(self, packet: HeardPacket) -> None:
        self.first_heard_ns = self.first_heard_ns or self.clock.mono_ns()
        self.heard += 1
        self.values.append(write_heard(packet))

    def note_error(self, error: IcmpError) -> None:
        rtt_ns = max(1, self.clock.mono_ns() - self.first_sent_ns)
        self.failed = self.failed or outcome_of_icmp(error, self.check, rtt_ns=rtt_ns)

    def conclude(self) -> Observation:
        outcome: Outcome = self.failed or TimedOut(self.check.probe.timeout_ns)
        if self.heard:
            outcome = Reached(max(1, self.first_heard_ns - self.first_sent_ns))
        return Observation(outcome, values=tuple(self.values))


async def exchange_packets(check: Check, clock: Clock, keys: Keyring, rng: random.Random) -> Observation:
    """Send them all and listen; every failure is an outcome."""
    del keys, rng
    way: _Payloads | _WholePackets
    exchange, packets = _Exchange(check, clock), payloads_of(check.probe)
    is_udp = check.probe.option("via", "udp") == "udp"
    try:
        way = _Payloads(exchange) if is_udp else _WholePackets(exchange, packets)
    except InputError as error:
        return Observation(NotMeasured(Prose(str(error))))
    except OSError as error:
        return Observation(NotMeasured(Prose(f"no socket for it here: {error.strerror}")))
    with ReadableSocket(*way.socks) as readable:
        seen = await _run(exchange, way, packets, readable)
    logger.info("%s: %d packets (%d bytes, %s) to %s, %d heard", check.source, len(packets),
                sum(map(len, packets)), way.protocol, check.target.address, exchange.heard)  # fmt: skip
    return seen


async def _run(
    exchange: _Exchange, way: _Payloads | _WholePackets, packets: tuple[bytes, ...], readable: ReadableSocket
) -> Observation:
    clock, probe = exchange.clock, exchange.check.probe
    enough = min(MAX_HEARD, int(probe.option("answers", "1")))
    exchange.first_sent_ns = clock.mono_ns()
    until_ns = exchange.first_sent_ns + probe.timeout_ns
    for number, packet in enumerate(packets):
        try:
            way.send(packet, number)
        except OSError as error:
            return observe_send_error(
                error, exchange.check, version=version_of(exchange.check.target.address)
            )
        gap_until_ns = min(until_ns, clock.mono_ns() + _GAP_NS)
        while number + 1 < len(packets) and clock.mono_ns() < gap_until_ns:
            await readable.wait(until_ns=gap_until_ns)
            way.read()
    while exchange.heard < enough and exchange.failed is None and clock.mono_ns() < until_ns:
        await readable.wait(until_ns=until_ns)
        way.read()
    return exchange.conclude()


class _Payloads:
    """UDP payloads from one socket; only what the target sends to it is heard."""

    protocol = "udp"

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange, check = exchange, exchange.check
        self._target = check.target.address
        options = packet_options_of(check.probe)
        sock = socket.socket(family_of(self._target), socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            prepare(sock, errors=True)
            want_stamps(sock)
            mark_connection(sock, options)
            port = options.source_port(0)
            sock.bind(("::" if version_of(self._target) == 6 else "0.0.0.0", port))  # noqa: S104
        except OSError:
            sock.close()
            raise
        self._sock, self._source, self.socks = sock, find_source(self._target), (sock,)

    def send(self, packet: bytes, number: int) -> None:
        at_ns = self._exchange.clock.wall_ns()
        self._sock.sendto(packet, (self._target, self._exchange.check.probe.port))
        self._exchange.note_sent(at_ns, self._source, self._sock.getsockname()[1], number)

    def read(self) -> None:
        for datagram in receive(self._sock, at_most=MAX_HEARD):
            if datagram.source == self._target and self._exchange.heard < MAX_HEARD:
                wall_ns = datagram.received_ns or self._exchange.clock.wall_ns()
                heard = HeardPacket(wall_ns, datagram.source, datagram.source_port, datagram.data)
                self._exchange.note_heard(heard)
        for report in receive_errors(self._sock):
            self._exchange.note_error(report.error)


class _WholePackets:
    """IP packets as they are; heard is what the target sends of the same flow, and ICMP errors about them."""

    def __init__(self, exchange: _Exchange, packets: tuple[bytes, ...]) -> None:
        self._exchange = exchange
        self._target = exchange.check.target.address
        self._version = version_of(self._target)
        self._sent = [self._admit(packet, number) for number, packet in enumerate(packets, start=1)]
        self._icmp = PROTOCOL_ICMP if self._version == 4 else PROTOCOL_ICMPV6
        number = self._sent[0].protocol
        if any(header.protocol != number for header in self._sent):
            raise InputError("the packets are of different protocols", where="options.send")
        self._protocol, self.protocol = number, PROTOCOLS[number]
        self._socks: dict[int, socket.socket] = {}
        try:
            for protocol in {number, self._icmp}:
                self._socks[protocol] = self._open(protocol)
        except OSError:
            for sock in self._socks.values():
                sock.close()
            raise
        self.socks = tuple(self._socks.values())

    def _admit(self, packet: bytes, number: int) -> PacketHeader:
        """Raise :class:`InputError` unless it goes from here to the target."""
        header = read_header(packet, where=f"packet {number}")
        if header.target != self._target:
            raise InputError(f"is to {header.target}, not to {self._target}", where=f"packet {number}")
        with socket.socket(family_of(header.source), socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.bind((header.source, 0))
            except OSError as error:
                text = f"is from {header.source}, which is not an address of this agent"
                raise InputError(text, where=f"packet {number}") from error
        return header

    def _open(self, protocol: int) -> socket.socket:
        sock = socket.socket(family_of(self._target), socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        try:
            prepare(sock, errors=False)
            want_stamps(sock)
            if protocol == self._protocol:
                level, option = (
                    (socket.IPPROTO_IP, socket.IP_HDRINCL) if self._version == 4 else (41, _IPV6_HDRINCL)
                )
                sock.setsockopt(level, option, 1)
                listen_for_errors(sock, wanted=False)
        except OSError:
            sock.close()
            raise
        return sock

    def send(self, packet: bytes, number: int) -> None:
        at_ns = self._exchange.clock.wall_ns()
        self._socks[self._protocol].sendto(packet, (self._target, 0))
        self._exchange.note_sent(at_ns, self._sent[number].source, self._protocol, number)

    def read(self) -> None:
        for protocol, sock in self._socks.items():
            for datagram in receive(sock, at_most=256):
                with suppress(RemoteFormatError):
                    data = datagram.data
                    transport = split_ipv4(data).payload if self._version == 4 else data
                    is_error = protocol == self._icmp and self._is_error(transport, datagram.source)
                    is_answer = datagram.source == self._target and self._is_answer(protocol, transport)
                    if (is_error or is_answer) and self._exchange.heard < MAX_HEARD:
                        wall_ns = datagram.received_ns or self._exchange.clock.wall_ns()
                        heard = HeardPacket(wall_ns, datagram.source, protocol, data)
                        if is_answer:
                            self._exchange.note_heard(heard)
                        else:
                            self._exchange.values.append(write_heard(heard))

    def _is_error(self, message: bytes, source: str) -> bool:
        """An ICMP error about what we sent; it is noted."""
        try:
            told = decode_error(message, version=self._version)
        except RemoteFormatError:
            return False
        if told.quote.destination != self._target or told.quote.protocol != self._protocol:
            return False
        if not any(header.transport[:8] == told.quote.transport[:8] for header in self._sent):
            return False
        self._exchange.note_error(
            IcmpError(self._version, source, told.icmp_type, told.icmp_code, told.mtu or 0)
        )
        return True

    def _is_answer(self, protocol: int, transport: bytes) -> bool:
        """Of the same protocol and, where that has ports or identifiers, of the same flow."""
        if protocol != self._protocol:
            return False
        return any(is_same_flow(protocol, header.transport, transport) for header in self._sent)


def is_same_flow(protocol: int, sent: bytes, heard: bytes) -> bool:
    """Whether *heard* may answer *sent*: by ports that are exchanged, or by the identifier of an echo."""
    if protocol in _PORTED:
        return sent[:2] == heard[2:4] and sent[2:4] == heard[:2]
    if protocol in {PROTOCOL_ICMP, PROTOCOL_ICMPV6} and sent[:1] and heard[:1]:
        return _ECHO_REPLIES.get(sent[0], heard[0]) == heard[0] and sent[4:6] == heard[4:6]
    return True
