"""RFC 1071: a message with its checksum in place adds up, and any order of words has the same sum."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from netprobe.wire.checksum import internet_checksum, is_intact


def checksum_by_the_book(data: bytes) -> int:
    """RFC 1071, section 4.1, word by word."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2]))
    total += data[-1] << 8 if len(data) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(st.binary(max_size=200))
def test_equals_the_sum_taken_word_by_word(data: bytes) -> None:
    assert internet_checksum(data) == checksum_by_the_book(data)


@given(st.binary(min_size=2, max_size=200))
def test_a_message_with_its_checksum_adds_up(data: bytes) -> None:
    even = data[: len(data) // 2 * 2]
    assert is_intact(even + internet_checksum(even).to_bytes(2, "big"))


@given(data=st.binary(min_size=2, max_size=64), bit=st.integers(min_value=0))
def test_one_flipped_bit_is_noticed(data: bytes, bit: int) -> None:
    even = data[: len(data) // 2 * 2]
    message = bytearray(even + internet_checksum(even).to_bytes(2, "big"))
    at = bit % (len(message) * 8)
    message[at // 8] ^= 1 << (at % 8)
    assert not is_intact(bytes(message))
