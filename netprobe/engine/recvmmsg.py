"""Many STAMP packets per system call: ``recvmmsg(2)`` into rows of equal layout, all read by one ``struct``.

Rules: only a packet's head is taken, because padding is all that follows it; its size is reported. The kernel
writes its remarks (time stamp, local address, TTL) in a fixed order; a row that has others has none. The
agent does not load numpy, so these are ctypes. Linux with 64-bit pointers only.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable
from typing import NamedTuple

from netprobe.engine.sockets import IP_PKTINFO, IP_TTL, IPV6_HOPLIMIT, IPV6_PKTINFO, SO_TIMESTAMPNS
from netprobe.errors import SystemRefusedError

HEAD_BYTES = 208
"""A STAMP packet without its padding, and the padding's own header (:mod:`netprobe.wire.stamp`)."""
CAPACITY = 128
"""Packets of one call; more are taken by the next."""
_NAME_BYTES, _CONTROL_BYTES = 32, 96
_ROW_BYTES = _NAME_BYTES + _CONTROL_BYTES + HEAD_BYTES
_STAMPED = "8x4xiqq"
"""A control message: its length, its level, its kind, and a ``struct timespec``."""
_PLAIN = struct.Struct(f"=32s{_STAMPED}64x{HEAD_BYTES}s")
_DETAILED = {
    socket.AF_INET: struct.Struct(f"=32s{_STAMPED}8x4xi4x4s8x8x4xii12x{HEAD_BYTES}s"),
    socket.AF_INET6: struct.Struct(f"=32s{_STAMPED}8x4xi16s8x8x4xii4x{HEAD_BYTES}s"),
}
"""The same, then ``in_pktinfo`` or ``in6_pktinfo``, and the TTL or hop limit."""
_PLAIN_BYTES, _DETAILED_BYTES = 32, {socket.AF_INET: 88, socket.AF_INET6: 96}
"""What the kernel's remarks of each layout take."""
_DETAIL_KINDS = {socket.AF_INET: (IP_PKTINFO, IP_TTL), socket.AF_INET6: (IPV6_PKTINFO, IPV6_HOPLIMIT)}
_DONTWAIT_AND_TELL_SIZE = 0x40 | 0x20
_ERRORS = 8
"""So many calls more may tell of an error instead of packets."""
_REMEMBERED = 4_096
_make = tuple.__new__


class Packet(NamedTuple):
    """One packet; a tuple, because one is made per packet."""

    head: bytes
    """Its first :data:`HEAD_BYTES` bytes; if it has fewer, anything may follow them."""
    size: int
    """Of the whole UDP payload."""
    sender: tuple[str, int]
    received_ns: int
    """Wall time at which the kernel received it; 0 where it does not say."""
    local_address: bytes = b""
    """The address it was sent to, packed; empty where the kernel does not say."""
    ttl: int = 0
    """0 where the kernel does not say."""


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """``struct mmsghdr``."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_bytes", ctypes.c_uint32),
        ("vector", ctypes.POINTER(_Vector)),
        ("vectors", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_bytes", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("_0", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("_1", ctypes.c_uint32),
    )


def batch_calls() -> ctypes.CDLL:
    """The C library with ``sendmmsg`` and ``recvmmsg`` typed."""
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise SystemRefusedError("batches of packets need 64-bit Linux (sendmmsg, recvmmsg)")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
    libc.recvmmsg.argtypes = [*libc.sendmmsg.argtypes, ctypes.c_void_p]
    return libc


class BatchReceiver:
    """Reads the sockets of one family; with *details*, those that tell local address and TTL too."""

    def __init__(self, family: socket.AddressFamily, *, details: bool) -> None:
        self._receive: Callable[..., int] = batch_calls().recvmmsg
        self._details = details
        self._layout = _DETAILED[family] if details else _PLAIN
        self._control_bytes = _DETAILED_BYTES[family] if details else _PLAIN_BYTES
        self._kinds = _DETAIL_KINDS[family]
        self._rows = (ctypes.c_char * (CAPACITY * _ROW_BYTES))()
        self._vectors = (_Vector * CAPACITY)()
        self._headers = (_Header * CAPACITY)()
        for number, (header, vector) in enumerate(zip(self._headers, self._vectors, strict=True)):
            row = ctypes.addressof(self._rows) + number * _ROW_BYTES
            vector.base, vector.length = row + _NAME_BYTES + _CONTROL_BYTES, HEAD_BYTES
            header.name, header.name_bytes = row, _NAME_BYTES
            header.control, header.control_bytes = row + _NAME_BYTES, _CONTROL_BYTES
            header.vector, header.vectors = ctypes.pointer(vector), 1
        self._row_view = memoryview(self._rows).cast("B")
        self._header_view = memoryview(self._headers).cast("B")
        self._words = self._header_view.cast("I")
        self._fresh = bytes(self._header_view)

    def receive(self, sock: socket.socket, *, at_most: int = 1_024) -> list[Packet]:
        """Packets that wait in the socket, until it is empty or about *at_most* were read."""
        packets: list[Packet] = []
        number = sock.fileno()
        for _ in range(at_most // CAPACITY + _ERRORS):
            self._header_view[:] = self._fresh
            count = self._receive(number, self._headers, CAPACITY, _DONTWAIT_AND_TELL_SIZE, None)
            if count > 0:
                packets += self._read(count)
            if 0 <= count < CAPACITY or len(packets) >= at_most:
                break
            if count < 0 and ctypes.get_errno() == errno.EAGAIN:
                break
            # Else there may be more, or an ICMP error was reported here; the error queue holds it too.
        return packets

    def _read(self, count: int) -> list[Packet]:
        rows = self._layout.iter_unpack(self._row_view[: count * _ROW_BYTES])
        words = self._words[: count * _HEADER_WORDS]
        told = words[_SIZE_WORD::_HEADER_WORDS].tolist(), words[_CONTROL_WORD::_HEADER_WORDS].tolist()
        right = self._control_bytes
        if not self._details:
            return [
                _make(Packet, (head, size, _sender(name), seconds * 1_000_000_000 + rest_ns, b"", 0))
                if control == right and kind == SO_TIMESTAMPNS
                else Packet(head, size, _sender(name), 0)
                for (name, kind, seconds, rest_ns, head), size, control in zip(rows, *told, strict=True)
            ]
        wanted_local, wanted_ttl = self._kinds
        return [
            _make(Packet, (head, size, _sender(name), seconds * 1_000_000_000 + rest_ns, local, ttl))
            if control == right
            and kind == SO_TIMESTAMPNS
            and local_kind == wanted_local
            and ttl_kind == wanted_ttl
            else Packet(head, size, _sender(name), 0)
            for (name, kind, seconds, rest_ns, local_kind, local, ttl_kind, ttl, head), size, control in zip(
                rows, *told, strict=True
            )
        ]


_HEADER_WORDS, _SIZE_WORD, _CONTROL_WORD = (
    number // 4 for number in (ctypes.sizeof(_Header), _Header.size.offset, _Header.control_bytes.offset)
)
"""A header in 32-bit words, and the places of what the kernel writes there."""


@functools.lru_cache(maxsize=_REMEMBERED)
def _sender(name: bytes) -> tuple[str, int]:
    """Address and port of a ``sockaddr_in`` or ``sockaddr_in6``; those of a peer are always the same."""
    family = int.from_bytes(name[:2], sys.byteorder)
    packed = name[8:24] if family == socket.AF_INET6 else name[4:8]
    return str(ipaddress.ip_address(packed)), int.from_bytes(name[2:4], "big")
