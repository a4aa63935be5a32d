"""Asks ``udp`` checks: one socket per address family and flow, so a check's flow keeps its source port.

Each probe of a service address gets a socket of its own: connection tracking would otherwise bind the flow to
the endpoint that was chosen first, and a repaired or broken service proxy would not show. So does each probe
of a check that asks with new flows.

Responses wake nothing: they wait in their socket, timestamped by the kernel, until the engine's next tick
reads them all.

An answer counts from the address that was asked. One that is proven and comes from elsewhere is kept as
evidence of that, in case that no other comes.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from netprobe.engine.clock import Clock
from netprobe.engine.inflight import InFlightTable, IntervalProbes, PendingProbe
from netprobe.engine.keyring import Keyring, key_name_of
from netprobe.engine.packet_header import send_packet
from netprobe.engine.recvmmsg import BatchReceiver, Packet
from netprobe.engine.schedule import TICK_NS
from netprobe.engine.sockets import (
    Reported,
    family_of,
    is_empty,
    open_udp,
    prepare,
    receive_errors,
    use_of_buffer,
    version_of,
)
from netprobe.errors import RemoteFormatError
from netprobe.model.check import Check, TargetKind
from netprobe.model.names import CheckId
from netprobe.model.outcome import NotMeasured
from netprobe.model.prose import Prose
from netprobe.probes import udp
from netprobe.probes.observation import Observation
from netprobe.probes.packet_options import PacketOptions, packet_options_of
from netprobe.probes.rejection import observe_send_error, outcome_of_icmp
from netprobe.probes.repeats import write_source_port
from netprobe.wire import stamp

_LINGER_NS = TICK_NS + 50_000_000
"""A peer may hold a request for a moment; that time is taken off the answer's."""
_make = tuple.__new__


class _CheckRoute(NamedTuple):
    """What is the same in every probe of a check."""

    check: Check
    destination: tuple[str, int]
    payload_bytes: int
    family: int
    socket: tuple[int, int] | None
    """Which of the open ones: address family and flow; None where each probe has a socket of its own."""
    key: bytes
    asker: bytes
    """Who we are to the target; empty with the key of a whole fleet."""
    name: str
    """Whose key it is."""
    is_translated: bool
    """Whether the answer may come from any address: a service's is translated."""
    options: PacketOptions


@dataclass(slots=True)
class UdpEcho:
    """Sends requests, matches answers and errors."""

    in_flight: InFlightTable
    keys: Keyring
    boot: int
    clock: Clock
    _sockets: dict[tuple[int, int], socket.socket] = field(default_factory=dict)
    """By address family and number of the flow; flow 0 is opened first, the others when they are asked."""
    _one_shot: list[tuple[int, socket.socket]] = field(default_factory=list)
    """Sockets of one probe each, with the monotonic time at which they are closed."""
    _one_shot_dropped: int = 0
    """What the full buffers of those that were closed have lost."""
    _receivers: dict[int, BatchReceiver] = field(default_factory=dict)
    _routes: dict[CheckId, _CheckRoute] = field(default_factory=dict)
    _former_routes: dict[CheckId, _CheckRoute] = field(default_factory=dict)
    """Those of the plan before, whose answers may still come."""
    _drained_ns: int = 0

    def open(self) -> None:
        """Open the sockets; a family that this host does not have stays closed."""
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                self._sockets[int(family), 0] = self._open_one(family)
            except OSError:
                continue
            self._receivers[int(family)] = BatchReceiver(family, details=False)

    def close(self) -> None:
        """Close every socket."""
        for sock in (*self._sockets.values(), *(sock for _, sock in self._one_shot)):
            sock.close()
        self._sockets.clear()
        self._one_shot.clear()

    def forget_routes(self) -> None:
        """A new plan: what was prepared for the checks of the one before only opens its late answers."""
        self._former_routes, self._routes = self._routes, {}

    def forget_former_routes(self) -> None:
        """No answer to the plan before can be in time any more."""
        self._former_routes = {}

    def send(self, checks: Sequence[Check], interval: IntervalProbes, *, is_urgent: bool = False) -> None:
        """Ask each once; all are sealed before the first leaves, and marked with the time as they leave."""
        now_ns = self.clock.mono_ns()
        sealed_s = self.clock.wall_ns() // 1_000_000_000
        ready = [self._prepare(check, interval, now_ns, sealed_s, is_urgent=is_urgent) for check in checks]
        for probe, route, packet in ready:
            self._send(probe, route, packet)

    def _prepare(
        self, check: Check, interval: IntervalProbes, now_ns: int, sealed_s: int, *, is_urgent: bool
    ) -> tuple[PendingProbe, _CheckRoute, bytearray]:
        route = self._routes.get(check.id)
        if route is None or route.check is not check:
            route = self._routes[check.id] = self._route_of(check)
        probe = self.in_flight.ask(check, interval, now_ns=now_ns)
        number = probe.sequence
        key, asker = route.key, route.asker
        nonce = self.keys.nonces.get(route.name, 0) if asker else 0
        # fmt: off
        request = _make(stamp.Request, (
            check.id, self.boot, number, 0, number, is_urgent, asker, nonce, sealed_s if asker else 0,
        ))
        # fmt: on
        packet = stamp.encode_request(
            request, key=key, size=route.payload_bytes, in_fragments=route.options.in_fragments
        )
        return probe, route, bytearray(packet)

    def _send(self, probe: PendingProbe, route: _CheckRoute, packet: bytearray) -> None:
        sock = (self._sockets.get(route.socket) if route.socket is not None else None) or self._open_for(
            route, probe
        )
        probe.sent_ns = self.clock.mono_ns()
        if sock is None:
            port = route.options.source_port(probe.sequence - 1)
            why = NotMeasured(
                Prose(f"source port {port} is taken" if port else "this host has no such address family")
            )
            self.in_flight.cancel(probe, Observation(why))
            return
        stamp.mark(packet, at_ns=self.clock.wall_ns())
        try:
            send_packet(sock, packet, route.destination, route.options)
        except OSError as error:
            self._send_again(sock, packet, probe, route, error)

    def drain(self) -> None:
        """Read what waits in every socket: on each tick, and before verdicts are drawn."""
        began_ns = self.clock.mono_ns()
        for sock in self._sockets.values():
            self._read(sock)
        one_shot, self._one_shot = self._one_shot, []
        for until_ns, sock in one_shot:
            self._read(sock)
            if until_ns > began_ns:
                self._one_shot.append((until_ns, sock))
            else:
                self._one_shot_dropped += use_of_buffer(sock).dropped
                sock.close()
        self._drained_ns = began_ns

    def _open_one(self, family: socket.AddressFamily, *, port: int = 0) -> socket.socket:
        sock = open_udp(family, port=port, details=False, is_shared=bool(port))
        prepare(sock, errors=True)
        return sock

    def _open_for(self, route: _CheckRoute, probe: PendingProbe) -> socket.socket | None:
        """A socket of its own for this probe, or the one of a flow that is asked for the first time."""
        if (route.family, 0) not in self._sockets:
            return None
        port = route.options.source_port(probe.sequence - 1)
        if port:
            probe.values = (write_source_port(port),)
        try:
            sock = self._open_one(socket.AddressFamily(route.family), port=port)
        except OSError:
            return None
        if route.socket is None:
            until_ns = self.clock.mono_ns() + route.check.probe.timeout_ns + _LINGER_NS
            self._one_shot.append((until_ns, sock))
        else:
            self._sockets[route.socket] = sock
        return sock

    def _send_again(
        self, sock: socket.socket, packet: bytearray, probe: PendingProbe, route: _CheckRoute, error: OSError
    ) -> None:
        """An error left over from an earlier datagram is read from the queue and does not count.

        A local firewall that rejects answers while we are still sending: then the queue already holds this
        probe's own outcome.
        """
        for _ in range(3):
            found = self._read_errors(sock)
            if found and self.in_flight.find(probe.check.id, probe.sequence) is None:
                return
            if not found:
                break
            try:
                send_packet(sock, packet, route.destination, route.options)
            except OSError as caught:
                error = caught
            else:
                return
        self.in_flight.cancel(
            probe, observe_send_error(error, probe.check, version=version_of(route.destination[0]))
        )

    def count_dropped(self) -> int:
        """Answers that our full buffers have lost so far."""
        open_now = (*self._sockets.values(), *(sock for _, sock in self._one_shot))
        return self._one_shot_dropped + sum(use_of_buffer(sock).dropped for sock in open_now)

    def _read(self, sock: socket.socket) -> None:
        if is_empty(sock):
            return
        self._read_errors(sock)
        packets = self._receivers[sock.family].receive(sock)
        answers = [self._prove(packet) for packet in packets]
        drained_ns, now_ns = self._drained_ns, self.clock.mono_ns()
        offset_ns = now_ns - self.clock.wall_ns()
        for (_, _, sender, stamp_ns, _, _), proven in zip(packets, answers, strict=True):
            if proven is not None:
                arrived_ns = stamp_ns + offset_ns if stamp_ns else now_ns
                self._take_answer(*proven, sender, arrived_ns=min(now_ns, max(drained_ns, arrived_ns)))

    def _read_errors(self, sock: socket.socket) -> bool:
        reports = list(receive_errors(sock))
        for report in reports:
            self._take_error(report)
        return bool(reports)

    def _take_answer(
        self, answer: stamp.StampAnswer, route: _CheckRoute, sender: tuple[str, int], *, arrived_ns: int
    ) -> None:
        probe = self.in_flight.find(answer.check, answer.sequence)
        if probe is None:
            self.in_flight.record_repeat(answer.check, answer.sequence, source=sender[0])
            return
        if answer.nonce and not answer.is_astray:
            self.keys.nonces[route.name] = answer.nonce
        seen = udp.judge(answer, probe.check, elapsed_ns=arrived_ns - probe.sent_ns)
        if sender == route.destination or route.is_translated:
            self.in_flight.record_response(probe, seen)
        else:
            self.in_flight.record_elsewhere(probe, udp.judge_elsewhere(seen, probe.check, source=sender[0]))

    def _prove(self, packet: Packet) -> tuple[stamp.StampAnswer, _CheckRoute] | None:
        """An answer to a request of ours, and how that went out; None for any other packet."""
        head = stamp.peek_answer(packet.head)
        if head is None or head.boot != self.boot:
            return None
        for routes in (self._routes, self._former_routes):
            route = routes.get(head.check)  # type: ignore[call-overload] # a number from a packet
            if route is None:
                continue
            key = self.keys.find_target_key(head.name) if head.is_astray else route.key
            try:
                answer = stamp.decode_answer(packet.head, key=key, size=packet.size) if key else None
            except RemoteFormatError:
                continue
            if answer is not None and answer.is_paired == bool(route.asker):
                return answer, route
        return None

    def _route_of(self, check: Check) -> _CheckRoute:
        address, probe = check.target.address, check.probe
        family, seal, flow = int(family_of(address)), self.keys.seal_for(check), udp.flow_of(probe)
        is_translated = check.target.kind is TargetKind.SERVICE
        options = packet_options_of(probe)
        has_own = is_translated or options.source_ports
        return _CheckRoute(
            check=check,
            destination=(address, probe.port),
            payload_bytes=udp.payload_bytes(probe, version=version_of(address)),
            family=family,
            socket=None if flow is None or has_own else (family, flow),
            key=seal.key,
            asker=seal.asker,
            name=key_name_of(check.target) or "",
            is_translated=is_translated,
            options=options,
        )

    def _take_error(self, report: Reported) -> None:
        quote = stamp.read_quote(report.quoted)
        if quote and quote.check is not None:
            probe = self.in_flight.find(quote.check, quote.sequence)
        else:
            probe = self.in_flight.find_oldest(lambda waiting: _is_about(report, waiting))
        if probe is None or not _is_about(report, probe):
            return
        arrived_ns = self.clock.arrival_ns(report.received_ns, since_ns=self._drained_ns)
        rtt_ns = max(1, arrived_ns - probe.sent_ns)
        self.in_flight.record_response(
            probe, Observation(outcome_of_icmp(report.error, probe.check, rtt_ns=rtt_ns))
        )


def _is_about(report: Reported, probe: PendingProbe) -> bool:
    asked = probe.check
    return (
        asked.probe.kind == "udp"
        and asked.target.address == report.target
        and asked.probe.port == report.target_port
    )
