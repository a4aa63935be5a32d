"""Paris traceroute: packets that stay in one flow, and detection of rewritten packets in ICMP quotes.

Routers that balance flows hash the first four bytes after the IP header: for ICMP the type, code and
*checksum* (Augustin et al., IMC 2006). Every echo of a flow therefore has two bytes that keep the ones'
complement sum of sequence number and cookie at zero, so that its checksum depends only on the identifier,
which is the flow's.

An ICMP error quotes the packet as the router saw it. A field that differs from the packet sent was rewritten
on the way: an address, a port, an identifier, or the checksum, if a translator restored only the addresses in
the quote. Linux, for example, leaves its changes visible in the checksums of UDP and TCP. The checksum of an
ICMPv4 echo covers no addresses, so it does not show them.
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
    """A packet as this host sent it."""

    protocol: int
    source: str
    destination: str
    transport: bytes
    """The known bytes from the transport header on; the checksum is not used."""


def balance(data: bytes, *, sequence: int) -> bytes:
    """*data* and two further bytes that make the checksum independent of *sequence* and *data*.

    >>> sums = [internet_checksum(n.to_bytes(2, "big") + balance(b"once", sequence=n)) for n in (1, 2, 77)]
    >>> sums
    [0, 0, 0]
    """
    even = data + bytes(len(data) % 2)
    return even + internet_checksum(sequence.to_bytes(2, "big") + even).to_bytes(2, "big")


def find_rewritten(sent: Sent, quote: Quote) -> tuple[str, ...]:
    """Descriptions of what was changed on the way to the quoting router; empty if nothing is visible."""
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

    The latter is the checksum of a packet that a network card would have completed. If too little is quoted,
    the result is False.
    """
    at = _CHECKSUM_AT[sent.protocol]
    body = _as_sent(sent, quote)
    if body is None or len(quote.transport) < at + 2:
        return False
    quoted = int.from_bytes(quote.transport[at : at + 2], "big")
    if sent.protocol == PROTOCOL_UDP and quoted == 0:  # RFC 768: none was computed
        return False
    plain = body[:at] + b"\0\0" + body[at + 2 :]
    pseudo = b"" if sent.protocol == PROTOCOL_ICMP else _pseudo_header(sent, len(plain))
    expected = {internet_checksum(pseudo + plain), 0xFFFF ^ internet_checksum(pseudo)}
    if sent.protocol == PROTOCOL_UDP and 0 in expected:
        expected.add(0xFFFF)
    return quoted not in expected


def _as_sent(sent: Sent, quote: Quote) -> bytes | None:
    """The complete segment with our ports or identifier; None if it is not known.

    The kernel writes the header of a SYN, so of TCP only the ports are known; the rest is taken from the
    quote.
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
