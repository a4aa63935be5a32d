"""Headers that differ from the default: how a socket is told DSCP, TTL and fragmentation.

Shared sockets are told per packet (ip(7), ipv6(7): ancillary data), a connection's own socket once. Whether
a packet may be fragmented can only be set on the socket, so it is set for the one call.

Rule: whatever fails raises :class:`OSError`, as sending does.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from netprobe.engine.sockets import (
    IP_MTU_DISCOVER,
    IP_TTL,
    IPV6_DONTFRAG,
    IPV6_HOPLIMIT,
    IPV6_MTU_DISCOVER,
    PMTUDISC_PROBE,
    family_of,
)
from netprobe.probes.packet_options import PacketOptions

IP_TOS, IPV6_TCLASS, IPV6_UNICAST_HOPS = 1, 67, 16
_IP_MTU, _IPV6_MTU = 14, 24
_PMTUDISC_DONT = 0
"""Never DF: the kernel fragments, and so may routers (IPv4)."""
_INT = struct.Struct("@i")


def send_packet(
    sock: socket.socket, packet: bytes | bytearray, destination: tuple[str, int], options: PacketOptions
) -> None:
    """Send one datagram with the header that *options* say."""
    if options.is_plain:
        sock.sendto(packet, destination)
        return
    control = list(_ancillary(sock.family, options))
    if not options.in_fragments:
        sock.sendmsg((packet,), control, 0, destination)
        return
    if len(packet) < interface_mtu(destination[0]) - 40:
        raise OSError(errno.EINVAL, "it would leave in one piece: choose a larger --size")
    with fragmented(sock):
        sock.sendmsg((packet,), control, 0, destination)


def mark_connection(sock: socket.socket, options: PacketOptions) -> None:
    """Set what *options* say for all packets of *sock*."""
    is_v6 = sock.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if is_v6 else socket.IPPROTO_IP
    if options.dscp:
        sock.setsockopt(level, IPV6_TCLASS if is_v6 else IP_TOS, options.traffic_class)
    if options.ttl:
        sock.setsockopt(level, IPV6_UNICAST_HOPS if is_v6 else IP_TTL, options.ttl)


@contextmanager
def fragmented(sock: socket.socket) -> Iterator[None]:
    """Let the kernel fragment what is sent inside the block; afterwards DF is on again."""
    _allow_fragments(sock, allowed=True)
    try:
        yield
    finally:
        _allow_fragments(sock, allowed=False)


def interface_mtu(address: str) -> int:
    """The MTU towards *address* as the kernel knows it; :class:`OSError` where there is no route."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect((address, 9))
        if sock.family == socket.AF_INET6:
            return sock.getsockopt(socket.IPPROTO_IPV6, _IPV6_MTU)
        return sock.getsockopt(socket.IPPROTO_IP, _IP_MTU)


def _allow_fragments(sock: socket.socket, *, allowed: bool) -> None:
    how = _PMTUDISC_DONT if allowed else PMTUDISC_PROBE
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, how)
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_DONTFRAG, int(not allowed))
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, how)


def _ancillary(family: int, options: PacketOptions) -> Iterator[tuple[int, int, bytes]]:
    is_v6 = family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if is_v6 else socket.IPPROTO_IP
    if options.dscp:
        yield level, IPV6_TCLASS if is_v6 else IP_TOS, _INT.pack(options.traffic_class)
    if options.ttl:
        yield level, IPV6_HOPLIMIT if is_v6 else IP_TTL, _INT.pack(options.ttl)
