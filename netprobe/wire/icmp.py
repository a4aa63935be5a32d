"""ICMP codec: echo (RFC 792, RFC 4443) with a keyed cookie, and errors with the packet they quote.

Rules: every decoder treats its input as hostile and raises only :class:`RemoteFormatError`. An echo has a
cookie in its first 24 bytes of data::

    offset  size
         0     8  check id
         8     4  boot: random bits of the asking process
        12     4  sequence within the check, 32 bits
        16     8  HMAC-SHA-256 of the 16 bytes before, by a key of the asking process, truncated to 64 bits

An echo reply repeats the data, so only a host that saw the request can forge the answer.
"""

from __future__ import annotations

import hmac
import ipaddress
import struct
from dataclasses import dataclass
from enum import IntEnum

from netprobe.errors import MisuseError, RemoteFormatError
from netprobe.wire.checksum import internet_checksum, is_intact

HEADER_BYTES = 8
COOKIE_BYTES = 24
IPV4_HEADER_BYTES = 20
IPV6_HEADER_BYTES = 40
PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMPV6 = 1, 6, 17, 58

_HEADER = struct.Struct("!BBHHH")
_COOKIE = struct.Struct("!QII")
_V4_ERRORS = frozenset({3, 4, 5, 11, 12})
_V6_ERRORS = frozenset({1, 2, 3, 4})


class Echo(IntEnum):
    """Echo types of both versions."""

    V4_REPLY = 0
    V4_REQUEST = 8
    V6_REQUEST = 128
    V6_REPLY = 129


@dataclass(frozen=True, slots=True)
class Cookie:
    """Cookie of our echo, authenticated by the key."""

    check: int
    boot: int
    sequence: int


@dataclass(frozen=True, slots=True)
class EchoMessage:
    """One echo request or reply."""

    kind: Echo
    identifier: int
    sequence: int
    """The header's 16 bits."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Quote:
    """The packet that an ICMP error quotes, not authenticated."""

    protocol: int
    source: str
    destination: str
    ttl: int
    transport: bytes
    """The transport header and the quoted bytes after it."""


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """An ICMP error."""

    version: int
    """4 or 6: of ICMP and of the quoted packet."""
    icmp_type: int
    icmp_code: int
    mtu: int | None
    """MTU of fragmentation-needed (RFC 1191) or packet-too-big (RFC 4443, section 3.2); else None."""
    quote: Quote


@dataclass(frozen=True, slots=True)
class Ipv4Packet:
    """The fields of an IPv4 packet that the reader of a raw socket needs."""

    ttl: int
    protocol: int
    source: str
    destination: str
    payload: bytes


def encode_cookie(cookie: Cookie, *, key: bytes) -> bytes:
    """The 24 bytes at the start of an echo's data."""
    plain = _COOKIE.pack(cookie.check, cookie.boot, cookie.sequence)
    return plain + hmac.digest(key, plain, "sha256")[:8]


def decode_cookie(data: bytes, *, key: bytes) -> Cookie:
    """Read and verify a cookie; :class:`RemoteFormatError` if it is not ours."""
    cookie = peek_cookie(data)
    if not hmac.compare_digest(hmac.digest(key, data[:16], "sha256")[:8], data[16:COOKIE_BYTES]):
        raise RemoteFormatError("ICMP: wrong cookie")
    return cookie


def peek_cookie(data: bytes) -> Cookie:
    """Read a cookie without verifying it; an ICMP error may quote only its first 16 bytes."""
    if len(data) < _COOKIE.size:
        raise RemoteFormatError(f"ICMP: {len(data)} bytes of data are too few for a cookie")
    return Cookie(*_COOKIE.unpack_from(data))


def encode_echo_request(*, version: int, identifier: int, sequence: int, data: bytes) -> bytes:
    """An echo request; the IPv6 checksum is left to the kernel, which knows the addresses (RFC 3542, 3.1)."""
    if version == 6:
        return _HEADER.pack(Echo.V6_REQUEST, 0, 0, identifier, sequence & 0xFFFF) + data
    plain = _HEADER.pack(Echo.V4_REQUEST, 0, 0, identifier, sequence & 0xFFFF) + data
    return plain[:2] + internet_checksum(plain).to_bytes(2, "big") + plain[4:]


def pad_echo_data(cookie: bytes, *, version: int, packet_bytes: int) -> bytes:
    """The data of an echo whose whole IP packet has *packet_bytes* bytes; 0 means the smallest."""
    smallest = min_packet_bytes(version)
    if packet_bytes and packet_bytes < smallest:
        raise MisuseError(f"an echo cannot have {packet_bytes} bytes; the smallest has {smallest}")
    return cookie + bytes(max(0, packet_bytes - smallest))


def min_packet_bytes(version: int) -> int:
    """Size of our smallest echo as an IP packet."""
    header = IPV4_HEADER_BYTES if version == 4 else IPV6_HEADER_BYTES
    return header + HEADER_BYTES + COOKIE_BYTES


def decode_echo(message: bytes, *, version: int) -> EchoMessage:
    """Read an echo request or reply, from its ICMP header on; for IPv4 the checksum must be right."""
    if len(message) < HEADER_BYTES:
        raise RemoteFormatError(f"ICMP: {len(message)} bytes are too few")
    kind, code, _, identifier, sequence = _HEADER.unpack_from(message)
    if kind not in set(Echo) or code != 0 or (kind >= 128) != (version == 6):
        raise RemoteFormatError(f"ICMPv{version}: type {kind} code {code} is not an echo")
    if version == 4 and not is_intact(message):
        raise RemoteFormatError("ICMP: wrong checksum")
    return EchoMessage(Echo(kind), identifier, sequence, message[HEADER_BYTES:])


def decode_error(message: bytes, *, version: int) -> ErrorMessage:
    """Read an ICMP error and the packet it quotes, from its ICMP header on."""
    if len(message) < HEADER_BYTES:
        raise RemoteFormatError(f"ICMP: {len(message)} bytes are too few")
    kind, code = message[0], message[1]
    if kind not in (_V4_ERRORS if version == 4 else _V6_ERRORS):
        raise RemoteFormatError(f"ICMPv{version}: type {kind} is not an error")
    mtu: int | None = None
    if version == 4 and (kind, code) == (3, 4):
        mtu = int.from_bytes(message[6:8], "big")
    elif version == 6 and kind == 2:
        mtu = int.from_bytes(message[4:8], "big")
    quoted = message[HEADER_BYTES:]
    quote = _quote_v4(quoted) if version == 4 else _quote_v6(quoted)
    return ErrorMessage(version, kind, code, mtu, quote)


def split_ipv4(packet: bytes) -> Ipv4Packet:
    """Split the header from an IPv4 packet (RFC 791, section 3.1), as raw sockets deliver it."""
    if len(packet) < IPV4_HEADER_BYTES or packet[0] >> 4 != 4:
        raise RemoteFormatError("IPv4: no header")
    header = (packet[0] & 0xF) * 4
    if header < IPV4_HEADER_BYTES or header > len(packet):
        raise RemoteFormatError(f"IPv4: a header of {header} bytes in {len(packet)}")
    source, destination = (str(ipaddress.IPv4Address(packet[at : at + 4])) for at in (12, 16))
    return Ipv4Packet(packet[8], packet[9], source, destination, packet[header:])


def _quote_v4(quoted: bytes) -> Quote:
    inner = split_ipv4(quoted)
    return Quote(inner.protocol, inner.source, inner.destination, inner.ttl, inner.payload)


def _quote_v6(quoted: bytes) -> Quote:
    # Our packets have no extension headers, so a quote that begins with one is not ours (RFC 8200, 3).
    if len(quoted) < IPV6_HEADER_BYTES or quoted[0] >> 4 != 6:
        raise RemoteFormatError("IPv6: no header in the quote")
    source, destination = (str(ipaddress.IPv6Address(quoted[at : at + 16])) for at in (8, 24))
    return Quote(quoted[6], source, destination, quoted[7], quoted[IPV6_HEADER_BYTES:])
