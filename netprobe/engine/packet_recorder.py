"""Records the packets between this network and the targets of a question, for ``--pcap``.

A packet socket sees every packet of the agent's network while it is open (packet(7)); what is not to or from
a target, nor an ICMP error about a packet to one, is dropped at once. It needs NET_RAW.

Rules: nothing is kept beyond :data:`MOST_PACKETS` and :data:`MOST_BYTES`; what is left out is counted. Of a
packet only its headers are kept: other programs of the host speak with the same targets.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from netprobe.model.prose import Prose
from netprobe.model.recorded_packets import PacketRecording, RecordedPacket

MOST_PACKETS, MOST_BYTES = 600, 64 * 1024
"""Of one question, whose answer has to fit a message on the bus."""
READ_BYTES = 160
"""Of one packet: the longest headers, and the quote of an ICMP error."""
_ETH_P_ALL, _SOL_PACKET, _PACKET_STATISTICS, _SO_TIMESTAMPNS = 0x0003, 263, 6, 35
_BUFFER_BYTES = 4 * 1024 * 1024
_ERRORS = {4: (3, 11, 12), 6: (1, 2, 3, 4)}
"""Types of ICMP and ICMPv6 errors."""


class PacketRecorder:
    """A context manager; :attr:`recording` is complete when it has ended."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._targets = frozenset(ipaddress.ip_address(each).packed for each in addresses)
        self._socket: socket.socket | None = None
        self._packets: list[RecordedPacket] = []
        self._bytes = self._missed = 0
        self._refused = Prose("")

    def __enter__(self) -> Self:
        try:
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        except OSError as error:
            self._refused = Prose(f"a packet socket needs the NET_RAW capability ({error.strerror})")
            return self
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket = opened
        asyncio.get_running_loop().add_reader(opened.fileno(), self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._read()
        told = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._missed += struct.unpack("=II", told)[1]
        self._socket.close()

    @property
    def recording(self) -> PacketRecording:
        """What was seen."""
        return PacketRecording(tuple(self._packets), self._missed, self._refused)

    def _read(self) -> None:
        assert self._socket is not None
        while True:
            try:
                data, control, _, _ = self._socket.recvmsg(READ_BYTES, 64)
            except OSError:  # nothing more, or an interface went down
                return
            if not concerns(data, self._targets):
                continue
            headers = strip_payload(data)
            if len(self._packets) >= MOST_PACKETS or self._bytes + len(headers) > MOST_BYTES:
                self._missed += 1
                continue
            self._bytes += len(headers)
            self._packets.append(RecordedPacket(_time_of(control), _size_of(data), headers))


def concerns(packet: bytes, targets: frozenset[bytes]) -> bool:
    """Whether *packet* goes to or comes from one of *targets*, or is an error about a packet to one."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        header, protocol, at, width = (packet[0] & 0x0F) * 4, packet[9], 12, 4
    elif version == 6 and len(packet) >= 40:
        header, protocol, at, width = 40, packet[6], 8, 16
    else:
        return False
    if packet[at : at + width] in targets or packet[at + width : at + 2 * width] in targets:
        return True
    is_icmp = protocol == (1 if version == 4 else 58)
    if not is_icmp or len(packet) <= header or packet[header] not in _ERRORS[version]:
        return False
    quoted = header + 8 + at + width
    return packet[quoted : quoted + width] in targets


def strip_payload(packet: bytes) -> bytes:
    """The headers of an IP packet, and of the one that an ICMP error quotes (RFC 791, 792, 8200, 9293)."""
    is_v4 = packet[0] >> 4 == 4
    header, protocol = ((packet[0] & 0x0F) * 4, packet[9]) if is_v4 else (40, packet[6])
    match protocol:
        case socket.IPPROTO_TCP if len(packet) > header + 12:
            more = (packet[header + 12] >> 4) * 4
        case socket.IPPROTO_UDP:
            more = 8
        case socket.IPPROTO_ICMP | socket.IPPROTO_ICMPV6 if len(packet) > header:
            is_error = packet[header] in _ERRORS[4 if is_v4 else 6]
            more = 8 + (header + 8 if is_error else 0)
        case _:
            more = 0
    return packet[: header + more]


def _size_of(packet: bytes) -> int:
    is_v4 = packet[0] >> 4 == 4
    told = int.from_bytes(packet[2:4] if is_v4 else packet[4:6], "big") + (0 if is_v4 else 40)
    return max(told, len(packet))


def _time_of(control: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, rest_ns = struct.unpack("=qq", data[:16])
            return int(seconds * 1_000_000_000 + rest_ns)
    return 0
