"""ICMP echo in batches (RFC 792, RFC 4443): requests built and patched, replies read, as arrays.

The body of our requests, after the eight bytes of the echo header, big-endian:

====== ====== ==================================================================
offset bytes  field
====== ====== ==================================================================
8      4      index: the row of the plan, which matches an answer to its question
12     4      round
16     8      cookie: a word of the round's keyed stream
====== ====== ==================================================================

followed by zeros up to the requested size. The index is only a hint; an answer without the right cookie is
ignored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netprobe.wire.batch import (
    U32,
    U64,
    Flags,
    Indices,
    Rows,
    checksums,
    get16,
    get32,
    get64,
    map_v4,
    put16,
    put32,
    put64,
    update_checksums,
)

ECHO_REQUEST = 8
ECHO_REPLY = 0
ECHO_REQUEST_V6 = 128
ECHO_REPLY_V6 = 129
MINIMUM = 24
"""Bytes of the smallest echo with our body."""
_CHANGING = slice(6, 24)
"""Sequence number, index, round and cookie; the index never changes, but keeps the slice contiguous."""


@dataclass(frozen=True, slots=True)
class Stripped:
    """Packets of a raw IPv4 socket without their IP header (RFC 791 section 3.1)."""

    rows: Rows
    lengths: Indices
    """Received bytes of each row."""
    senders: Rows
    valid: Flags


def build_echoes(indices: U32, *, identifier: int, width: int, v6: bool) -> Rows:
    """Echo requests of *width* bytes, round 0 and cookie 0; a shorter packet is a shorter slice of its row.

    The tail is zero, so the checksum of a row is valid for every length down to :data:`MINIMUM`. With *v6*
    the checksum stays zero: it covers a pseudo header, and the kernel writes it (RFC 3542 section 3.1).
    """
    rows = np.zeros((len(indices), width), dtype=np.uint8)
    rows[:, 0] = ECHO_REQUEST_V6 if v6 else ECHO_REQUEST
    put16(rows, 4, identifier)
    put32(rows, 8, indices)
    if not v6:
        put16(rows, 2, checksums(rows))
    return rows


def patch_echoes(rows: Rows, *, round_number: int, cookies: U64, v6: bool) -> None:
    """Turn *rows* into the requests of a round, in place; the checksum is updated, not recomputed."""
    before = rows[:, _CHANGING].copy()
    put16(rows, 6, round_number & 0xFFFF)
    put32(rows, 12, round_number & 0xFFFFFFFF)
    put64(rows, 16, cookies)
    if not v6:
        put16(rows, 2, update_checksums(get16(rows, 2), before, rows[:, _CHANGING]))


def strip_ipv4(packets: Rows, lengths: Indices) -> Stripped:
    """Remove the IPv4 header of each packet; *valid* marks packets with a valid header."""
    size = (packets[:, 0] & 0x0F).astype(np.int64) * 4
    valid = (packets[:, 0] >> 4 == 4) & (size >= 20) & (lengths >= size)
    if (size == 20).all():
        rows = packets[:, 20:]
    else:  # options: rare, so gathering byte by byte may be slow
        columns = np.minimum(size[:, None] + np.arange(packets.shape[1] - 20), packets.shape[1] - 1)
        rows = np.take_along_axis(packets, columns, axis=1)
    return Stripped(rows, np.maximum(lengths - size, 0), map_v4(packets[:, 12:16]), valid)


def read_echoes(rows: Rows, lengths: Indices) -> tuple[Indices, U32, U64]:
    """Index, round and cookie of each echo (request or reply) in *rows*.

    The index is -1 if the row is too short to be ours.
    """
    indices = get32(rows, 8).astype(np.int64)
    indices[lengths < MINIMUM] = -1
    return indices, get32(rows, 12), get64(rows, 16)


def is_reply(rows: Rows, lengths: Indices, *, identifier: int, v6: bool) -> Flags:
    """Flags of the rows that are echo replies to *identifier*, judged by the header."""
    expected_type = ECHO_REPLY_V6 if v6 else ECHO_REPLY
    header = (rows[:, 0] == expected_type) & (rows[:, 1] == 0) & (lengths >= MINIMUM)
    return np.asarray(header & (get16(rows, 4) == identifier))
