"""TCP SYN in batches (RFC 9293 section 3.1): segments built and patched, answers read, as arrays.

The sequence number is the cookie: a word of the round's keyed stream. A SYN-ACK or RST to a SYN acknowledges
it plus one (section 3.10.7.3), so its sender has read our packet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netprobe.wire.batch import (
    U16,
    U32,
    Flags,
    Indices,
    Rows,
    checksums,
    get16,
    get32,
    pseudo_sums,
    put16,
    put32,
    update_checksums,
)

LENGTH = 24
TCP = 6
_OFFSET_AND_FLAGS = 0x6002
"""Header of six words, flag SYN."""
_WINDOW = 1024
_MSS_OPTION = 0x020405B4
"""MSS 1460: some stacks treat a SYN without it as an attack."""
_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10


@dataclass(frozen=True, slots=True)
class SynAnswers:
    """Answers to our SYNs; *cookies* is the acknowledged sequence number minus one."""

    is_open: Flags
    is_closed: Flags
    source_ports: U16
    """The port that was asked."""
    target_ports: U16
    """Our port."""
    cookies: U32


def build_syns(source: Rows, target: Rows, target_ports: U16) -> Rows:
    """SYN segments from port 0 with sequence number 0, checksum complete."""
    rows = np.zeros((len(target), LENGTH), dtype=np.uint8)
    put16(rows, 2, target_ports)
    put16(rows, 12, _OFFSET_AND_FLAGS)
    put16(rows, 14, _WINDOW)
    put32(rows, 20, _MSS_OPTION)
    put16(rows, 16, checksums(rows, pseudo_sums(source, target, protocol=TCP, length=LENGTH)))
    return rows


def patch_syns(rows: Rows, *, source_port: int, cookies: U32) -> None:
    """Turn *rows* into the segments of a round, in place; the checksum is updated, not recomputed."""
    before = rows[:, :8].copy()
    put16(rows, 0, source_port)
    put32(rows, 4, cookies)
    put16(rows, 16, update_checksums(get16(rows, 16), before, rows[:, :8]))


def read_answers(rows: Rows, lengths: Indices) -> SynAnswers:
    """Read *rows* (each starting at the TCP header) as answers to SYNs.

    The checksum is not verified: on veth and loopback the kernel leaves it to hardware that does not exist.
    The cookie replaces it.
    """
    flags = rows[:, 13] & (_FIN | _SYN | _RST | _ACK)
    complete = lengths >= 20
    return SynAnswers(
        is_open=complete & (flags == _SYN | _ACK),
        is_closed=complete & ((flags == _RST | _ACK) | (flags == _RST)),
        source_ports=get16(rows, 0),
        target_ports=get16(rows, 2),
        cookies=get32(rows, 8) - np.uint32(1),
    )
