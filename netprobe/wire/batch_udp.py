"""UDP datagrams to ports of whom nothing is known, as arrays.

A listener answers only what it understands. Two protocols that stand in every cluster get a question of
their own, with the cookie where an honest server repeats it; every other port gets the cookie itself:

==== ======================================================================== =================
port payload                                                                  cookie
==== ======================================================================== =================
53   DNS: who serves the root? (RFC 1035 section 4.1)                         identifier, 2 bytes
123  NTP: mode 3, version 4 (RFC 5905 section 7.3)                            transmit time, 8 bytes
…    the cookie                                                               8 bytes
==== ======================================================================== =================

The cookie is one per row and sweep, not per round: a late complaint about an earlier try still counts.
"""

from __future__ import annotations

import numpy as np

from netprobe.wire.batch import U16, U64, Flags, Indices, Rows

UDP = 17
UDP_HEADER = 8
WIDTH = 48
_DNS = bytes.fromhex("0000 0100 0001 0000 0000 0000 00 0002 0001")
_NTP = bytes([0x23]) + bytes(47)
_QUESTIONS = {53: (_DNS, 0, 2), 123: (_NTP, 40, 8)}
"""Payload, where the cookie stands in it, and how much of it."""


def build_datagrams(ports: U16, cookies: U64) -> tuple[Rows, Indices]:
    """Payloads and their lengths."""
    raw = cookies.astype(">u8").view(np.uint8).reshape(-1, 8)
    rows = np.zeros((len(ports), WIDTH), dtype=np.uint8)
    rows[:, :8] = raw
    lengths = np.full(len(ports), 8, dtype=np.int64)
    for port, (payload, at, size) in _QUESTIONS.items():
        here = ports == port
        rows[here, : len(payload)] = np.frombuffer(payload, dtype=np.uint8)
        rows[here, at : at + size] = raw[here, :size]
        lengths[here] = len(payload)
    return rows, lengths


def is_quoted(sent: Rows, sent_lengths: Indices, transport: Rows, lengths: Indices) -> Flags:
    """Which ICMP errors quote our payload, as far as they quote any.

    A router that quotes the UDP header alone (RFC 792 asks for no more) cannot prove more than that it saw
    our ports and the target.
    """
    quoted = np.minimum(lengths - UDP_HEADER, sent_lengths)[:, None]
    width = min(WIDTH, transport.shape[1] - UDP_HEADER)
    same = sent[:, :width] == transport[:, UDP_HEADER : UDP_HEADER + width]
    return np.asarray((same | (np.arange(width) >= quoted)).all(axis=1))


def is_answered(ports: U16, sent: Rows, answers: Rows, lengths: Indices) -> Flags:
    """Which datagrams can be answers to what was sent: DNS and NTP must repeat the cookie."""
    right = np.ones(len(ports), dtype=np.bool_)
    dns = ports == 53
    right[dns] = (lengths[dns] >= 12) & (answers[dns, :2] == sent[dns, :2]).all(axis=1)
    ntp = ports == 123
    right[ntp] = (lengths[ntp] >= 48) & (answers[ntp, 24:32] == sent[ntp, 40:48]).all(axis=1)
    return right
