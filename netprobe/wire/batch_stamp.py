"""STAMP in batches (RFC 8762, RFC 8972): requests built and authenticated, answers read, as arrays.

The layout is that of :mod:`netprobe.wire.stamp`, whose scalar encoder makes the template. Only the HMAC is
computed row by row, from a prepared key, because SHA-256 is not available as an array operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netprobe.wire.batch import (
    U16,
    U32,
    U64,
    Flags,
    Indices,
    Rows,
    get16,
    get32,
    get64,
    map_v4,
    put16,
    put32,
    put64,
)
from netprobe.wire.stamp import (
    CHECK_OFFSET,
    FLEET_VERSION,
    MIN_BYTES,
    MIN_PADDED_BYTES,
    PAIR_VERSION,
    SHORT_NAME_BYTES,
    Request,
    Seal,
    begin_hmac,
    encode_request,
)

_T1, _SSID, _T2, _ANSWERED_SEQUENCE, _TTL = 4, 14, 16, 24, 40
_IDENTITY, _VERSION, _ROLE, _BOOT, _SEQUENCE, _NAME = 44, 48, 49, 60, 64, slice(68, 140)
_PORTS, _SOURCE_TLV, _SOURCE = 144, 148, slice(152, 168)
_SENT, _RECEIVED, _ANSWERED = 172, 176, 180
_TLVS = slice(44, 184)
_HMAC = slice(188, 204)
_ANSWER, _SOURCE_V4, _SOURCE_V6 = 2, 8, 9
_ASKER = slice(68, 68 + SHORT_NAME_BYTES)
_FIXED = (*range(44, 48), 49, *range(140, 144), *range(168, 172), *range(184, 188))
"""Headers of the TLVs, and the role: the same in every answer, except for the flags."""
_NTP_EPOCH_S = 2_208_988_800


class Sealer:
    """HMAC-SHA-256 truncated to 16 bytes (RFC 8972 section 4.8): a key for each row, pre-hashed."""

    def __init__(self, seals: Sequence[Seal]) -> None:
        self._keys = [begin_hmac(seal.key) for seal in seals]
        self._askers = np.zeros((len(seals), SHORT_NAME_BYTES), dtype=np.uint8)
        for row, seal in enumerate(seals):
            self._askers[row, : len(seal.asker)] = np.frombuffer(seal.asker, dtype=np.uint8)
        self._paired = np.array([bool(seal.asker) for seal in seals], dtype=np.bool_)

    def sign(self, packets: Rows) -> None:
        """Write the asker's name and the version of its key into *packets*, one for each row, in place."""
        packets[self._paired, _VERSION] = PAIR_VERSION
        packets[:, _ASKER] = self._askers

    def digests(self, packets: Rows, rows: Indices) -> Rows:
        """HMAC of each packet, shape ``(n, 16)``, over its sequence number and every TLV before the HMAC.

        *rows* say whose key each packet needs.
        """
        covered = np.concatenate([packets[:, :4], packets[:, _TLVS]], axis=1)
        size, data = covered.shape[1], memoryview(covered.tobytes())
        sealed = bytearray()
        for at, row in zip(range(0, len(data), size), rows.tolist(), strict=True):
            begin_inner, begin_outer = self._keys[row]
            inner, outer = begin_inner.copy(), begin_outer.copy()
            inner.update(data[at : at + size])
            outer.update(inner.digest())
            sealed += outer.digest()[:16]
        return np.frombuffer(bytes(sealed), dtype=np.uint8).reshape(-1, 16)

    def are_proven(self, packets: Rows, rows: Indices) -> Flags:
        """Which answers have the HMAC and the version of their row's key."""
        # A constant-time comparison is not needed: every guess costs an attacker one packet.
        right = (self.digests(packets, rows) == packets[:, _HMAC]).all(axis=1)
        versions = np.where(self._paired[rows], PAIR_VERSION, FLEET_VERSION)
        return np.asarray(right & (packets[:, _VERSION] == versions))


@dataclass(frozen=True, slots=True)
class StampAnswers:
    """Fields of each packet, not yet proven; packets without the form of an answer are not *valid*."""

    valid: Flags
    checks: U64
    boots: U32
    sequences: U32
    received_ns: Indices
    answered_ns: Indices
    received_counts: U32
    sources: Rows
    """Our address as the reflector saw it."""
    source_ports: U16
    ttls: Rows
    names: Rows
    """The reflector's name, UTF-8 padded with zeros, shape ``(n, 72)``."""


def build_requests(checks: U64, lengths: Indices, *, boot: int) -> Rows:
    """Requests with sequence number 0 and without HMAC; row *i* must be cut to ``lengths[i]``."""
    request = Request(0, boot, 0, 0, 0, is_urgent=True)  # a sweep waits for its answers
    template = np.frombuffer(encode_request(request, key=b""), dtype=np.uint8)
    rows = np.zeros((len(checks), int(lengths.max(initial=MIN_BYTES))), dtype=np.uint8)
    rows[:, :MIN_BYTES] = template
    put16(rows, _SSID, (checks % np.uint64(0xFFFF) + np.uint64(1)).astype(np.uint16))
    put64(rows, CHECK_OFFSET, checks)
    padded = np.nonzero(lengths >= MIN_PADDED_BYTES)[0]
    if len(padded):
        some = rows[padded]
        some[:, MIN_BYTES : MIN_BYTES + 2] = (0x80, 1)
        put16(some, MIN_BYTES + 2, (lengths[padded] - MIN_PADDED_BYTES).astype(np.uint16))
        rows[padded] = some
    return rows


def patch_requests(rows: Rows, *, sequences: U32, sealer: Sealer, numbers: Indices) -> None:
    """Turn *rows* into the next requests of their sessions, in place, and write their HMACs.

    *numbers* are those of the rows that *sealer* knows.
    """
    put32(rows, 0, sequences)
    put32(rows, _SEQUENCE, sequences)
    put32(rows, _SENT, sequences)
    rows[:, _HMAC] = sealer.digests(rows, numbers)


def stamp_requests(rows: Rows, positions: Indices, *, wall_ns: int) -> None:
    """Write T1 into the rows at *positions*, just before they are sent; the HMAC does not cover it."""
    raw = int(ntp_of(np.array([wall_ns]))[0]).to_bytes(8, "big")
    rows[positions, _T1 : _T1 + 8] = np.frombuffer(raw, dtype=np.uint8)


def read_answers(rows: Rows, lengths: Indices) -> StampAnswers:
    """Read *rows*, each a UDP payload or its first 204 bytes; :meth:`Sealer.are_proven` proves them."""
    valid = _is_shaped(rows, lengths)
    names = rows[:, _NAME].copy()
    names[rows[:, _VERSION] == PAIR_VERSION, SHORT_NAME_BYTES:] = 0  # there the responder's nonce is
    from_v6 = rows[:, _SOURCE_TLV + 1] == _SOURCE_V6
    sources = np.where(from_v6[:, None], rows[:, _SOURCE], map_v4(rows[:, 152:156]))
    return StampAnswers(
        valid=valid,
        checks=get64(rows, CHECK_OFFSET),
        boots=get32(rows, _BOOT),
        sequences=get32(rows, _SEQUENCE),
        received_ns=unix_of(get64(rows, _T2)),
        answered_ns=unix_of(get64(rows, _T1)),
        received_counts=get32(rows, _RECEIVED),
        sources=sources,
        source_ports=get16(rows, _PORTS + 2),
        ttls=rows[:, _TTL],
        names=names,
    )


def _is_shaped(rows: Rows, lengths: Indices) -> Flags:
    template = np.frombuffer(encode_request(Request(0, 0, 0, 0, 0), key=b""), dtype=np.uint8).copy()
    template[[44, 140, 168, 184]] = 0  # the reflector clears the flags of TLVs it knows
    template[_ROLE] = _ANSWER
    fixed = np.array(_FIXED)
    shaped = (lengths >= MIN_BYTES) & (rows[:, fixed] == template[fixed]).all(axis=1)
    shaped &= (rows[:, _VERSION] == FLEET_VERSION) | (rows[:, _VERSION] == PAIR_VERSION)
    kind = rows[:, _SOURCE_TLV + 1]
    shaped &= ((kind == _SOURCE_V4) | (kind == _SOURCE_V6)) & (get16(rows, _SOURCE_TLV + 2) == 16)
    return np.asarray(shaped & (get32(rows, _ANSWERED_SEQUENCE) == get32(rows, _SEQUENCE)))


def ntp_of(unix_ns: Indices) -> U64:
    """Unix nanoseconds as 64-bit NTP timestamps (RFC 5905 section 6)."""
    seconds = (unix_ns // 1_000_000_000 + _NTP_EPOCH_S).astype(np.uint64) & np.uint64(0xFFFFFFFF)
    rest = (unix_ns % 1_000_000_000).astype(np.uint64)
    fraction = ((rest << np.uint64(32)) + np.uint64(500_000_000)) // np.uint64(1_000_000_000)
    return np.asarray((seconds << np.uint64(32)) + fraction)


def unix_of(ntp: U64) -> Indices:
    """64-bit NTP timestamps as Unix nanoseconds between 1970 and 2106."""
    seconds = ((ntp >> np.uint64(32)).astype(np.int64) - _NTP_EPOCH_S) & 0xFFFFFFFF
    fraction = (ntp & np.uint64(0xFFFFFFFF)) * np.uint64(1_000_000_000) + np.uint64(1 << 31)
    return np.asarray(seconds * 1_000_000_000 + (fraction >> np.uint64(32)).astype(np.int64))
