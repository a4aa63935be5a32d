"""Asks ``udp`` checks: one socket per address family and flow, so a check's flow keeps its source port.

A service address gets a socket of its own for each probe: its flow would otherwise stay bound, by connection
tracking, to the endpoint that was chosen first, and a repaired or broken service proxy would not show.

Nobody is woken by an answer: it waits in its socket, stamped by the kernel, until the engine's next tick
drains them all.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from netprobe.engine.clock import Clock
from netprobe.engine.ledger import Ledger, Open, Round
from netprobe.engine.schedule import TICK_NS
from netprobe.engine.sockets import (
    Datagram,
    Reported,
    family_of,
    open_udp,
    prepare,
    receive,
    receive_errors,
    version_of,
)
from netprobe.errors import RemoteFormatError
from netprobe.model.check import Check, TargetKind
from netprobe.model.outcome import NotMeasured
from netprobe.probes import udp
from netprobe.probes.rejection import outcome_of_icmp, seen_of_send_error
from netprobe.probes.seen import Seen
from netprobe.wire import stamp

_LINGER_NS = TICK_NS + 50_000_000
"""A peer may hold a request for a moment; that time is taken off the answer's."""


@dataclass(slots=True)
class Keyring:
    """The fleet's key, and the one before it while a new plan spreads."""

    key: bytes = b""
    previous: bytes = b""

    def use(self, key: bytes) -> None:
        """From now on seal with *key*; go on believing the one before."""
        if key != self.key:
            self.previous, self.key = self.key, key

    @property
    def believed(self) -> tuple[bytes, ...]:
        """Every key that proves a packet; without a plan there is none, and nobody is believed."""
        return tuple(key for key in (self.key, self.previous) if key)


@dataclass(slots=True)
class UdpEcho:
    """Sends requests, matches answers and errors."""

    ledger: Ledger
    keys: Keyring
    boot: int
    clock: Clock
    dropped: int = 0
    """Answers our full buffers have lost so far."""
    _sockets: dict[tuple[int, int], socket.socket] = field(default_factory=dict)
    """By address family and number of the flow; flow 0 is opened first, the others when they are asked."""
    _drops: dict[int, int] = field(default_factory=dict)
    _passing: list[tuple[int, socket.socket]] = field(default_factory=list)
    """Sockets of one probe each, with the monotonic time at which nobody listens to them any more."""
    _drained_ns: int = 0

    def open(self) -> None:
        """Open the sockets; a family that this host does not have stays closed."""
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                self._sockets[family, 0] = self._open_one(family)
            except OSError:
                continue

    def close(self) -> None:
        """Close every socket."""
        for sock in (*self._sockets.values(), *(sock for _, sock in self._passing)):
            sock.close()
        self._sockets.clear()
        self._passing.clear()

    def send(self, checks: Sequence[Check], turn: Round, *, is_urgent: bool = False) -> None:
        """Ask each once; all are sealed before the first leaves, and marked with the time as they leave."""
        now_ns = self.clock.mono_ns()
        probes = [self.ledger.ask(check, turn, now_ns=now_ns) for check in checks]
        packets = [bytearray(self._seal(probe, is_urgent=is_urgent)) for probe in probes]
        for probe, packet in zip(probes, packets, strict=True):
            self._send(probe, packet)

    def _seal(self, probe: Open, *, is_urgent: bool) -> bytes:
        request = stamp.Request(probe.check.id, self.boot, probe.sequence, 0, probe.sequence, is_urgent)
        size = udp.payload_bytes(probe.check.probe, version=version_of(probe.check.target.address))
        return stamp.encode_request(request, key=self.keys.key, size=size)

    def _send(self, probe: Open, packet: bytearray) -> None:
        sock = self._socket_for(probe.check)
        probe.sent_ns = self.clock.mono_ns()
        if sock is None:
            self.ledger.retract(probe, Seen(NotMeasured("this host has no such address family")))
            return
        stamp.mark(packet, at_ns=self.clock.wall_ns())
        error = self._send_past_old_errors(sock, packet, probe)
        if error is not None:
            version = version_of(probe.check.target.address)
            self.ledger.retract(probe, seen_of_send_error(error, probe.check, version=version))

    def drain(self) -> None:
        """Read what waits in every socket: on each tick, and before verdicts are drawn."""
        began_ns = self.clock.mono_ns()
        for sock in self._sockets.values():
            self._read(sock)
        passing, self._passing = self._passing, []
        for until_ns, sock in passing:
            self._read(sock)
            if until_ns > began_ns:
                self._passing.append((until_ns, sock))
            else:
                self._drops.pop(sock.fileno(), None)
                sock.close()
        self._drained_ns = began_ns

    def _open_one(self, family: socket.AddressFamily) -> socket.socket:
        sock = open_udp(family, details=False)
        prepare(sock, errors=True)
        return sock

    def _socket_for(self, check: Check) -> socket.socket | None:
        family = family_of(check.target.address)
        if (family, 0) not in self._sockets:
            return None
        if check.target.kind is not TargetKind.SERVICE:
            return self._socket_of(family, udp.flow_of(check.probe))
        try:
            sock = self._open_one(family)
        except OSError:
            return None
        self._passing.append((self.clock.mono_ns() + check.probe.timeout_ns + _LINGER_NS, sock))
        return sock

    def _socket_of(self, family: socket.AddressFamily, flow: int) -> socket.socket | None:
        if (family, flow) not in self._sockets:
            try:
                self._sockets[family, flow] = self._open_one(family)
            except OSError:
                return None
        return self._sockets[family, flow]

    def _send_past_old_errors(self, sock: socket.socket, packet: bytearray, probe: Open) -> OSError | None:
        """Send; an error left over from an earlier datagram is read from the queue and does not count.

        A local firewall that rejects answers while we are still sending: then the queue already holds this
        probe's own outcome.
        """
        error: OSError | None = None
        for _ in range(4):
            try:
                sock.sendto(packet, (probe.check.target.address, probe.check.probe.port))
            except OSError as caught:
                error = caught
            else:
                return None
            if not self._read_errors(sock):
                return error
            if self.ledger.find(probe.check.id, probe.sequence) is None:
                return None
        return error

    def _read(self, sock: socket.socket) -> None:
        self._read_errors(sock)
        datagrams = tuple(receive(sock))
        answers = [self._prove(datagram.data) for datagram in datagrams]
        now_ns = self.clock.mono_ns()
        offset_ns = now_ns - self.clock.wall_ns()
        for datagram, answer in zip(datagrams, answers, strict=True):
            if answer is not None and answer.boot == self.boot:
                stamp_ns = datagram.received_ns
                arrived_ns = max(self._drained_ns, stamp_ns + offset_ns) if stamp_ns else now_ns
                self._take_answer(answer, arrived_ns=min(now_ns, arrived_ns))
        if datagrams:
            self._count_drops(sock, datagrams[-1])

    def _read_errors(self, sock: socket.socket) -> bool:
        reports = list(receive_errors(sock))
        for report in reports:
            self._take_error(report)
        return bool(reports)

    def _count_drops(self, sock: socket.socket, datagram: Datagram) -> None:
        known = self._drops.get(sock.fileno(), 0)
        if datagram.dropped > known:
            self.dropped += datagram.dropped - known
            self._drops[sock.fileno()] = datagram.dropped

    def _take_answer(self, answer: stamp.Answer, *, arrived_ns: int) -> None:
        probe = self.ledger.find(answer.check, answer.sequence)
        if probe is None:
            return
        elapsed_ns = max(0, arrived_ns - probe.sent_ns)
        self.ledger.saw(probe, udp.judge(answer, probe.check, elapsed_ns=elapsed_ns))

    def _prove(self, data: bytes) -> stamp.Answer | None:
        for key in self.keys.believed:
            try:
                return stamp.decode_answer(data, key=key)
            except RemoteFormatError:
                continue
        return None

    def _take_error(self, report: Reported) -> None:
        quote = stamp.read_quote(report.quoted)
        if quote and quote.check is not None:
            probe = self.ledger.find(quote.check, quote.sequence)
        else:
            probe = self.ledger.find_oldest(lambda waiting: _is_about(report, waiting))
        if probe is None or not _is_about(report, probe):
            return
        arrived_ns = self.clock.arrival_ns(report.received_ns, since_ns=self._drained_ns)
        rtt_ns = max(1, arrived_ns - probe.sent_ns)
        self.ledger.saw(probe, Seen(outcome_of_icmp(report.error, probe.check, rtt_ns=rtt_ns)))


def _is_about(report: Reported, probe: Open) -> bool:
    asked = probe.check
    return (
        asked.probe.kind == "udp"
        and asked.target.address == report.target
        and asked.probe.port == report.target_port
    )
