"""ICMP errors in batches: the sender and the quoted packet (RFC 792, RFC 4443 section 3).

An error quotes the packet that caused it: its IP header and at least eight bytes after it. Current routers
quote as much as fits (RFC 1812 section 4.3.2.3), so the quote usually has our cookie; if not, *lengths* shows
it, and the caller decides which other fields must match.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netprobe.wire.batch import U16, U32, Flags, Indices, Rows, get16, get32, map_v4

ERRORS_V4 = (3, 11, 12)
"""Destination unreachable, time exceeded, parameter problem."""
ERRORS_V6 = (1, 2, 3, 4)
"""Destination unreachable, packet too big, time exceeded, parameter problem."""
_QUOTE_AT = 8
_IS_ERROR = {
    False: np.isin(np.arange(256), ERRORS_V4),
    True: np.isin(np.arange(256), ERRORS_V6),
}


@dataclass(frozen=True, slots=True)
class QuoteBatch:
    """Fields of each ICMP error; rows that are not errors about our packets are not *valid*."""

    valid: Flags
    types: Rows
    codes: Rows
    mtus: Indices
    """MTU of "fragmentation needed" or "packet too big" (RFC 1191; RFC 4443, 3.2); else 0."""
    protocols: Rows
    targets: Rows
    """Destination of the quoted packet."""
    source_ports: U16
    target_ports: U16
    words: U32
    """Bytes 4–8 after the quoted IP header: a TCP sequence number, or a UDP length and checksum."""
    transport: Rows
    """Everything from the quoted transport header on."""
    lengths: Indices
    """Received bytes of *transport*."""


def read_errors(rows: Rows, lengths: Indices, *, v6: bool) -> QuoteBatch:
    """Read *rows* (each starting at the ICMP header) as errors."""
    header = 40 if v6 else 20
    inner = rows[:, _QUOTE_AT:]
    transport = inner[:, header:]
    remaining = lengths - _QUOTE_AT - header
    valid = _IS_ERROR[v6][rows[:, 0]] & (remaining >= 8)
    # We send neither IP options nor extension headers, so a quote with them is not ours.
    valid &= (inner[:, 0] >> 4 == 6) if v6 else (inner[:, 0] == 0x45)
    return QuoteBatch(
        valid=valid,
        types=rows[:, 0],
        codes=rows[:, 1],
        mtus=_mtus(rows, v6=v6),
        protocols=inner[:, 6] if v6 else inner[:, 9],
        targets=inner[:, 24:40] if v6 else map_v4(inner[:, 16:20]),
        source_ports=get16(transport, 0),
        target_ports=get16(transport, 2),
        words=get32(transport, 4),
        transport=transport,
        lengths=np.maximum(remaining, 0),
    )


def _mtus(rows: Rows, *, v6: bool) -> Indices:
    if v6:
        return np.where(rows[:, 0] == 2, get32(rows, 4), 0).astype(np.int64)
    return np.where((rows[:, 0] == 3) & (rows[:, 1] == 4), get16(rows, 6), 0).astype(np.int64)
