"""The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words."""

from __future__ import annotations


def internet_checksum(data: bytes) -> int:
    """The checksum of *data*; an odd last byte is padded with zero (RFC 1071, section 4.1).

    The sum is taken modulo 0xFFFF: 2**16 ≡ 1 there, so the bytes read as one number have the same residue.

    >>> hex(internet_checksum(bytes.fromhex("0001f203f4f5f6f7")))
    '0x220d'
    """
    if len(data) % 2:
        data += b"\0"
    number = int.from_bytes(data, "big")
    folded = number % 0xFFFF
    if folded == 0 and number:
        folded = 0xFFFF
    return 0xFFFF ^ folded


def is_intact(data: bytes) -> bool:
    """Whether *data*, its checksum field included, adds up (RFC 1071, section 1)."""
    return internet_checksum(data) == 0
