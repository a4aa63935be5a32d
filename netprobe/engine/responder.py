"""The answering side: STAMP reflector over UDP, and beside it HTTP, on one port number.

Rules: a datagram is answered only if it proves the fleet's key, with exactly as many bytes as it had, and at
most *MAX_ANSWERS_PER_S* of them; nobody else gets a byte over UDP.

The first request after a pause is answered at once; those that follow it are gathered, because waking
costs more than answering: until the engine's next beat, or for a shorter time where so many come that they
could overrun the socket's buffer. The kernel stamps each on arrival, and an answer says how long it was held,
so the wait is in nobody's round trip time.

A request that says that somebody waits for it (a question on demand) keeps us awake for a while: it and all
that follow are answered at once. Then we also listen for what routers say of our answers, because only we are
told where the way back is narrow.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from netprobe.engine.clock import Clock
from netprobe.engine.echo_udp import Keyring
from netprobe.engine.identifying import MAX_CONNECTIONS, MAX_REQUEST_BYTES, IdentityServer
from netprobe.engine.reflecting import Arrival, Reflecting
from netprobe.engine.schedule import TICK_NS
from netprobe.engine.sockets import (
    Datagram,
    listen_for_errors,
    open_udp,
    prepare,
    receive,
    receive_errors,
    reply_control,
)
from netprobe.errors import RemoteFormatError, SurroundingsError
from netprobe.probes.rejection import told_mtu
from netprobe.wire import stamp

MAX_ANSWERS_PER_S = 20_000
MAX_BATCH = 1_000
"""Requests answered in one go; the rest waits for the next."""
BUSY_BATCH = 128
"""Where so many had gathered, the next are gathered for a shorter time: a buffer of the kernel's usual size
holds about twice as many of the largest."""
_LEAST_GATHER_NS = 4_000_000
AWAKE_NS = 3_000_000_000
"""How long after an urgent request everything is answered at once."""
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


@dataclass(slots=True)
class Allowance:
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
    reflecting: Reflecting
    interval_ns: int = 1_000_000_000
    beat_ns: int = TICK_NS
    """How often :meth:`answer_gathered` is called."""
    dropped: int = 0
    """Requests lost to full buffers or to the allowance."""
    strangers: int = 0
    _allowance: Allowance = field(default_factory=lambda: Allowance(MAX_ANSWERS_PER_S))
    _sockets: list[socket.socket] = field(default_factory=list)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _drops: dict[int, int] = field(default_factory=dict)
    _resting: list[socket.socket] = field(default_factory=list)
    """Sockets that nobody watches while their requests gather."""
    _gather_ns: int = TICK_NS
    _sooner: asyncio.TimerHandle | None = None
    """Reads before the next beat, where that would be too late."""
    _awake_until_ns: int = 0
    _hears_errors: bool = False

    async def open(self) -> None:
        """Listen on every address; *port* 0 takes a free one. A family this host lacks is left out."""
        problem: OSError | None = None
        for family in _FAMILIES:
            try:
                await self._open_family(family)
            except OSError as error:
                problem = error
        if not self._sockets:
            await self.close()
            raise SurroundingsError(f"cannot listen on port {self.port}: {problem}")

    async def close(self) -> None:
        """Stop listening."""
        self._resting.clear()
        if self._sooner:
            self._sooner.cancel()
        for sock in self._sockets:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            sock.close()
        for server in self._servers:
            server.close()
        self._sockets.clear()
        self._servers.clear()

    async def _open_family(self, family: socket.AddressFamily) -> None:
        tcp = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            tcp.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", self.port))  # noqa: S104
            self.port = tcp.getsockname()[1]
            udp = open_udp(family, port=self.port)
        except OSError:
            tcp.close()
            raise
        prepare(udp, errors=False)
        self._sockets.append(udp)
        asyncio.get_running_loop().add_reader(udp.fileno(), self._wake, udp)
        server = await asyncio.start_server(
            self.http.serve, sock=tcp, backlog=MAX_CONNECTIONS, limit=MAX_REQUEST_BYTES
        )
        self._servers.append(server)

    def answer_gathered(self) -> None:
        """On each beat: answer what has gathered; where nothing has, wait for the next request."""
        resting, self._resting = self._resting, []
        if not resting:
            self._doze()
            return
        counts = [self._read(sock) for sock in resting]
        self._gather_ns = gather_ns(self._gather_ns, count=max(counts), beat_ns=self.beat_ns)
        for sock, count in zip(resting, counts, strict=True):
            if count and not self._awake_until_ns:
                self._resting.append(sock)
            else:
                asyncio.get_running_loop().add_reader(sock.fileno(), self._wake, sock)
        self._plan_sooner()

    def _wake(self, sock: socket.socket) -> None:
        """Answer what is there; then, if nobody waits for the next, let requests gather."""
        self._read(sock)
        if not self._awake_until_ns:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            self._resting.append(sock)
            self._plan_sooner()

    def _plan_sooner(self) -> None:
        if self._sooner:
            self._sooner.cancel()
            self._sooner = None
        if self._resting and self._gather_ns < self.beat_ns:
            self._sooner = asyncio.get_running_loop().call_later(self._gather_ns / 1e9, self.answer_gathered)

    def _stay_awake(self) -> None:
        self._awake_until_ns = self.clock.mono_ns() + AWAKE_NS
        self._hear_errors(wanted=True)

    def _doze(self) -> None:
        """Back to gathering, some time after the last urgent request."""
        if self._awake_until_ns and self.clock.mono_ns() > self._awake_until_ns:
            self._awake_until_ns = 0
            self._hear_errors(wanted=False)

    def _hear_errors(self, *, wanted: bool) -> None:
        if wanted != self._hears_errors:
            self._hears_errors = wanted
            for sock in self._sockets:
                listen_for_errors(sock, wanted=wanted)
                self._read_errors(sock)

    def _read_errors(self, sock: socket.socket) -> None:
        """What routers say of our answers: the MTU they tell is passed on to the asker."""
        for report in receive_errors(sock):
            mtu, session = told_mtu(report.error), stamp.read_quoted_session(report.quoted)
            if mtu and session:
                self.reflecting.note_mtu(*session, mtu)

    def _read(self, sock: socket.socket) -> int:
        """Answer all requests that wait; how many they were.

        Each step is done for all of them before the next, because code that has just run runs several times
        as fast, and a system call in between makes the processor forget much of it.
        """
        if self._hears_errors:
            self._read_errors(sock)
        datagrams = tuple(receive(sock, at_most=MAX_BATCH))
        if not datagrams:
            return 0
        self._count_drops(sock, datagrams)
        proven = [(datagram, self._prove(datagram.data)) for datagram in datagrams]
        known = [(datagram, *found) for datagram, found in proven if found]
        self.strangers += len(datagrams) - len(known)
        if any(request.is_urgent for _, request, _ in known):
            self._stay_awake()
        now_ns = self.clock.wall_ns()
        reflected = [
            (datagram, self._reflect(datagram, request, now_ns=now_ns), key)
            for datagram, request, key in known
        ]
        packets = [
            (datagram, bytearray(stamp.encode_answer(answer, key=key, size=len(datagram.data))))
            for datagram, answer, key in reflected
            if answer is not None
        ]
        allowed = self._allowance.take(len(packets), now_ns=self.clock.mono_ns())
        self.dropped += len(packets) - allowed
        for datagram, packet in packets[:allowed]:
            self._send(sock, datagram, packet)
        return len(datagrams)

    def _count_drops(self, sock: socket.socket, datagrams: Iterable[Datagram]) -> None:
        known = self._drops.get(sock.fileno(), 0)
        told = max(datagram.dropped for datagram in datagrams)
        if told > known:
            self.dropped += told - known
            self._drops[sock.fileno()] = told

    def _reflect(self, datagram: Datagram, request: stamp.Request, *, now_ns: int) -> stamp.Answer | None:
        received_ns = min(now_ns, datagram.received_ns or now_ns)
        arrival = Arrival(received_ns, datagram.source, datagram.source_port, self.port, datagram.ttl)
        return self.reflecting.reflect(request, arrival, interval_ns=self.interval_ns, now_ns=now_ns)

    def _send(self, sock: socket.socket, datagram: Datagram, packet: bytearray) -> None:
        control = reply_control(datagram)
        stamp.mark(packet, at_ns=self.clock.wall_ns())
        for _ in range(2 if self._hears_errors else 1):  # an error of an earlier answer is raised by the next
            try:
                sock.sendmsg((packet,), control, 0, (datagram.source, datagram.source_port))
            except OSError:
                continue
            return
        self.dropped += 1

    def _prove(self, data: bytes) -> tuple[stamp.Request, bytes] | None:
        for key in self.keys.believed:
            try:
                return stamp.decode_request(data, key=key), key
            except RemoteFormatError:
                continue
        return None


def gather_ns(before_ns: int, *, count: int, beat_ns: int) -> int:
    """How long to gather next, after *count* requests came in *before_ns*; pure.

    Twice as long where few came, half as long where many did; a beat at most.

    >>> gather_ns(50, count=10, beat_ns=80), gather_ns(8_000_000, count=200, beat_ns=80_000_000)
    (80, 4000000)
    """
    if count >= BUSY_BATCH:
        return max(_LEAST_GATHER_NS, before_ns // 2)
    return min(beat_ns, 2 * before_ns) if count <= BUSY_BATCH // 3 else min(beat_ns, before_ns)
