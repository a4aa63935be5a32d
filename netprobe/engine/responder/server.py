"""The answering side: STAMP reflector over UDP, and beside it HTTP, on one port number.

Rules: a datagram is answered only if an asker of our plan has sealed it for us, with exactly as many bytes
as it had, and at most *MAX_ANSWERS_PER_S* of them. One that an asker has sealed for another agent has gone
astray: it is answered with our name, so that its asker learns who is at that address, if it comes from an
address of that asker, at most *MAX_ASTRAY_PER_S* times. No other sender gets a byte over UDP.

Requests are gathered, because waking up costs more than answering: until the engine's next tick, or for a
shorter time where so many arrive that the socket's buffer could overflow. The kernel timestamps each on
arrival, and an answer says how long it was held, so the wait is not in the measured round trip time.

A request marked urgent (an on-demand question) is answered at once: the kernel delivers it to a second socket
of the same port, whose packets wake this process. For a while the responder then also reads ICMP errors about
its answers, because routers report a small MTU on the way back only to it. Where unauthenticated senders mark
their requests urgent, that socket is not watched until the next tick, so that they cannot keep us awake.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from netprobe.engine.clock import Clock
from netprobe.engine.keyring import Keyring
from netprobe.engine.packet_header import fragmented
from netprobe.engine.recvmmsg import BatchReceiver, Packet
from netprobe.engine.responder.identity_http import MAX_CONNECTIONS, MAX_REQUEST_BYTES, IdentityServer
from netprobe.engine.responder.reflector import Arrival, Reflector
from netprobe.engine.schedule import TICK_NS
from netprobe.engine.sockets import (
    SO_ATTACH_REUSEPORT_CBPF,
    attach_filter,
    listen_for_errors,
    open_udp,
    prepare,
    receive_errors,
    reply_control,
    use_of_buffer,
)
from netprobe.errors import SystemRefusedError
from netprobe.probes.rejection import reported_mtu
from netprobe.wire import stamp
from netprobe.wire.stamp import HINT_OFFSET, URGENT, URGENT_IN_FRAGMENTS, may_fragment

MAX_ANSWERS_PER_S = 20_000
MAX_ASTRAY_PER_S = 100
MAX_BATCH = 1_000
"""Requests answered in one go; the rest waits for the next."""
BUSY_SHARE, QUIET_SHARE = 0.5, 0.15
"""Where so much of a buffer was filled, the next requests are gathered for a shorter, or a longer time."""
_LEAST_GATHER_NS = 4_000_000
LISTEN_NS = 3_000_000_000
"""How long after an urgent request we listen for errors about our answers."""
_URGENT_FIRST = (
    (0x28, 0, 0, HINT_OFFSET), (0x15, 1, 0, URGENT), (0x15, 0, 1, URGENT_IN_FRAGMENTS),
    (0x06, 0, 0, 1), (0x06, 0, 0, 0),
)  # fmt: skip
"""A classic BPF program that names the socket for a packet (``SO_ATTACH_REUSEPORT_CBPF``): load 16 bits,
compare, return the number. Where it is not understood, both sockets get some of all packets, and all are
answered."""
_make = tuple.__new__
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_ONCE, _TWICE = range(1), range(2)
_FULL = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})
"""Errors that say that this machine has no room for one more packet now."""


@dataclass(slots=True)
class RateLimiter:
    """A token bucket. Pure: time is an argument."""

    per_s: int
    tokens: float = 0.0
    at_ns: int = 0

    def take(self, wanted: int, *, now_ns: int) -> int:
        """How many of *wanted* more are allowed now."""
        earned = (now_ns - self.at_ns) * self.per_s / 1e9
        self.tokens = min(float(self.per_s), self.tokens + earned)
        self.at_ns = now_ns
        allowed = min(wanted, int(self.tokens))
        self.tokens -= allowed
        return allowed


@dataclass(slots=True)
class Responder:
    """Answers peers."""

    http: IdentityServer
    """Answers connections to the same port."""
    keys: Keyring
    clock: Clock
    port: int
    reflector: Reflector
    interval_ns: int = 1_000_000_000
    tick_ns: int = TICK_NS
    """How often :meth:`answer_gathered` is called."""
    refused: int = 0
    """Requests that the allowance did not let us answer, and answers for which this machine had no room."""
    strangers: int = 0
    _allowance: RateLimiter = field(default_factory=lambda: RateLimiter(MAX_ANSWERS_PER_S))
    _astray_allowance: RateLimiter = field(default_factory=lambda: RateLimiter(MAX_ASTRAY_PER_S))
    _gathering: list[socket.socket] = field(default_factory=list)
    """Sockets that are read on each tick."""
    _urgent: list[socket.socket] = field(default_factory=list)
    _resting: list[socket.socket] = field(default_factory=list)
    """Urgent ones that unauthenticated senders used: not watched until the next tick."""
    _receivers: dict[int, BatchReceiver] = field(default_factory=dict)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _gather_ns: int = TICK_NS
    _sooner: asyncio.TimerHandle | None = None
    """Reads before the next tick, where that would be too late."""
    _listens_until_ns: int = 0

    async def open(self) -> None:
        """Listen on every address; *port* 0 takes a free one. A family this host lacks is left out."""
        problem: OSError | None = None
        for family in _FAMILIES:
            try:
                await self._open_family(family)
            except OSError as error:
                problem = error
        if not self._servers:
            await self.close()
            raise SystemRefusedError(f"cannot listen on port {self.port}: {problem}")

    async def close(self) -> None:
        """Stop listening."""
        if self._sooner:
            self._sooner.cancel()
        for sock in self._urgent:
            asyncio.get_running_loop().remove_reader(sock.fileno())
        for sock in (*self._gathering, *self._urgent):
            sock.close()
        for some in (self._gathering, self._urgent, self._resting):
            some.clear()
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _open_family(self, family: socket.AddressFamily) -> None:
        tcp = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            tcp.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", self.port))  # noqa: S104
            self.port = tcp.getsockname()[1]
            gathering, urgent = _open_pair(family, self.port)
        except OSError:
            tcp.close()
            raise
        self._gathering.append(gathering)
        self._urgent.append(urgent)
        self._receivers[int(family)] = BatchReceiver(family, details=True)
        self._watch(urgent)
        server = await asyncio.start_server(
            self.http.serve, sock=tcp, backlog=MAX_CONNECTIONS, limit=MAX_REQUEST_BYTES
        )
        self._servers.append(server)

    def answer_gathered(self) -> None:
        """On each tick: answer the gathered requests."""
        self._stop_listening()
        resting, self._resting = self._resting, []
        for sock in resting:
            self._read(sock)
            self._watch(sock)
        shares = [use_of_buffer(sock).share for sock in self._gathering]
        for sock, share in zip(self._gathering, shares, strict=True):
            if share:
                self._read(sock)
        self._gather_ns = gather_ns(self._gather_ns, share=max(shares, default=0.0), tick_ns=self.tick_ns)
        self._plan_sooner()

    def count_dropped(self) -> int:
        """Requests lost so far for reasons of our own: to full buffers of either way, or to the allowance.

        An answer that no route or filter of this machine lets out is lost, as its asker sees it.
        """
        return self.refused + sum(use_of_buffer(sock).dropped for sock in (*self._gathering, *self._urgent))

    def _watch(self, sock: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(sock.fileno(), self._wake, sock)

    def _wake(self, sock: socket.socket) -> None:
        """Answer an urgent request; stop watching until the next tick where none was authentic."""
        if not self._read(sock):
            asyncio.get_running_loop().remove_reader(sock.fileno())
            self._resting.append(sock)

    def _plan_sooner(self) -> None:
        if self._sooner:
            self._sooner.cancel()
            self._sooner = None
        if self._gather_ns < self.tick_ns:
            self._sooner = asyncio.get_running_loop().call_later(self._gather_ns / 1e9, self.answer_gathered)

    def _listen(self) -> None:
        """Hear errors about our answers from now on; the kernel may give them to either socket."""
        if not self._listens_until_ns:
            self._hear_errors(wanted=True)
        self._listens_until_ns = self.clock.mono_ns() + LISTEN_NS

    def _stop_listening(self) -> None:
        if self._listens_until_ns and self.clock.mono_ns() > self._listens_until_ns:
            self._listens_until_ns = 0
            self._hear_errors(wanted=False)

    def _hear_errors(self, *, wanted: bool) -> None:
        for sock in (*self._gathering, *self._urgent):
            listen_for_errors(sock, wanted=wanted)
            self._read_errors(sock)

    def _read_errors(self, sock: socket.socket) -> None:
        """ICMP errors about our answers: an MTU that a router reports is passed on to the asker."""
        for report in receive_errors(sock):
            mtu, session = reported_mtu(report.error), stamp.read_quoted_session(report.quoted)
            if mtu and session:
                self.reflector.note_mtu(*session, mtu)

    def _read(self, sock: socket.socket) -> int:
        """Answer all requests that wait; how many of them know the key.

        All answers are sealed before the first leaves, because code that has just run runs several times as
        fast, and a system call in between makes the processor forget much of it.
        """
        if self._listens_until_ns:
            for either in (*self._gathering, *self._urgent):
                self._read_errors(either)
        packets = self._receivers[sock.family].receive(sock, at_most=MAX_BATCH)
        now_ns, known = self.clock.wall_ns(), 0
        answers: list[tuple[Packet, bytearray]] = []
        for packet in packets:
            found = self.keys.prove_request(packet.head, size=packet.size)
            if found is None:
                self.strangers += 1
                answers += self._point_out(packet, now_ns=now_ns)
                continue
            known += 1
            request, key = found
            answer = self._reflect(packet, request, now_ns=now_ns)
            if answer is not None:
                answers.append((packet, bytearray(stamp.encode_answer(answer, key=key, size=packet.size))))
        allowed = self._allowance.take(len(answers), now_ns=self.clock.mono_ns())
        self.refused += len(answers) - allowed
        for packet, answer_packet in answers[:allowed]:
            self._send(sock, packet, answer_packet)
        return known

    def _reflect(self, packet: Packet, request: stamp.Request, *, now_ns: int) -> stamp.StampAnswer | None:
        if request.is_urgent:
            self._listen()
        return self.reflector.reflect(
            request, self._arrival(packet, now_ns=now_ns), interval_ns=self.interval_ns
        )

    def _point_out(self, packet: Packet, *, now_ns: int) -> Iterator[tuple[Packet, bytearray]]:
        """The answer to a request that went astray, if it is one and may have it."""
        found = self.keys.find_astray(packet.head, source=packet.sender[0])
        if found is None or not self._astray_allowance.take(1, now_ns=self.clock.mono_ns()):
            return
        request = stamp.read_astray(packet.head, size=packet.size)
        if request is not None:
            answer = self.reflector.point_out(request, self._arrival(packet, now_ns=now_ns))
            yield packet, bytearray(stamp.encode_answer(answer, key=found, size=packet.size))

    def _arrival(self, packet: Packet, *, now_ns: int) -> Arrival:
        _, _, (source, source_port), stamp_ns, _, ttl = packet
        received_ns = stamp_ns if 0 < stamp_ns < now_ns else now_ns
        return _make(Arrival, (received_ns, source, source_port, self.port, ttl))

    def _send(self, sock: socket.socket, packet: Packet, answer: bytearray) -> None:
        _, _, sender, _, local_address, _ = packet
        control = reply_control(local_address)
        stamp.mark(answer, at_ns=self.clock.wall_ns())
        why = 0
        for _ in _TWICE if self._listens_until_ns else _ONCE:
            try:
                sock.sendmsg((answer,), control, 0, sender)
            except OSError as error:  # an error of an earlier answer is raised by the next
                why = error.errno or 0
                if error.errno == errno.EMSGSIZE and may_fragment(packet.head):
                    with suppress(OSError), fragmented(sock):
                        sock.sendmsg((answer,), control, 0, sender)
                        return
                continue
            return
        self.refused += why in _FULL


def _open_pair(family: socket.AddressFamily, port: int) -> tuple[socket.socket, socket.socket]:
    """Two sockets of one port: for requests that gather, and for those that do not wait."""
    open_udp(
        family, port=port
    ).close()  # no other process may have the port, not even one that would share it
    gathering = open_udp(family, port=port, is_shared=True)
    try:
        urgent = open_udp(family, port=port, is_shared=True)
    except OSError:
        gathering.close()
        raise
    for sock in (gathering, urgent):
        prepare(sock, errors=False)
    with suppress(OSError):
        attach_filter(gathering, _URGENT_FIRST, option=SO_ATTACH_REUSEPORT_CBPF)
    return gathering, urgent


def gather_ns(before_ns: int, *, share: float, tick_ns: int) -> int:
    """How long to gather next, after *share* of the buffer was filled in *before_ns*; pure.

    Twice as long where few came, half as long where many did; a tick at most.

    >>> gather_ns(50, share=0.1, tick_ns=80), gather_ns(8_000_000, share=0.7, tick_ns=80_000_000)
    (80, 4000000)
    """
    if share >= BUSY_SHARE:
        return max(_LEAST_GATHER_NS, before_ns // 2)
    return min(tick_ns, 2 * before_ns) if share <= QUIET_SHARE else min(tick_ns, before_ns)
