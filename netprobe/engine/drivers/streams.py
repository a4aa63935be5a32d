"""Sockets for stream probes (``probes.net.Net``) on asyncio; every failure is an outcome."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import socket
import struct
import termios
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from netprobe.engine.packet_header import mark_connection
from netprobe.engine.sockets import family_of, prepare, receive_errors, version_of
from netprobe.model.check import Check
from netprobe.model.outcome import NotMeasured, Refused, TimedOut
from netprobe.model.prose import Prose
from netprobe.probes.name_resolution import parse_resolvers
from netprobe.probes.net import Closed, Resolvers
from netprobe.probes.observation import Observation
from netprobe.probes.packet_options import PacketOptions, packet_options_of
from netprobe.probes.rejection import observe_send_error, outcome_of_icmp

T = TypeVar("T")
_CHUNK_BYTES = 16 * 1024
_RESOLV_CONF = Path("/etc/resolv.conf")


class StreamNet:
    """One probe's sockets; everything ends at its deadline."""

    def __init__(self, check: Check, *, turn: int = 0) -> None:
        """*turn* is the number of the probe: with a range of source ports, each takes the next one."""
        self._turn = turn
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._deadline_s = self._began_s + check.probe.timeout_ns / 1e9

    def now_ns(self) -> int:
        """Monotonic time."""
        return int(self._loop.time() * 1e9)

    def wall_ns(self) -> int:
        """Unix time, to compare with dates."""
        return time.time_ns()

    def resolvers(self) -> Resolvers:
        """How this host resolves names; empty where it has no resolv.conf."""
        try:
            return parse_resolvers(_RESOLV_CONF.read_text(errors="replace"))
        except OSError:
            return Resolvers()

    async def connect(self, check: Check, *, port: int) -> TcpStream | Observation:
        """Open a TCP connection to the check's target."""
        sock, failed = self._open(check, socket.SOCK_STREAM)
        if sock is None:
            return failed
        try:
            async with asyncio.timeout_at(self._deadline_s):
                await self._loop.sock_connect(sock, (check.target.address, port))
        except TimeoutError as error:
            seen = self._silence(check) if error.errno is None else self._why(sock, error, check)
        except OSError as error:
            seen = self._why(sock, error, check)
        else:
            return TcpStream(sock, check, deadline_s=self._deadline_s)
        sock.close()
        return seen

    async def exchange(
        self, check: Check, *, port: int, request: bytes, accept: Callable[[bytes], T | None]
    ) -> T | Observation:
        """Send one datagram and wait for the first one back that *accept* does not turn away."""
        sock, failed = self._open(check, socket.SOCK_DGRAM)
        if sock is None:
            return failed
        async with self._closing(sock):
            try:
                sock.connect((check.target.address, port))
                sock.send(request)
                async with asyncio.timeout_at(self._deadline_s):
                    while True:
                        accepted = accept(await self._loop.sock_recv(sock, 65_535))
                        if accepted is not None:
                            return accepted
            except TimeoutError as error:
                return self._silence(check) if error.errno is None else self._why(sock, error, check)
            except OSError as error:
                return self._why(sock, error, check)

    def _open(self, check: Check, kind: socket.SocketKind) -> tuple[socket.socket | None, Observation]:
        try:
            sock = socket.socket(family_of(check.target.address), kind | socket.SOCK_CLOEXEC)
            prepare(sock, errors=True)
            if check.probe.options:
                self._mark(sock, packet_options_of(check.probe))
        except OSError as error:
            return None, Observation(NotMeasured(Prose(f"no socket: {error.strerror}")))
        return sock, Observation(NotMeasured(Prose("no socket")))

    def _mark(self, sock: socket.socket, options: PacketOptions) -> None:
        """Give a socket the header and the source port that the question names."""
        mark_connection(sock, options)
        port = options.source_port(self._turn)
        if port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # The next question may have the same port at once: a reset leaves no TIME-WAIT (RFC 9293).
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.bind(("::" if sock.family == socket.AF_INET6 else "0.0.0.0", port))  # noqa: S104

    @asynccontextmanager
    async def _closing(self, sock: socket.socket) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._loop.remove_reader(sock.fileno())
            sock.close()

    def _silence(self, check: Check) -> Observation:
        return Observation(TimedOut(check.probe.timeout_ns))

    def _why(self, sock: socket.socket, error: OSError, check: Check) -> Observation:
        """What a failed dial means: the ICMP error in the queue if there is one, else the error number.

        Since Linux 5.8, ICMP errors of a connecting TCP socket are in its error queue too.
        """
        rtt_ns = max(1, int((self._loop.time() - self._began_s) * 1e9))
        version = version_of(check.target.address)
        for report in receive_errors(sock):
            return Observation(outcome_of_icmp(report.error, check, rtt_ns=rtt_ns))
        if error.errno == errno.ECONNREFUSED:  # no ICMP error in the queue: a RST
            return Observation(Refused(rtt_ns))
        if error.errno == errno.ETIMEDOUT:
            return self._silence(check)
        return observe_send_error(error, check, version=version)


_LOOK_AGAIN_S = 0.005
"""Nothing wakes a process when its data is acknowledged."""
_THEN_SILENCE = Prose("connected, then silence")


class TcpStream:
    """A TCP connection of one probe."""

    def __init__(self, sock: socket.socket, check: Check, *, deadline_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._check = check
        self._deadline_s = deadline_s

    async def send(self, data: bytes) -> Closed | Observation | None:
        """Send everything; anything but None is why it could not be sent."""
        try:
            async with asyncio.timeout_at(self._deadline_s):
                await self._loop.sock_sendall(self._sock, data)
        except TimeoutError:
            return Observation(TimedOut(self._check.probe.timeout_ns), detail=_THEN_SILENCE)
        except OSError:
            return Closed(reset=True)
        return None

    async def receive(self) -> bytes | Closed | Observation:
        """The next bytes; ``Closed`` at the end; ``Observation`` on a time-out."""
        try:
            async with asyncio.timeout_at(self._deadline_s):
                data = await self._loop.sock_recv(self._sock, _CHUNK_BYTES)
        except TimeoutError:
            return Observation(TimedOut(self._check.probe.timeout_ns), detail=_THEN_SILENCE)
        except OSError:
            return Closed(reset=True)
        return data or Closed()

    async def wait_acknowledged(self) -> Closed | Observation | None:
        """Wait until the peer's TCP has acknowledged all that was sent (SIOCOUTQ, tcp(7))."""
        while True:
            if self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return Closed(reset=True)
            left = struct.unpack("i", fcntl.ioctl(self._sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
            if not left:
                return None
            if self._loop.time() >= self._deadline_s:
                return Observation(TimedOut(self._check.probe.timeout_ns), detail=_THEN_SILENCE)
            await asyncio.sleep(_LOOK_AGAIN_S)

    def close(self) -> None:
        """Close; never fails."""
        self._sock.close()
