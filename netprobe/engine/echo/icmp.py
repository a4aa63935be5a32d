"""Asks ``icmp`` checks: one socket per address family.

With NET_RAW a raw socket behind a kernel filter that passes only our own answers and errors about echoes;
without it an unprivileged ping socket (``net.ipv4.ping_group_range``). Without either, icmp is not measured.
Answers wait in their socket, stamped by the kernel, until the engine's next tick drains it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from netprobe.engine.clock import Clock
from netprobe.engine.inflight import InFlightTable, IntervalProbes, PendingProbe
from netprobe.engine.keyring import Keyring
from netprobe.engine.packet_header import send_packet
from netprobe.engine.sockets import (
    Datagram,
    attach_filter,
    family_of,
    is_empty,
    prepare,
    receive,
    receive_errors,
    use_of_buffer,
    version_of,
    want_details,
)
from netprobe.errors import RemoteFormatError
from netprobe.model.capability import Capability
from netprobe.model.check import Check
from netprobe.model.outcome import NotMeasured, Reached
from netprobe.model.prose import Prose
from netprobe.probes import icmp as probe_icmp
from netprobe.probes.observation import Observation
from netprobe.probes.packet_options import packet_options_of
from netprobe.probes.rejection import IcmpError, observe_send_error, outcome_of_icmp
from netprobe.wire import icmp

_LD_B_ABS, _LD_H_ABS, _LDX_MSH, _LD_B_IND, _LD_H_IND = 0x30, 0x28, 0xB1, 0x50, 0x48
_JEQ, _RET = 0x15, 0x06
_PASS, _DROP = (_RET, 0, 0, 0xFFFFFFFF), (_RET, 0, 0, 0)


@dataclass(slots=True)
class _Socket:
    sock: socket.socket
    version: int
    is_raw: bool


@dataclass(slots=True)
class IcmpEcho:
    """Sends echoes, matches replies and errors."""

    in_flight: InFlightTable
    keys: Keyring
    boot: int
    clock: Clock
    _sockets: dict[int, _Socket] = field(default_factory=dict)
    _drained_ns: int = 0

    @property
    def capability(self) -> Capability:
        """How echoes go out: ``icmp-raw``, ``icmp-ping-socket`` or ``icmp-none``."""
        if not self._sockets:
            return Capability.ICMP_NONE
        is_raw = any(own.is_raw for own in self._sockets.values())
        return Capability.ICMP_RAW if is_raw else Capability.ICMP_PING_SOCKET

    def open(self) -> None:
        """Open what this host lets us open."""
        for version in (4, 6):
            own = _open_raw(version, identifier=self.identifier) or _open_ping(version)
            if own is None:
                continue
            self._sockets[family_of("::" if version == 6 else "0.0.0.0")] = own  # noqa: S104

    def close(self) -> None:
        """Close every socket."""
        for own in self._sockets.values():
            own.sock.close()
        self._sockets.clear()

    @property
    def identifier(self) -> int:
        """The header's identifier, by which the kernel's filter knows our answers; the cookie proves them."""
        return self.boot & 0xFFFF

    def send(self, checks: Sequence[Check], interval: IntervalProbes, *, is_urgent: bool = False) -> None:
        """Ask each once; all are built before the first leaves. An echo cannot say that it is urgent."""
        del is_urgent
        now_ns = self.clock.mono_ns()
        probes = [self.in_flight.ask(check, interval, now_ns=now_ns) for check in checks]
        packets = [self._build(probe) for probe in probes]
        for probe, packet in zip(probes, packets, strict=True):
            self._send(probe, packet)

    def _build(self, probe: PendingProbe) -> bytes:
        version = version_of(probe.check.target.address)
        cookie = icmp.Cookie(probe.check.id, self.boot, probe.sequence)
        return probe_icmp.build(
            probe.check.probe, cookie, key=self.keys.own, version=version, identifier=self.identifier
        )

    def _send(self, probe: PendingProbe, packet: bytes) -> None:
        own = self._sockets.get(family_of(probe.check.target.address))
        probe.sent_ns = self.clock.mono_ns()
        if own is None:
            why = NotMeasured(Prose("no privilege to send icmp here"))
            self.in_flight.cancel(probe, Observation(why))
            return
        error = self._send_past_old_errors(own, packet, probe)
        if error is not None:
            self.in_flight.cancel(probe, observe_send_error(error, probe.check, version=own.version))

    def drain(self) -> None:
        """Read what waits in every socket: on each tick, and before verdicts are drawn."""
        began_ns = self.clock.mono_ns()
        for own in self._sockets.values():
            self._read(own)
        self._drained_ns = began_ns

    def count_dropped(self) -> int:
        """Answers that our full buffers have lost so far."""
        return sum(use_of_buffer(own.sock).dropped for own in self._sockets.values())

    def _send_past_old_errors(self, own: _Socket, packet: bytes, probe: PendingProbe) -> OSError | None:
        """Send; what the socket still holds from earlier or from this very sending is read first."""
        error: OSError | None = None
        options = packet_options_of(probe.check.probe)
        for _ in range(4):
            try:
                send_packet(own.sock, packet, (probe.check.target.address, 0), options)
            except OSError as caught:
                error = caught
            else:
                return None
            if own.is_raw:
                self._read(own)
            found = self._read_errors(own)
            if self.in_flight.find(probe.check.id, probe.sequence) is None:
                return None
            if not found:
                return error
        return error

    def _read(self, own: _Socket) -> None:
        if is_empty(own.sock):
            return
        self._read_errors(own)
        for datagram in receive(own.sock):
            self._take(own, datagram)

    def _read_errors(self, own: _Socket) -> bool:
        """Ping sockets report errors in their queue; raw sockets receive them like any message."""
        if own.is_raw:
            return False
        found = False
        for report in receive_errors(own.sock):
            found = True
            self._take_error(report.error, report.target, report.quoted, report.received_ns)
        return found

    def _take(self, own: _Socket, datagram: Datagram) -> None:
        try:
            message = datagram.data
            if own.is_raw and own.version == 4:
                message = icmp.split_ipv4(message).payload
            if message[:1] and message[0] in {icmp.Echo.V4_REPLY, icmp.Echo.V6_REPLY}:
                self._take_reply(own, message, datagram)
            else:
                error = icmp.decode_error(message, version=own.version)
                told = IcmpError(
                    own.version, datagram.source, error.icmp_type, error.icmp_code, mtu=error.mtu or 0
                )
                quote = error.quote
                self._take_error(told, quote.destination, quote.transport, datagram.received_ns)
        except RemoteFormatError:
            return  # not ours, or not what it says it is

    def _take_reply(self, own: _Socket, message: bytes, datagram: Datagram) -> None:
        echo = icmp.decode_echo(message, version=own.version)
        cookie = icmp.decode_cookie(echo.data, key=self.keys.own)
        probe = self.in_flight.find(cookie.check, cookie.sequence) if cookie.boot == self.boot else None
        if probe is None and cookie.boot == self.boot:
            self.in_flight.record_repeat(cookie.check, cookie.sequence, source=datagram.source)
        if probe is None or probe.check.target.address != datagram.source:
            return
        arrived_ns = self.clock.arrival_ns(datagram.received_ns, since_ns=self._drained_ns)
        rtt_ns = max(1, arrived_ns - probe.sent_ns)
        if rtt_ns <= probe.check.probe.timeout_ns:
            self.in_flight.record_response(probe, Observation(Reached(rtt_ns)))

    def _take_error(self, error: IcmpError, target: str, quoted: bytes, stamp_ns: int | None) -> None:
        """*quoted* begins with the echo's own header; a short quote falls back to the oldest echo there."""
        try:
            cookie = icmp.peek_cookie(quoted[icmp.HEADER_BYTES :])
        except RemoteFormatError:
            probe = self.in_flight.find_oldest(
                lambda waiting: waiting.check.probe.kind == "icmp" and waiting.check.target.address == target
            )
        else:
            probe = self.in_flight.find(cookie.check, cookie.sequence) if cookie.boot == self.boot else None
        if probe is None or probe.check.target.address != target:
            return
        rtt_ns = max(1, self.clock.arrival_ns(stamp_ns, since_ns=self._drained_ns) - probe.sent_ns)
        self.in_flight.record_response(probe, Observation(outcome_of_icmp(error, probe.check, rtt_ns=rtt_ns)))


def _open_raw(version: int, *, identifier: int) -> _Socket | None:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    try:
        sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    except OSError:
        return None
    attach_filter(sock, _filter(version, identifier=identifier))
    want_details(sock)
    prepare(sock, errors=False)
    return _Socket(sock, version, is_raw=True)


def _open_ping(version: int) -> _Socket | None:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, protocol)
    except OSError:
        return None
    want_details(sock)
    prepare(sock, errors=True)
    return _Socket(sock, version, is_raw=False)


def _filter(version: int, *, identifier: int) -> Iterator[tuple[int, int, int, int]]:
    """Pass echo replies with our identifier, and errors that quote an echo of either version."""
    errors: tuple[int, ...]
    if version == 4:  # raw IPv4 sockets see the IP header: X = its length
        errors, reply, quoted_protocol = (3, 11, 12), 0, (_LD_B_IND, 0, 0, 8 + 9)
        yield (_LDX_MSH, 0, 0, 0)
        yield (_LD_B_IND, 0, 0, 0)
        load_identifier = (_LD_H_IND, 0, 0, 4)
        protocol = icmp.PROTOCOL_ICMP
    else:
        errors, reply, quoted_protocol = (1, 2, 3, 4), 129, (_LD_B_ABS, 0, 0, 8 + 6)
        yield (_LD_B_ABS, 0, 0, 0)
        load_identifier = (_LD_H_ABS, 0, 0, 4)
        protocol = icmp.PROTOCOL_ICMPV6
    for left, kind in zip(range(len(errors), 0, -1), errors, strict=True):
        yield (_JEQ, left + 4, 0, kind)
    yield (_JEQ, 0, 2, reply)
    yield load_identifier
    yield (_JEQ, 1, 0, identifier)
    yield _DROP
    yield _PASS
    yield quoted_protocol
    yield (_JEQ, 0, 1, protocol)
    yield _PASS
    yield _DROP
