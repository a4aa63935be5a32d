"""Everything the sweep reads, as batches: any bytes, any length told by the kernel, both families.

An input's first byte chooses the reader. Each call of numpy costs a microsecond whatever the batch, so one
reader per input, instead of all of them, reads an order of magnitude more inputs in a second; and what the
fuzzer learns about one reader is not blurred by the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netprobe.wire import batch_icmp, batch_stamp, batch_syn, batch_udp
from netprobe.wire.batch import Indices, Rows, pack_addresses
from netprobe.wire.batch_quote import read_errors
from netprobe.wire.stamp import Seal
from tests.fuzz import icmp, stamp

WIDTH = 204
"""What the widest of the sweep's inboxes keeps of a packet."""
SEALER = batch_stamp.Sealer([Seal(stamp.KEY)])
PORTS = np.array([53, 123], dtype=np.uint16)
SENT, SENT_LENGTHS = batch_udp.build_datagrams(PORTS, np.array([1, 2], dtype=np.uint64))
SYN = batch_syn.build_syns(pack_addresses(["10.1.0.2"]), pack_addresses(["10.2.0.2"]), PORTS[:1])[0].tobytes()


def _stripped(rows: Rows, sizes: Indices) -> None:
    stripped = batch_icmp.strip_ipv4(rows, sizes)
    assert (stripped.lengths >= 0).all()
    _echoes(stripped.rows, stripped.lengths)


def _echoes(rows: Rows, sizes: Indices) -> None:
    indices, _, _ = batch_icmp.read_echoes(rows, sizes)
    assert (indices[sizes < batch_icmp.MINIMUM] == -1).all(), "a short packet names no question"
    for v6 in (False, True):
        batch_icmp.is_reply(rows, sizes, identifier=1, v6=v6)


def _errors(rows: Rows, sizes: Indices, *, v6: bool) -> None:
    quotes = read_errors(rows, sizes, v6=v6)
    assert (quotes.lengths[quotes.valid] >= 8).all(), "what is not quoted proves nothing"
    batch_udp.is_quoted(SENT, SENT_LENGTHS, quotes.transport, quotes.lengths)


def _stamp_answers(rows: Rows, sizes: Indices) -> None:
    shaped = batch_stamp.read_answers(rows, sizes).valid
    SEALER.are_proven(rows[shaped], np.zeros(int(shaped.sum()), dtype=np.int64))


READERS: tuple[Callable[[Rows, Indices], object], ...] = (
    _stripped,
    _echoes,
    lambda rows, sizes: _errors(rows, sizes, v6=False),
    lambda rows, sizes: _errors(rows, sizes, v6=True),
    batch_syn.read_answers,
    _stamp_answers,
    lambda rows, sizes: batch_udp.is_answered(PORTS, SENT, rows, sizes),
)
_PACKETS = (
    *(icmp.HEADER + seed for seed in icmp.SEEDS),
    *stamp.SEEDS,
    icmp.HEADER + SYN,
    SYN,
    bytes([3, 3, 0, 0, 0, 0, 0, 0]) + icmp.HEADER + SYN,
    SENT[0].tobytes(),
)

SEEDS = tuple(bytes([reader]) + packet for reader in range(len(READERS)) for packet in _PACKETS)


def feed(data: bytes) -> None:
    """Two packets of the same bytes, one cut in half, go to the reader that the first byte names."""
    if not data:
        return
    read, data = READERS[data[0] % len(READERS)], data[1:]
    told = min(len(data), WIDTH)
    row = np.frombuffer(data[:WIDTH].ljust(WIDTH, b"\0"), dtype=np.uint8)
    read(np.stack([row, row]), np.array([told, told // 2]))
