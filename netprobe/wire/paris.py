"""Packets of one flow that routers cannot tell apart, and quotes that tell who rewrote them.

Routers that spread flows read the first four bytes behind the IP header: for ICMP type, code and *checksum*
(Paris traceroute; Augustin et al., IMC 2006). So every echo of a flow carries two bytes that hold the ones'
complement sum of what varies, sequence number and cookie, at zero: its checksum follows from the identifier
alone, which is the flow's.

An ICMP error quotes the packet as the router saw it. What differs from what was sent was rewritten on the
way: an address, a port, an identifier, or the checksum, where a translator put the addresses in the quote
back and forgot the rest. Linux, for one, leaves its arithmetic visible in the checksum of UDP and TCP. The
checksum of an ICMPv4 echo covers no addresses, so it does not show them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.wire.checksum import internet_checksum
from netprobe.wire.icmp import PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP, Quote

_CHECKSUM_AT = {PROTOCOL_ICMP: 2, PROTOCOL_ICMPV6: 2, PROTOCOL_TCP: 16, PROTOCOL_UDP: 6}
_TCP_HEADER_BYTES = 20


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet as it left this host."""

    protocol: int
    source: str
    destination: str
    transport: bytes
    """From the transport header on, as much as is known; its checksum is not looked at."""


def balance(data: bytes, *, sequence: int) -> bytes:
    """*data* and two bytes more, so that the checksum is the same whatever *sequence* and *data* are.

    >>> sums = [internet_checksum(n.to_bytes(2, "big") + balance(b"once", sequence=n)) for n in (1, 2, 77)]
    >>> sums
    [0, 0, 0]
    """
    even = data + bytes(len(data) % 2)
    return even + internet_checksum(sequence.to_bytes(2, "big") + even).to_bytes(2, "big")


def find_rewritten(sent: Sent, quote: Quote) -> tuple[str, ...]:
    """What was changed on the way to the quoting router, in words; empty where nothing shows."""
    return tuple(_changes(sent, quote))


def _changes(sent: Sent, quote: Quote) -> Iterator[str]:
    if quote.source != sent.source:
        yield f"source {quote.source}"
    if quote.destination != sent.destination:
        yield f"target {quote.destination}"
    if sent.protocol in {PROTOCOL_TCP, PROTOCOL_UDP}:
        for at, name in ((0, "source port"), (2, "target port")):
            if quote.transport[at : at + 2] != sent.transport[at : at + 2]:
                yield f"{name} {int.from_bytes(quote.transport[at : at + 2], 'big')}"
    elif quote.transport[4:6] != sent.transport[4:6]:
        yield f"identifier {int.from_bytes(quote.transport[4:6], 'big')}"
    if _is_checksum_foreign(sent, quote):
        yield "checksum"


def _is_checksum_foreign(sent: Sent, quote: Quote) -> bool:
    """Whether the quoted checksum fits neither the packet as sent nor its pseudo-header alone.

    The latter is what a packet carries whose checksum the network card would have completed, had there been
    one. Where too little is quoted to know, nothing is said.
    """
    at = _CHECKSUM_AT[sent.protocol]
    body = _as_sent(sent, quote)
    if body is None or len(quote.transport) < at + 2:
        return False
    told = int.from_bytes(quote.transport[at : at + 2], "big")
    if sent.protocol == PROTOCOL_UDP and told == 0:  # RFC 768: none was computed
        return False
    plain = body[:at] + b"\0\0" + body[at + 2 :]
    pseudo = b"" if sent.protocol == PROTOCOL_ICMP else _pseudo_header(sent, len(plain))
    right = {internet_checksum(pseudo + plain), 0xFFFF ^ internet_checksum(pseudo)}
    if sent.protocol == PROTOCOL_UDP and 0 in right:
        right.add(0xFFFF)
    return told not in right


def _as_sent(sent: Sent, quote: Quote) -> bytes | None:
    """The whole segment with the ports or the identifier that we gave it; None where it is not known.

    The kernel writes the header of a SYN, so of TCP only the ports are known and the rest is the quote's.
    """
    if sent.protocol != PROTOCOL_TCP:
        return sent.transport
    if len(quote.transport) < _TCP_HEADER_BYTES:
        return None
    header = (quote.transport[12] >> 4) * 4
    if not _TCP_HEADER_BYTES <= header <= len(quote.transport):
        return None
    return sent.transport[:4] + quote.transport[4:header]


def _pseudo_header(sent: Sent, length: int) -> bytes:
    """RFC 768 and RFC 9293, section 3.1, for IPv4; RFC 8200, section 8.1, for IPv6: the same sum."""
    addresses = b"".join(ipaddress.ip_address(text).packed for text in (sent.source, sent.destination))
    return addresses + length.to_bytes(4, "big") + sent.protocol.to_bytes(4, "big")
