"""ICMP messages: round trips, checksums, quotes, and no hostile input matches."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import RemoteFormatError
from netprobe.wire import icmp
from netprobe.wire.checksum import internet_checksum

KEY = b"the fleet's key"
U16 = st.integers(0, 2**16 - 1)
U32 = st.integers(0, 2**32 - 1)
COOKIES = st.builds(icmp.Cookie, check=st.integers(0, 2**63 - 1), boot=U32, sequence=U32)
VERSIONS = st.sampled_from([4, 6])


@given(version=VERSIONS, identifier=U16, sequence=U16, data=st.binary(max_size=100))
def test_an_echo_comes_back_as_it_was(version: int, identifier: int, sequence: int, data: bytes) -> None:
    message = icmp.encode_echo_request(version=version, identifier=identifier, sequence=sequence, data=data)
    kind = icmp.Echo.V4_REQUEST if version == 4 else icmp.Echo.V6_REQUEST
    assert icmp.decode_echo(message, version=version) == icmp.EchoMessage(kind, identifier, sequence, data)


@given(COOKIES)
def test_a_cookie_comes_back_as_it_was(cookie: icmp.Cookie) -> None:
    data = icmp.encode_cookie(cookie, key=KEY)
    assert len(data) == icmp.COOKIE_BYTES
    assert icmp.decode_cookie(data + b"padding", key=KEY) == cookie
    assert icmp.peek_cookie(data[:16]) == cookie


@given(cookie=COOKIES, at=st.integers(0, 23), flip=st.integers(1, 255))
def test_a_forged_cookie_never_counts(cookie: icmp.Cookie, at: int, flip: int) -> None:
    forged = bytearray(icmp.encode_cookie(cookie, key=KEY))
    forged[at] ^= flip
    with pytest.raises(RemoteFormatError):
        icmp.decode_cookie(bytes(forged), key=KEY)


@given(noise=st.binary(max_size=100), version=VERSIONS)
def test_noise_is_read_or_refused(noise: bytes, version: int) -> None:
    for decode in (icmp.decode_echo, icmp.decode_error):
        try:
            decode(noise, version=version)
        except RemoteFormatError as error:
            assert "\n" not in str(error)
    with pytest.raises(RemoteFormatError):
        icmp.decode_cookie(noise, key=KEY)


@given(st.binary(max_size=19))
def test_a_short_packet_has_no_ipv4_header(packet: bytes) -> None:
    with pytest.raises(RemoteFormatError):
        icmp.split_ipv4(packet)


@pytest.mark.parametrize("version", [4, 6])
def test_a_padded_echo_has_the_size_asked_for(version: int) -> None:
    header = 20 if version == 4 else 40
    data = icmp.pad_echo_data(bytes(icmp.COOKIE_BYTES), version=version, packet_bytes=1_400)
    message = icmp.encode_echo_request(version=version, identifier=1, sequence=1, data=data)
    assert header + len(message) == 1_400


def quote_v4(transport: bytes, *, options: bytes = b"") -> bytes:
    header = 20 + len(options)
    fields = (0x40 | header // 4, 0, header + len(transport), 0, 0, 3, 17, 0)
    addresses = ipaddress.ip_address("10.0.0.1").packed + ipaddress.ip_address("10.0.0.2").packed
    return struct.pack("!BBHHHBBH", *fields) + addresses + options + transport


def quote_v6(transport: bytes) -> bytes:
    addresses = ipaddress.ip_address("fd00::1").packed + ipaddress.ip_address("fd00::2").packed
    return struct.pack("!IHBB", 6 << 28, len(transport), 17, 3) + addresses + transport


@given(transport=st.binary(max_size=50), options=st.sampled_from([b"", bytes(8), bytes(40)]))
def test_an_ipv4_error_quotes_what_was_sent(transport: bytes, options: bytes) -> None:
    plain = bytes((3, 4, 0, 0, 0, 0)) + (1_280).to_bytes(2, "big") + quote_v4(transport, options=options)
    read = icmp.decode_error(plain, version=4)
    assert (read.icmp_type, read.icmp_code, read.mtu) == (3, 4, 1_280)
    assert read.quote == icmp.Quote(17, "10.0.0.1", "10.0.0.2", 3, transport)


@given(st.binary(max_size=50))
def test_an_ipv6_error_quotes_what_was_sent(transport: bytes) -> None:
    plain = bytes((2, 0, 0, 0)) + (1_280).to_bytes(4, "big") + quote_v6(transport)
    read = icmp.decode_error(plain, version=6)
    assert (read.icmp_type, read.icmp_code, read.mtu) == (2, 0, 1_280)
    assert read.quote == icmp.Quote(17, "fd00::1", "fd00::2", 3, transport)


def test_only_too_big_tells_an_mtu() -> None:
    rejected = bytes((3, 13, 0, 0, 0, 0, 5, 0)) + quote_v4(bytes(8))
    assert icmp.decode_error(rejected, version=4).mtu is None


def test_a_wrong_checksum_is_refused() -> None:
    message = bytearray(icmp.encode_echo_request(version=4, identifier=1, sequence=1, data=b"x"))
    message[-1] ^= 1
    assert internet_checksum(bytes(message)) != 0
    with pytest.raises(RemoteFormatError, match="wrong checksum"):
        icmp.decode_echo(bytes(message), version=4)
