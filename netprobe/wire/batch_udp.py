"""UDP datagrams to arbitrary ports, as arrays.

A listener answers only requests that it understands. Two protocols that every cluster uses get a request of
their own, with the cookie in a field that servers repeat; every other port gets the cookie itself:

==== ======================================================================== =================
port payload                                                                  cookie
==== ======================================================================== =================
53   DNS: name servers of the root (RFC 1035 section 4.1)                     identifier, 2 bytes
123  NTP: mode 3, version 4 (RFC 5905 section 7.3)                            transmit time, 8 bytes
…    the cookie                                                               8 bytes
==== ======================================================================== =================

There is one cookie per row and sweep, not per round, so a late ICMP error about an earlier try still counts.
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
"""Payload, offset of the cookie in it, and size of the cookie."""


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
    """Flags of the ICMP errors that quote our payload, as far as they quote any.

    A router that quotes only the UDP header (RFC 792 requires no more) proves only that it saw our ports and
    the target.
    """
    quoted = np.minimum(lengths - UDP_HEADER, sent_lengths)[:, None]
    width = min(WIDTH, transport.shape[1] - UDP_HEADER)
    same = sent[:, :width] == transport[:, UDP_HEADER : UDP_HEADER + width]
    return np.asarray((same | (np.arange(width) >= quoted)).all(axis=1))


def is_answered(ports: U16, sent: Rows, answers: Rows, lengths: Indices) -> Flags:
    """Flags of the datagrams that answer what was sent: DNS and NTP must repeat the cookie."""
    right = np.ones(len(ports), dtype=np.bool_)
    dns = ports == 53
    right[dns] = (lengths[dns] >= 12) & (answers[dns, :2] == sent[dns, :2]).all(axis=1)
    ntp = ports == 123
    right[ntp] = (lengths[ntp] >= 48) & (answers[ntp, 24:32] == sent[ntp, 40:48]).all(axis=1)
    return right
