"""Slow reference implementations, for comparison with the fast ones."""

from __future__ import annotations


def plain_checksum(data: bytes) -> int:
    """RFC 1071, word by word."""
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
