"""ICMP as it comes off the wire, for walks along a path: errors with the packet they quote, and echo replies.

A socket's error queue tells who complained about its packets, but not how the quoted packet looked; only a
raw socket shows that, and it needs NET_RAW. Without, nothing is read here, and walks go on by their error
queues. The kernel hands a copy to raw sockets before it looks for the socket that an error is meant for, so a
quote is here no later than its report there.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

from netprobe.engine.drivers.readable import ReadableSocket
from netprobe.engine.sockets import family_of, prepare, receive, version_of
from netprobe.errors import RemoteFormatError
from netprobe.probes.rejection import IcmpError
from netprobe.wire.icmp import Echo, EchoMessage, Quote, decode_echo, decode_error, split_ipv4

_SOL_RAW, _ICMP_FILTER, _ICMP6_FILTER = 255, 1, 1
_ERRORS = {4: (3, 11, 12), 6: (1, 2, 3, 4)}
_REPLY = {4: Echo.V4_REPLY, 6: Echo.V6_REPLY}


class IcmpQuoteReader:
    """A raw socket beside a walk's own sockets; empty where this process may have none."""

    def __init__(self, target: str, readable: ReadableSocket, *, replies: bool = False) -> None:
        self.version = version_of(target)
        self.source = find_source(target)
        """Our address towards the target; empty where there is no way to it."""
        self.sock = _open(self.version, replies=replies)
        if self.sock is not None:
            readable.add(self.sock)

    @property
    def is_open(self) -> bool:
        """Whether anything can be read here."""
        return self.sock is not None

    def read(self) -> Iterator[tuple[IcmpError, Quote] | tuple[str, EchoMessage]]:
        """Errors with their quotes, and replies with their senders, in the order in which they came."""
        for datagram in receive(self.sock) if self.sock else ():
            message = datagram.data
            with suppress(RemoteFormatError):
                if self.version == 4:
                    message = split_ipv4(message).payload
                if message[:1] == bytes([_REPLY[self.version]]):
                    yield datagram.source, decode_echo(message, version=self.version)
                    continue
                told = decode_error(message, version=self.version)
                error = IcmpError(
                    self.version, datagram.source, told.icmp_type, told.icmp_code, told.mtu or 0
                )
                yield error, told.quote

    def errors(self) -> Iterator[tuple[IcmpError, Quote]]:
        """The errors alone."""
        for who, what in self.read():
            if isinstance(who, IcmpError) and isinstance(what, Quote):
                yield who, what


def find_source(target: str) -> str:
    """The address that packets to *target* leave from; nothing is sent."""
    with socket.socket(family_of(target), socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.connect((target, 9))
        except OSError:
            return ""
        return str(sock.getsockname()[0])


def _open(version: int, *, replies: bool) -> socket.socket | None:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    try:
        sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    except OSError:
        return None
    wanted = (*_ERRORS[version], *([int(_REPLY[version])] if replies else []))
    if version == 4:  # linux/icmp.h: a bit for each type up to 31 that is turned away
        blocked = 0xFFFF_FFFF & ~sum(1 << kind for kind in wanted)
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", blocked))
    else:  # RFC 3542, section 3.2: a bit for each of 256 types, in words of 32
        words = [0xFFFF_FFFF & ~sum(1 << kind % 32 for kind in wanted if kind // 32 == at) for at in range(8)]
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *words))
    prepare(sock, errors=False)
    return sock
