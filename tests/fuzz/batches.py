"""Everything the sweep reads, as batches: any bytes, any length told by the kernel, both families."""

from __future__ import annotations

import numpy as np

from netprobe.wire import batch_icmp, batch_stamp, batch_syn, batch_udp
from netprobe.wire.batch import Indices, Rows, pack_addresses
from netprobe.wire.batch_quote import read_errors
from tests.fuzz import icmp, stamp

WIDTH = 204
"""What the widest of the sweep's inboxes keeps of a packet."""
SEALER = batch_stamp.Sealer(stamp.KEY)
PORTS = np.array([53, 123], dtype=np.uint16)
SENT, SENT_LENGTHS = batch_udp.build_datagrams(PORTS, np.array([1, 2], dtype=np.uint64))
SYN = batch_syn.build_syns(pack_addresses(["10.1.0.2"]), pack_addresses(["10.2.0.2"]), PORTS[:1])[0].tobytes()

SEEDS = (
    *(icmp.HEADER + seed for seed in icmp.SEEDS),
    *stamp.SEEDS,
    icmp.HEADER + SYN,
    bytes([3, 3, 0, 0, 0, 0, 0, 0]) + icmp.HEADER + SYN,
    SENT[0].tobytes(),
)


def feed(data: bytes) -> None:
    """Two packets of the same bytes, one of them cut in half: read as every kind of answer."""
    told = min(len(data), WIDTH)
    row = np.frombuffer(data[:WIDTH].ljust(WIDTH, b"\0"), dtype=np.uint8)
    rows, lengths = np.stack([row, row]), np.array([told, told // 2])
    stripped = batch_icmp.strip_ipv4(rows, lengths)
    assert (stripped.lengths >= 0).all()
    for body, sizes in ((rows, lengths), (stripped.rows, stripped.lengths)):
        _read_body(body, sizes)
    batch_stamp.read_answers(rows, lengths, sealer=SEALER)
    batch_udp.is_answered(PORTS, SENT, rows, lengths)


def _read_body(body: Rows, sizes: Indices) -> None:
    batch_syn.read_answers(body, sizes)
    indices, _, _ = batch_icmp.read_echoes(body, sizes)
    assert (indices[sizes < batch_icmp.MINIMUM] == -1).all(), "a short packet names no question"
    for v6 in (False, True):
        batch_icmp.is_reply(body, sizes, identifier=1, v6=v6)
        quotes = read_errors(body, sizes, v6=v6)
        assert (quotes.lengths[quotes.valid] >= 8).all(), "what is not quoted proves nothing"
        batch_udp.is_quoted(SENT, SENT_LENGTHS, quotes.transport, quotes.lengths)
