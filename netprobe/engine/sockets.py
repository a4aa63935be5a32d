"""Sockets as the engine wants them: DF on, errors with their sender, kernel time stamps, drops counted.

The constants are Linux's (``include/uapi/linux/in.h``, ``in6.h``, ``errqueue.h``); Python names few of them.
"""

from __future__ import annotations

import array
import functools
import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from netprobe.probes.rejection import IcmpError

IP_PKTINFO, IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTTL, IP_TTL = 8, 10, 11, 12, 2
IPV6_MTU_DISCOVER, IPV6_RECVERR, IPV6_RECVPKTINFO, IPV6_PKTINFO = 23, 25, 49, 50
IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT, IPV6_DONTFRAG = 51, 52, 62
PMTUDISC_PROBE = 3
"""Always DF, never what the kernel remembers of a path's MTU."""
SO_ATTACH_FILTER, SO_TIMESTAMPNS, SO_ATTACH_REUSEPORT_CBPF, SO_MEMINFO = 26, 35, 51, 55
MSG_ERRQUEUE = 0x2000

BUFFER_BYTES = 65_536
ANCILLARY_BYTES = 256
RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024
_TTLS = frozenset({IP_TTL, IPV6_HOPLIMIT})
_BUFFER = memoryview(bytearray(BUFFER_BYTES))
_BUFFERS = (_BUFFER,)
"""Shared by all sockets: what is read is copied out at once."""
_ORIGINS = {2: 4, 3: 6}  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_TIMESPEC, _INT = struct.Struct("@qq"), struct.Struct("@i")
_MEMINFO = struct.Struct("@9I")
Ancillary = Iterable[tuple[int, int, bytes]]


class Datagram(NamedTuple):
    """One datagram and what the kernel says about it; a tuple, because one is made per packet."""

    data: bytes
    source: str
    source_port: int
    received_ns: int | None
    """Wall time at which the kernel received it."""
    ttl: int
    """0 where the kernel does not say."""
    local_address: bytes
    """The address it was sent to, packed; empty where the kernel does not say."""


@dataclass(frozen=True, slots=True)
class Reported:
    """An ICMP error from a socket's error queue."""

    error: IcmpError
    target: str
    target_port: int
    quoted: bytes
    """What was quoted of the datagram's payload."""
    received_ns: int | None = None
    """Wall time at which the kernel received it."""


def family_of(address: str) -> socket.AddressFamily:
    """The address family of a textual address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def version_of(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


def prepare(sock: socket.socket, *, errors: bool) -> None:
    """Make a socket ours: non-blocking, DF on, and with *errors* ICMP errors in its error queue."""
    sock.setblocking(False)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
        if sock.type != socket.SOCK_STREAM:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_DONTFRAG, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
    listen_for_errors(sock, wanted=errors)


def listen_for_errors(sock: socket.socket, *, wanted: bool) -> None:
    """Whether ICMP errors about what this socket sent wait in its error queue."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, int(wanted))
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, int(wanted))


def want_stamps(sock: socket.socket) -> None:
    """Ask the kernel for a time stamp with each datagram."""
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


def want_details(sock: socket.socket) -> None:
    """Ask the kernel for time stamp, TTL and local address with each datagram."""
    want_stamps(sock)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


class BufferUse(NamedTuple):
    """How a socket's receive buffer stands."""

    share: float
    """How much of it is filled."""
    dropped: int
    """Datagrams that it lost so far because it was full."""


def use_of_buffer(sock: socket.socket) -> BufferUse:
    """How full the receive buffer is (``include/uapi/linux/sock_diag.h``)."""
    told = _MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size))
    return BufferUse(told[0] / told[1], told[8])


def is_empty(sock: socket.socket) -> bool:
    """Whether nothing waits in it, neither a datagram nor an error: both count in its receive buffer."""
    return use_of_buffer(sock).share == 0


def open_udp(
    family: socket.AddressFamily, *, port: int = 0, details: bool = True, is_shared: bool = False
) -> socket.socket:
    """A UDP socket on every address of one family; without *details* it tells time stamps only.

    With *is_shared* others of this user may be bound to the same port (``SO_REUSEPORT``).
    """
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(is_shared))
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        (want_details if details else want_stamps)(sock)
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))  # noqa: S104 - every address is meant
    except OSError:
        sock.close()
        raise
    return sock


def receive(sock: socket.socket, *, at_most: int = 1_024) -> Iterator[Datagram]:
    """Datagrams that wait in the socket, until it is empty or *at_most* were read."""
    for _ in range(at_most):
        try:
            size, ancillary, _, source = sock.recvmsg_into(_BUFFERS, ANCILLARY_BYTES)
        except BlockingIOError:
            return
        except OSError:
            continue  # a pending ICMP error was reported here; the error queue holds it too
        yield _datagram(bytes(_BUFFER[:size]), ancillary, source)


def receive_errors(sock: socket.socket, *, at_most: int = 128) -> Iterator[Reported]:
    """ICMP errors that wait in the socket's error queue; what our own host reports there is skipped."""
    for _ in range(at_most):
        try:
            quoted, ancillary, _, target = sock.recvmsg(BUFFER_BYTES, ANCILLARY_BYTES, MSG_ERRQUEUE)
        except OSError:
            return
        error = _extended_error(ancillary)
        if error:
            address, port = (target[0], target[1]) if target else ("", 0)
            yield Reported(error, address.split("%")[0], port, quoted, _stamp_of(ancillary))


def attach_filter(
    sock: socket.socket, program: Iterable[tuple[int, int, int, int]], *, option: int = SO_ATTACH_FILTER
) -> None:
    """Attach a classic BPF program (``linux/filter.h``); what it turns away costs us nothing."""
    code = array.array("B", b"".join(struct.pack("=HBBI", *step) for step in program))
    address, length = code.buffer_info()
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@HP", length // 8, address))


def _datagram(data: bytes, ancillary: Ancillary, source: tuple[str, int]) -> Datagram:
    received_ns: int | None = None
    ttl, local = 0, b""
    for (
        _,
        kind,
        value,
    ) in ancillary:  # the five kinds we ask for differ in their numbers, whatever their level
        if kind == SO_TIMESTAMPNS:
            seconds, rest_ns = _TIMESPEC.unpack_from(value)
            received_ns = seconds * 1_000_000_000 + rest_ns
        elif kind in _TTLS:
            (ttl,) = _INT.unpack_from(value)
        elif kind == IP_PKTINFO:
            local = value[4:8]  # in_pktinfo.ipi_spec_dst
        elif kind == IPV6_PKTINFO:
            local = value[:16]
    sender = source[0] if "%" not in source[0] else source[0].split("%")[0]
    return Datagram(data, sender, source[1], received_ns, ttl & 0xFF, local)


def _stamp_of(ancillary: Ancillary) -> int | None:
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, rest_ns = _TIMESPEC.unpack_from(value)
            return int(seconds) * 1_000_000_000 + int(rest_ns)
    return None


def _extended_error(ancillary: Ancillary) -> IcmpError | None:
    for level, kind, value in ancillary:
        if (level, kind) not in {(socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)}:
            continue
        if len(value) < _EXTENDED_ERROR.size:
            continue
        _, origin, icmp_type, icmp_code, _, info, _ = _EXTENDED_ERROR.unpack_from(value)
        if origin in _ORIGINS:
            sender = _offender(value[_EXTENDED_ERROR.size :])
            return IcmpError(_ORIGINS[origin], sender, icmp_type, icmp_code, mtu=info)
    return None


def _offender(raw: bytes) -> str:
    """The address in a ``sockaddr``, or empty."""
    if len(raw) >= 8 and struct.unpack_from("=H", raw)[0] == socket.AF_INET:
        return str(ipaddress.IPv4Address(raw[4:8]))
    if len(raw) >= 24 and struct.unpack_from("=H", raw)[0] == socket.AF_INET6:
        return str(ipaddress.IPv6Address(raw[8:24]))
    return ""


@functools.lru_cache(maxsize=64)
def reply_control(local_address: bytes) -> tuple[tuple[int, int, bytes], ...]:
    """Ancillary data that makes an answer leave from the (packed) address its request was sent to."""
    if len(local_address) == 4:
        info = struct.pack("@i4s4s", 0, local_address, bytes(4))
        return ((socket.IPPROTO_IP, IP_PKTINFO, info),)
    if len(local_address) == 16:
        return ((socket.IPPROTO_IPV6, IPV6_PKTINFO, local_address + struct.pack("@I", 0)),)
    return ()
