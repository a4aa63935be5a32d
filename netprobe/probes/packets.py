"""``packets``: send payloads or whole packets that the asker built, and tell what comes back.

The agent builds and understands none of them: ``netprobe check`` does (``netprobe.craft``), with kinds
such as ``ike``. Reads ``Probe.port`` and the options ``via`` (``udp``: payloads to that port; ``ip``:
whole IP packets, which need NET_RAW), ``send`` (one to eight of them in base64, with commas; 6,000 bytes
in all), ``answers`` (how many are enough, default 1) and, of :mod:`netprobe.probes.packet_options`, ``dscp``,
``ttl`` and ``source-port`` (one port; only ``udp``).

Bounds of a whole packet: its target is the one that is asked, its source an address of the agent's own; no IP
options and no extension headers, so that no router is told a way; one of :data:`PROTOCOLS`.

``Observation.values`` tells ``sent WALL_NS ADDRESS PORT NUMBER`` and ``heard WALL_NS ADDRESS PORT BASE64``,
where ``PORT`` is the IP protocol for whole packets. Of those, IPv4 comes with its header, IPv6 without.

Rule: no socket, no clock, no randomness in here.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Probe
from netprobe.probes.kind import PacketDriver, ProbeKind
from netprobe.probes.packet_options import DSCP, SOURCE_PORT, TTL, packet_options_of
from netprobe.probes.parameters import check_choice, check_port, refuse_size

MAX_PACKETS, MAX_BYTES = 8, 6_000
"""Of one question, which has to fit a message on the bus."""
MAX_HEARD, MAX_HEARD_BYTES = 32, 4_096
"""Answers that are passed on, and bytes of each."""
PROTOCOLS = {
    1: "icmp", 4: "ipip", 6: "tcp", 17: "udp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6",
    132: "sctp",
}  # fmt: skip
"""What a whole packet may hold (IANA's protocol numbers)."""


@dataclass(frozen=True, slots=True)
class SentPacket:
    """A packet as it left."""

    wall_ns: int
    source: str
    port: int
    """Source port; the IP protocol of a whole packet."""
    number: int
    """Which of the packets of the question, from 0 on."""


@dataclass(frozen=True, slots=True)
class HeardPacket:
    """What came back."""

    wall_ns: int
    source: str
    port: int
    """Source port; the IP protocol of a whole packet."""
    data: bytes


@dataclass(frozen=True, slots=True)
class PacketHeader:
    """What the agent checks of a whole packet."""

    version: int
    protocol: int
    source: str
    target: str
    transport: bytes
    """From the header of the protocol on."""


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    refuse_size(probe)
    check_choice(probe, "via", "udp", "ip")
    is_udp = probe.option("via", "udp") == "udp"
    check_port(probe, least=1 if is_udp else 0)
    options = packet_options_of(probe)
    if len(options.source_ports) > 1 or (options.source_ports and not is_udp):
        raise InputError("is one port, and of udp only", where="options.source-port")
    answers = probe.option("answers", "1")
    if not answers.isdecimal() or not 1 <= int(answers) <= MAX_HEARD:
        raise InputError(f"{answers!r} is not within 1–{MAX_HEARD}", where="options.answers")
    for number, data in enumerate(payloads_of(probe), start=1):
        if not is_udp:
            read_header(data, where=f"options.send: packet {number}")


def payloads_of(probe: Probe) -> tuple[bytes, ...]:
    """What is to be sent; :class:`InputError` where it is not base64, too much, or nothing."""
    try:
        packets = tuple(base64.b64decode(text, validate=True) for text in probe.option("send").split(","))
    except (binascii.Error, ValueError) as error:
        raise InputError("is not base64", where="options.send") from error
    if not all(packets) or len(packets) > MAX_PACKETS or sum(map(len, packets)) > MAX_BYTES:
        bounds = f"1–{MAX_PACKETS} packets of together at most {MAX_BYTES} bytes"
        raise InputError(f"is not {bounds}", where="options.send")
    return packets


def find_protocol(probe: Probe) -> str:
    """What the packets of *probe* are of: a name of :data:`PROTOCOLS`."""
    if probe.option("via", "udp") == "udp":
        return "udp"
    return PROTOCOLS[read_header(payloads_of(probe)[0], where="options.send: packet 1").protocol]


def write_payloads(packets: Iterable[bytes]) -> str:
    """The option ``send``."""
    return ",".join(base64.b64encode(packet).decode() for packet in packets)


def read_header(packet: bytes, *, where: str) -> PacketHeader:
    """The header of a whole packet (RFC 791 section 3.1, RFC 8200 section 3).

    :class:`InputError` naming *where* for one that an agent does not send.
    """
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        header, told, protocol = 20, int.from_bytes(packet[2:4], "big"), packet[9]
        source, target = (str(ipaddress.IPv4Address(packet[at : at + 4])) for at in (12, 16))
        if packet[0] & 0x0F != 5:
            raise InputError("has IP options", where=where)
    elif version == 6 and len(packet) >= 40:
        header, told, protocol = 40, 40 + int.from_bytes(packet[4:6], "big"), packet[6]
        source, target = (str(ipaddress.IPv6Address(packet[at : at + 16])) for at in (8, 24))
    else:
        raise InputError("is not an IP packet", where=where)
    if told != len(packet):
        raise InputError(f"has {len(packet)} bytes and says {told}", where=where)
    if protocol not in PROTOCOLS:
        known = ", ".join(PROTOCOLS.values())
        raise InputError(f"is of protocol {protocol}; agents send {known}", where=where)
    return PacketHeader(version, protocol, source, target, packet[header:])


def write_sent(sent: SentPacket) -> str:
    """A packet that left, as a value."""
    return f"sent {sent.wall_ns} {sent.source or '-'} {sent.port} {sent.number}"


def write_heard(heard: HeardPacket) -> str:
    """A packet that came, as a value; what is longer than told is cut."""
    data = base64.b64encode(heard.data[:MAX_HEARD_BYTES]).decode()
    return f"heard {heard.wall_ns} {heard.source} {heard.port} {data}"


def read_sent(values: Iterable[str]) -> tuple[SentPacket, ...]:
    """The packets that left; :class:`RemoteFormatError` for what cannot be read."""
    return tuple(
        SentPacket(int(wall), "" if source == "-" else source, int(port), int(number))
        for wall, source, port, number in _read(values, "sent", is_number=True)
    )


def read_heard(values: Iterable[str]) -> tuple[HeardPacket, ...]:
    """The packets that came; :class:`RemoteFormatError` for what cannot be read."""
    heard = []
    for wall, source, port, data in _read(values, "heard", is_number=False):
        try:
            heard.append(HeardPacket(int(wall), source, int(port), base64.b64decode(data, validate=True)))
        except (binascii.Error, ValueError) as error:
            raise RemoteFormatError("packets: an answer is not base64") from error
    return tuple(heard)


def _read(values: Iterable[str], word: str, *, is_number: bool) -> Iterator[tuple[str, str, str, str]]:
    for value in values:
        head, *told = value.split(" ")
        if head != word:
            continue
        numbers = (*told[:1], *told[2:3], *(told[3:] if is_number else ()))
        if len(told) != 4 or not all(text.isascii() and text.isdecimal() for text in numbers):
            raise RemoteFormatError(f"packets: {value[:80]!r} cannot be read")
        yield told[0], told[1], told[2], told[3]


KIND = ProbeKind(
    name="packets",
    driver=PacketDriver(),
    validate=validate,
    options=("via", "send", "answers", DSCP, TTL, SOURCE_PORT),
    has_port=lambda options: options.get("via", "udp") == "udp",
)
