"""Packets as arrays: functions shared by all batched builders and readers.

Rule: a batch is a matrix of bytes with one packet per row; a field is a slice of columns, big-endian as on
the wire. Everything here is a pure function over arrays. Addresses are rows of 16 bytes, IPv4 as
``::ffff:a.b.c.d`` (RFC 4291 section 2.5.5.2), so that one table holds both families.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from netprobe.errors import InputError

Rows: TypeAlias = NDArray[np.uint8]
"""A matrix of bytes: one packet, header or address per row."""
U16: TypeAlias = NDArray[np.uint16]
U32: TypeAlias = NDArray[np.uint32]
U64: TypeAlias = NDArray[np.uint64]
Indices: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_MAPPED = b"\0" * 10 + b"\xff\xff"
MAPPED_PREFIX = np.array([0] * 10 + [0xFF, 0xFF], dtype=np.uint8)
_MAPPED_WORD = 0xFFFF
"""The third of the four 32-bit words of a mapped address; the first two are zero."""


def pack_addresses(addresses: Sequence[str]) -> Rows:
    """Turn addresses as text into a matrix of shape ``(n, 16)``; :class:`InputError` if one is invalid."""
    packed = bytearray()
    for index, text in enumerate(addresses):
        if (v4 := _plain_v4(text)) is not None:
            packed += _MAPPED + v4
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise InputError(f"{text!r} is not an IP address", where=f"target {index}") from error
        packed += b"\0" * 10 + b"\xff\xff" + address.packed if address.version == 4 else address.packed
    return np.frombuffer(bytes(packed), dtype=np.uint8).reshape(-1, 16)


def _plain_v4(text: str) -> bytes | None:
    """An IPv4 address in canonical form: the usual case, for which ipaddress takes ten times as long."""
    try:
        packed = bytes(map(int, text.split(".")))
    except ValueError:
        return None
    return packed if len(packed) == 4 and ".".join(map(str, packed)) == text else None


def address_text(row: Rows) -> str:
    """One row of an address matrix as text.

    >>> [address_text(row) for row in pack_addresses(["10.0.0.1", "fd00::1"])]
    ['10.0.0.1', 'fd00::1']
    """
    packed = row.tobytes()
    if packed[:12] == _MAPPED:  # the usual case; ipaddress takes twenty times as long
        return ".".join(map(str, packed[12:]))
    return str(ipaddress.IPv6Address(packed))


def is_mapped(addresses: Rows) -> Flags:
    """Flags of the rows of an address matrix that are IPv4."""
    words = np.ascontiguousarray(addresses).view(">u4")
    return np.asarray((words[:, 0] == 0) & (words[:, 1] == 0) & (words[:, 2] == _MAPPED_WORD))


def map_v4(addresses: Rows) -> Rows:
    """Widen ``(n, 4)`` IPv4 addresses to mapped rows of 16 bytes."""
    wide = np.empty((len(addresses), 16), dtype=np.uint8)
    wide[:, :12] = MAPPED_PREFIX
    wide[:, 12:] = addresses
    return wide


def address_words(addresses: Rows) -> tuple[U64, U64]:
    """Both halves of each address as native 64-bit words, for comparing and hashing."""
    words = np.ascontiguousarray(addresses).view(">u8").astype(np.uint64)
    return words[:, 0], words[:, 1]


def put16(rows: Rows, offset: int, values: U16 | int) -> None:
    """Write a 16-bit field into every row."""
    rows[:, offset : offset + 2].view(">u2")[:, 0] = values


def put32(rows: Rows, offset: int, values: U32 | int) -> None:
    """Write a 32-bit field into every row."""
    rows[:, offset : offset + 4].view(">u4")[:, 0] = values


def put64(rows: Rows, offset: int, values: U64 | int) -> None:
    """Write a 64-bit field into every row."""
    rows[:, offset : offset + 8].view(">u8")[:, 0] = values


def get16(rows: Rows, offset: int) -> U16:
    """Read a 16-bit field of every row."""
    return rows[:, offset : offset + 2].view(">u2")[:, 0].astype(np.uint16)


def get32(rows: Rows, offset: int) -> U32:
    """Read a 32-bit field of every row."""
    return rows[:, offset : offset + 4].view(">u4")[:, 0].astype(np.uint32)


def get64(rows: Rows, offset: int) -> U64:
    """Read a 64-bit field of every row."""
    return rows[:, offset : offset + 8].view(">u8")[:, 0].astype(np.uint64)


def _fold(sums: U64) -> U16:
    folded = (sums & np.uint64(0xFFFF)) + (sums >> np.uint64(16))
    folded = (folded & np.uint64(0xFFFF)) + (folded >> np.uint64(16))
    folded = (folded & np.uint64(0xFFFF)) + (folded >> np.uint64(16))
    return folded.astype(np.uint16)


def word_sums(rows: Rows) -> U64:
    """A sum per row that folds to that of its 16-bit words; the last bytes are padded with zeros.

    It is that of the 32-bit words, as 2**16 is 1 modulo 2**16 - 1 (RFC 1071 section 2, C). Whole columns are
    added, because that is several times as fast as adding along short rows.
    """
    if rest := -rows.shape[1] % 4:
        rows = np.concatenate([rows, np.zeros((len(rows), rest), dtype=np.uint8)], axis=1)
    words = np.ascontiguousarray(rows).view(">u4")
    return np.asarray(np.ascontiguousarray(words.T, dtype=np.uint64).sum(axis=0))


def checksums(rows: Rows, initial: U64 | int = 0) -> U16:
    """The Internet checksum of each row (RFC 1071); *initial* adds the sum of a pseudo header."""
    return ~_fold(word_sums(rows) + np.asarray(initial, dtype=np.uint64))


def update_checksums(old: U16, before: Rows, after: Rows) -> U16:
    """The checksum of each row after some of its (even-aligned) bytes changed.

    RFC 1624 section 3, equation 3: HC' = ~(~HC + ~m + m').
    """
    return ~_fold((~old).astype(np.uint64) + word_sums(~before) + word_sums(after))


def pseudo_sums(source: Rows, target: Rows, *, protocol: int, length: int) -> U64:
    """Sums of the pseudo headers (RFC 9293 section 3.1, RFC 8200 section 8.1), per row.

    Of mapped addresses only the last four bytes are summed.
    """
    ends = get32(source, 12).astype(np.uint64) + get32(target, 12)
    rest = np.where(is_mapped(target), np.uint64(0), word_sums(source[:, :12]) + word_sums(target[:, :12]))
    return np.asarray(ends + rest + np.uint64(protocol + length))


def keyed_words(key: bytes, number: int, count: int) -> U64:
    """*count* pseudo-random 64-bit words that depend on the 16-byte *key* and on *number*.

    They are the SHAKE128 stream over both (FIPS 202 section 6.2): without the key, a cookie can only be
    guessed by chance. A sponge may be keyed by a prefix, as KMAC is (SP 800-185, 4).
    """
    stream = hashlib.shake_128(key + number.to_bytes(8, "big")).digest(8 * count)
    return np.frombuffer(stream, dtype="<u8").astype(np.uint64)
