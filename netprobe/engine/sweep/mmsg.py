"""Many packets per system call: ``sendmmsg(2)`` and ``recvmmsg(2)`` over numpy memory.

Rule: the structures that the kernel reads are arrays too, filled once with pointers into the packet matrices,
so that sending a batch is one call without work per packet. Linux with 64-bit pointers only.
"""

from __future__ import annotations

import ctypes
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netprobe.engine.recvmmsg import batch_calls
from netprobe.wire.batch import Indices, Rows, map_v4

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MSGHDR = np.dtype(
    [
        *(("name", "u8"), ("namelen", "u4"), ("_0", "u4"), ("iov", "u8"), ("iovlen", "u8")),
        *(("control", "u8"), ("controllen", "u8"), ("flags", "i4"), ("_1", "u4")),
        *(("length", "u4"), ("_2", "u4")),
    ]
)
"""``struct mmsghdr`` on 64-bit Linux."""
_IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
_STAMP = np.dtype([("length", "u8"), ("level", "i4"), ("kind", "i4"), ("s", "i8"), ("ns", "i8")])
_DROPS = np.dtype([("length", "u8"), ("level", "i4"), ("kind", "i4"), ("count", "u4"), ("_", "u4")])
_CONTROL = np.dtype([("stamp", _STAMP), ("drops", _DROPS), ("spare", "u1", (72,))])
_NAME_BYTES = 28
"""``struct sockaddr_in6``; ``sockaddr_in`` needs 16 of them."""

SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40
_SO_MEMINFO = 55
_MEMINFO_DROPS = 8
_MSG_DONTWAIT = 0x40


def socket_names(addresses: Rows, ports: NDArray[np.uint16], *, v6: bool, scopes: int = 0) -> Rows:
    """``sockaddr_in`` or ``sockaddr_in6`` of each address, one per row."""
    names = np.zeros((len(addresses), _NAME_BYTES), dtype=np.uint8)
    family = socket.AF_INET6 if v6 else socket.AF_INET
    names[:, :2] = np.frombuffer(int(family).to_bytes(2, sys.byteorder), dtype=np.uint8)
    names[:, 2:4] = ports.astype(">u2").view(np.uint8).reshape(-1, 2)
    if v6:
        names[:, 8:24] = addresses
        names[:, 24:28] = np.frombuffer(scopes.to_bytes(4, sys.byteorder), dtype=np.uint8)
    else:
        names[:, 4:8] = addresses[:, 12:]
    return names


class ArraySender:
    """Packets ready to send: row *i* of *packets*, cut to ``lengths[i]``, to ``names[i]``.

    The matrices are not copied, so patching them changes what is sent next.
    """

    def __init__(self, packets: Rows, lengths: Indices, names: Rows) -> None:
        if not (packets.flags.c_contiguous and names.flags.c_contiguous):
            packets, names = np.ascontiguousarray(packets), np.ascontiguousarray(names)
        self._libc = batch_calls()
        self._keep = (packets, names)
        count = len(packets)
        at = np.arange(count, dtype=np.uint64)
        self._iov = np.zeros(count, dtype=_IOVEC)
        self._iov["base"] = packets.ctypes.data + at * np.uint64(packets.shape[1])
        self._iov["length"] = lengths
        self._headers = np.zeros(count, dtype=_MSGHDR)
        self._headers["name"] = names.ctypes.data + at * np.uint64(names.shape[1])
        self._headers["namelen"] = _NAME_BYTES if self._is_v6(names) else 16
        self._headers["iov"] = self._iov.ctypes.data + at * np.uint64(_IOVEC.itemsize)
        self._headers["iovlen"] = 1
        # Gathering rows of words is several times as fast as gathering structures.
        self._words = self._headers.view(np.uint64).reshape(count, -1)
        self._queue = self._words[:0]

    @staticmethod
    def _is_v6(names: Rows) -> bool:
        return len(names) > 0 and int.from_bytes(names[0, :2].tobytes(), sys.byteorder) == socket.AF_INET6

    def arrange(self, order: Indices) -> None:
        """Queue the rows *order*, in that order."""
        self._queue = self._words[order]

    def send(self, fileno: int, start: int, count: int) -> tuple[int, int]:
        """Send *count* packets of the queue from position *start*; return how many were sent, and the errno.

        The errno (0 for success) belongs to the packet after the last one sent, and only a call that sends
        nothing returns it.
        """
        pointer = self._queue.ctypes.data + start * _MSGHDR.itemsize
        sent = self._libc.sendmmsg(fileno, pointer, count, _MSG_DONTWAIT)
        return (0, ctypes.get_errno()) if sent < 0 else (sent, 0)


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """One batch from a socket. The matrices are views that the next batch overwrites."""

    packets: Rows
    lengths: Indices
    stamps_ns: Indices
    """Kernel receive time, wall clock; 0 if the kernel gave none."""
    names: Rows
    drops: int
    """Packets dropped at this socket's receive buffer since it was opened, as far as reported."""

    def __len__(self) -> int:
        return len(self.packets)

    def senders(self, *, v6: bool) -> Rows:
        """Sender address of each packet."""
        return self.names[:, 8:24] if v6 else map_v4(self.names[:, 4:8])

    def ports(self) -> NDArray[np.uint16]:
        """Sender port of each packet."""
        return np.ascontiguousarray(self.names[:, 2:4]).view(">u2")[:, 0].astype(np.uint16)


class ArrayReceiver:
    """Receives up to *capacity* packets per call, the first *width* bytes of each."""

    def __init__(self, *, capacity: int, width: int) -> None:
        self._libc = batch_calls()
        self.capacity = capacity
        self._packets = np.zeros((capacity, width), dtype=np.uint8)
        self._names = np.zeros((capacity, _NAME_BYTES), dtype=np.uint8)
        self._control = np.zeros(capacity, dtype=_CONTROL)
        at = np.arange(capacity, dtype=np.uint64)
        self._iov = np.zeros(capacity, dtype=_IOVEC)
        self._iov["base"] = self._packets.ctypes.data + at * np.uint64(width)
        self._iov["length"] = width
        self._headers = np.zeros(capacity, dtype=_MSGHDR)
        self._headers["name"] = self._names.ctypes.data + at * np.uint64(_NAME_BYTES)
        self._headers["iov"] = self._iov.ctypes.data + at * np.uint64(_IOVEC.itemsize)
        self._headers["iovlen"] = 1
        self._headers["control"] = self._control.ctypes.data + at * np.uint64(_CONTROL.itemsize)
        # Looked up once: an access to a field by its name makes an array.
        self._name_lengths = self._headers["namelen"]
        self._control_lengths = self._headers["controllen"]
        self._lengths = self._headers["length"]
        stamp = self._control["stamp"]
        self._stamps = (stamp["level"], stamp["kind"], stamp["s"], stamp["ns"])
        self._used = capacity
        self._drops = 0

    def receive(self, fileno: int) -> ReceivedBatch | None:
        """Receive without waiting; None if there is nothing."""
        self._name_lengths[: self._used] = _NAME_BYTES
        self._control_lengths[: self._used] = _CONTROL.itemsize
        self._used = 0
        pointer = self._headers.ctypes.data
        count = self._libc.recvmmsg(fileno, pointer, self.capacity, _MSG_DONTWAIT, None)
        if count <= 0:
            return None
        self._used = count
        control_lengths = self._control_lengths[:count]
        return ReceivedBatch(
            packets=self._packets[:count],
            lengths=self._lengths[:count].astype(np.int64),
            stamps_ns=self._read_stamps(control_lengths),
            names=self._names[:count],
            drops=self._count_drops(control_lengths),
        )

    def _read_stamps(self, lengths: NDArray[np.uint64]) -> Indices:
        level, kind, seconds, rest_ns = (column[: len(lengths)] for column in self._stamps)
        stamped = (level == socket.SOL_SOCKET) & (kind == SO_TIMESTAMPNS)
        stamped &= lengths >= _STAMP.itemsize
        return np.where(stamped, seconds * 1_000_000_000 + rest_ns, 0)

    def _count_drops(self, lengths: NDArray[np.uint64]) -> int:
        """Read SO_RXQ_OVFL, which follows the time stamp if something was dropped."""
        has_drops = lengths > _STAMP.itemsize
        if has_drops.any():
            drops = self._control["drops"][: len(lengths)][has_drops]
            ours = drops[(drops["level"] == socket.SOL_SOCKET) & (drops["kind"] == SO_RXQ_OVFL)]
            self._drops = max(self._drops, int(ours["count"].max(initial=0)))
        return self._drops


def count_drops(opened: socket.socket) -> int:
    """Packets dropped at this socket's receive buffer since it was opened (SO_MEMINFO)."""
    info = opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
    return int(np.frombuffer(info, dtype=np.uint32)[_MEMINFO_DROPS])
