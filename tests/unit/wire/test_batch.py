"""Packets as arrays equal the slow reference implementation."""

from __future__ import annotations

import ipaddress
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InputError
from netprobe.wire.batch import (
    Rows,
    address_text,
    checksums,
    get16,
    keyed_words,
    pack_addresses,
    pseudo_sums,
    put16,
    update_checksums,
)
from tests.unit.wire.plain import plain_checksum

BYTES = st.lists(st.binary(min_size=12, max_size=12), min_size=1, max_size=5)


def rows_of(packets: list[bytes]) -> Rows:
    return np.frombuffer(b"".join(packets), dtype=np.uint8).reshape(len(packets), -1).copy()


@given(
    packets=st.integers(1, 40).flatmap(
        lambda size: st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=5)
    )
)
def test_checksums_equal_the_scalar_one(packets: list[bytes]) -> None:
    assert checksums(rows_of(packets)).tolist() == [plain_checksum(packet) for packet in packets]


@given(packets=BYTES, change=st.binary(min_size=4, max_size=4))
def test_an_updated_checksum_equals_a_recomputed_one(packets: list[bytes], change: bytes) -> None:
    rows = rows_of([b"\x45" + packet for packet in packets])
    rows = np.concatenate([rows, np.zeros((len(rows), 1), dtype=np.uint8)], axis=1)
    old, before = checksums(rows), rows[:, 4:8].copy()
    rows[:, 4:8] = np.frombuffer(change, dtype=np.uint8)
    assert update_checksums(old, before, rows[:, 4:8]).tolist() == checksums(rows).tolist()


@given(source=st.ip_addresses(v=4), target=st.ip_addresses(v=4), length=st.integers(0, 1500))
def test_pseudo_header_of_ipv4(
    source: ipaddress.IPv4Address, target: ipaddress.IPv4Address, length: int
) -> None:
    header = struct.pack("!4s4sBBH", source.packed, target.packed, 0, 6, length)
    sums = pseudo_sums(
        pack_addresses([str(source)]), pack_addresses([str(target)]), protocol=6, length=length
    )
    assert checksums(np.zeros((1, 2), dtype=np.uint8), sums).tolist() == [plain_checksum(header)]


@given(source=st.ip_addresses(v=6), target=st.ip_addresses(v=6), length=st.integers(0, 1500))
def test_pseudo_header_of_ipv6(
    source: ipaddress.IPv6Address, target: ipaddress.IPv6Address, length: int
) -> None:
    if source.ipv4_mapped or target.ipv4_mapped:
        return
    header = struct.pack("!16s16sI3xB", source.packed, target.packed, length, 6)
    sums = pseudo_sums(
        pack_addresses([str(source)]), pack_addresses([str(target)]), protocol=6, length=length
    )
    assert checksums(np.zeros((1, 2), dtype=np.uint8), sums).tolist() == [plain_checksum(header)]


@given(st.lists(st.ip_addresses(), min_size=1, max_size=6))
def test_addresses_come_back(addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> None:
    texts = [str(getattr(address, "ipv4_mapped", None) or address) for address in addresses]
    assert [address_text(row) for row in pack_addresses(texts)] == texts


def test_a_wrong_address_is_named() -> None:
    with pytest.raises(InputError, match=r"target 1: '10\.0\.0' is not an IP address"):
        pack_addresses(["10.0.0.1", "10.0.0"])


@pytest.mark.parametrize(
    "text",
    ["01.2.3.4", "1.2.3.4 ", "256.1.1.1", "1.2.3.4.5", "+1.2.3.4", "1_0.2.3.4", "١.2.3.4", "-1.2.3.4", ""],
)
def test_only_the_proper_form_of_an_address_is_one(text: str) -> None:
    with pytest.raises(InputError, match="target 0"):
        pack_addresses([text])


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=5))
def test_fields_come_back(values: list[int]) -> None:
    rows = np.zeros((len(values), 6), dtype=np.uint8)
    put16(rows, 3, np.array(values, dtype=np.uint16))
    assert get16(rows, 3).tolist() == values


def test_cookies_are_the_stream_of_shake128() -> None:
    """FIPS 202, of the bytes 00…17: made with OpenSSL's ``dgst -shake128 -xoflen 16``."""
    words = keyed_words(bytes(range(16)), int.from_bytes(bytes(range(16, 24)), "big"), 2)
    assert words.astype("<u8").tobytes() == bytes.fromhex("fbd0421f96932d037d538057e34dec52")


@given(key=st.binary(min_size=16, max_size=16), number=st.integers(0, 2**64 - 1), bit=st.integers(0, 127))
def test_another_row_round_or_key_has_another_cookie(key: bytes, number: int, bit: int) -> None:
    other = (int.from_bytes(key, "big") ^ 1 << bit).to_bytes(16, "big")
    words_by_number = [
        keyed_words(key, number, 50),
        keyed_words(key, (number + 1) % 2**64, 50),
        keyed_words(other, number, 50),
    ]
    assert len({word for words in words_by_number for word in words.tolist()}) == 150
