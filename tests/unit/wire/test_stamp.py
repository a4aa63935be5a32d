"""STAMP packets: round trips, the RFCs' offsets, and no hostile input matches."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netprobe.errors import MisuseError, RemoteFormatError
from netprobe.wire import stamp

KEY = b"the fleet's key"
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
TIMES = st.integers(0, 2**32 * 1_000_000_000 - 1)
CHECKS = st.integers(0, 2**63 - 1)
SIZES = st.just(stamp.MIN_BYTES) | st.integers(stamp.MIN_PADDED_BYTES, 2_000)
ADDRESSES = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-./é", max_size=30)

SHORT_NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-./é", min_size=1, max_size=90).map(
    stamp.short_name
)
_FLEET = {"asker": st.just(b""), "nonce": st.just(0), "sent_s": st.just(0)}
_PAIR = {"asker": SHORT_NAMES, "nonce": U32, "sent_s": U32}
REQUESTS = st.sampled_from([_FLEET, _PAIR]).flatmap(
    lambda version: st.builds(
        stamp.Request, check=CHECKS, boot=U32, sequence=U32, sent_ntp=U64, sent_count=U32,
        is_urgent=st.booleans(), **version,
    )
)  # fmt: skip
_FLEET_ANSWER = {"is_paired": st.just(False), "nonce": st.just(0), "is_astray": st.just(False)}
_PAIR_ANSWER = {"is_paired": st.just(True), "nonce": U32, "is_astray": st.booleans()}
ANSWERS = st.sampled_from([_FLEET_ANSWER, _PAIR_ANSWER]).flatmap(
    lambda version: st.builds(
        stamp.StampAnswer,
        check=CHECKS,
        boot=U32,
        sequence=U32,
        sent_ntp=U64,
        received_ntp=U64,
        answered_ntp=U64,
        sent_count=U32,
        received_count=U32,
        answered_count=U32,
        observed_source=ADDRESSES,
        observed_port=st.integers(0, 65535),
        reflector_port=st.integers(0, 65535),
        observed_ttl=st.integers(0, 255),
        answered_by=NAMES,
        told_mtu=st.integers(0, 0xFFFF),
        **version,
    )
)

SENT = stamp.ntp_of(1_700_000_000_000_000_001)
REQUEST = stamp.Request(check=7, boot=5, sequence=3, sent_ntp=SENT, sent_count=3)


@given(request=REQUESTS, size=SIZES)
def test_a_request_comes_back_as_it_was(request: stamp.Request, size: int) -> None:
    data = stamp.encode_request(request, key=KEY, size=size)
    assert len(data) == size
    assert stamp.decode_request(data, key=KEY) == request


@given(answer=ANSWERS, size=SIZES)
def test_an_answer_comes_back_as_it_was(answer: stamp.StampAnswer, size: int) -> None:
    data = stamp.encode_answer(answer, key=KEY, size=size)
    assert len(data) == size
    assert stamp.decode_answer(data, key=KEY) == answer


@given(answer=ANSWERS, request=REQUESTS, other_key=st.binary(min_size=1).filter(lambda key: key != KEY))
def test_a_stranger_is_known_by_the_key(
    answer: stamp.StampAnswer, request: stamp.Request, other_key: bytes
) -> None:
    with pytest.raises(stamp.StrangerError):
        stamp.decode_answer(stamp.encode_answer(answer, key=other_key), key=KEY)
    with pytest.raises(stamp.StrangerError):
        stamp.decode_request(stamp.encode_request(request, key=other_key), key=KEY)


@given(request=REQUESTS)
def test_a_request_sent_back_is_no_answer(request: stamp.Request) -> None:
    with pytest.raises(RemoteFormatError):
        stamp.decode_answer(stamp.encode_request(request, key=KEY), key=KEY)


@given(answer=ANSWERS, size=SIZES, cut=st.integers(0, 1_999))
def test_a_cut_answer_is_refused(answer: stamp.StampAnswer, size: int, cut: int) -> None:
    data = stamp.encode_answer(answer, key=KEY, size=size)
    shorter = data[: cut % size]
    if len(shorter) != stamp.MIN_BYTES:  # exactly without its padding it is a whole packet again
        with pytest.raises(RemoteFormatError):
            stamp.decode_answer(shorter, key=KEY)


@given(st.binary(max_size=400))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes) -> None:
    for decode in (stamp.decode_request, stamp.decode_answer):
        with pytest.raises(RemoteFormatError):
            decode(noise, key=KEY)


@given(answer=ANSWERS, at=st.integers(44, 203), flip=st.integers(1, 255))
def test_no_byte_behind_the_base_can_be_changed(answer: stamp.StampAnswer, at: int, flip: int) -> None:
    data = bytearray(stamp.encode_answer(answer, key=KEY))
    data[at] ^= flip
    try:
        read = stamp.decode_answer(bytes(data), key=KEY)
    except RemoteFormatError:
        return
    assert at == 184, "only the HMAC TLV's own flags are outside of the HMAC"
    assert read == answer


@given(noise=st.binary(max_size=stamp.MIN_BYTES))
def test_a_validly_sealed_mess_is_refused_too(noise: bytes) -> None:
    mess = bytearray(noise.ljust(stamp.MIN_BYTES, b"\0"))
    mess[45], mess[48], mess[49] = 252, 1, 2
    mess[188:204] = stamp._digest(mess, KEY)
    with pytest.raises(RemoteFormatError):
        stamp.decode_answer(bytes(mess), key=KEY)


def test_fields_stand_where_the_rfcs_put_them() -> None:
    data = stamp.encode_request(REQUEST, key=KEY, size=300)
    assert data[0:4] == (3).to_bytes(4, "big"), "RFC 8762, 4.2.1: sequence number"
    assert data[4:8] == (1_700_000_000 + 2_208_988_800).to_bytes(4, "big"), "NTP seconds since 1900"
    assert data[12] >> 6 == 0, "error estimate: S = 0 unsynchronised, Z = 0 NTP format"
    assert data[13] != 0, "RFC 4656, 4.1.2: a multiplier of zero is not an estimate"
    assert data[16:44] == bytes(28), "must be zero"
    assert data[44:48] == bytes((0x80, 252, 0, 92)), "private TLV, U set by the sender"
    assert data[140:144] == bytes((0x80, 2, 0, 24)), "Location"
    assert data[148:152] == bytes((0x80, 7, 0, 16)), "generic Source IP Address asked for"
    assert data[168:172] == bytes((0x80, 5, 0, 12)), "Direct Measurement"
    assert data[184:188] == bytes((0x80, 8, 0, 16)), "HMAC"
    assert data[204:208] == bytes((0x80, 1, 0, 92)), "Extra Padding comes last"


@pytest.mark.parametrize("size", [0, 203, 205, 207, 65_001])
def test_an_impossible_size_is_our_own_mistake(size: int) -> None:
    with pytest.raises(MisuseError):
        stamp.encode_request(REQUEST, key=KEY, size=size)


@given(TIMES)
def test_a_time_survives_the_wire_to_the_nanosecond(unix_ns: int) -> None:
    assert stamp.unix_of(stamp.ntp_of(unix_ns)) == unix_ns


@given(one=st.text(max_size=200), other=st.text(max_size=200))
def test_names_are_the_same_only_if_they_are(one: str, other: str) -> None:
    assert stamp.is_same_name(one, stamp.encode_name(one).decode())
    assert stamp.is_same_name(one, stamp.encode_name(other).decode()) == (one == other)


@given(request=REQUESTS, cut=st.integers(0, stamp.MIN_BYTES))
def test_a_quote_tells_as_much_as_it_holds(request: stamp.Request, cut: int) -> None:
    quote = stamp.read_quote(stamp.encode_request(request, key=KEY)[:cut])
    if cut < 4:
        assert quote is None
    elif cut < 60:
        assert quote == stamp.QuotedRequest(request.sequence, None)
    else:
        assert quote == stamp.QuotedRequest(request.sequence, request.check)


@given(received_ns=TIMES, held_ns=st.integers(-(2**40), 2**40))
@example(received_ns=(2**32 - 2_208_988_800) * 1_000_000_000 - 1, held_ns=2)
def test_time_at_the_reflector_is_exact_and_never_negative(received_ns: int, held_ns: int) -> None:
    received, answered = stamp.ntp_of(received_ns), stamp.ntp_of(received_ns + held_ns)
    answer = stamp.StampAnswer(7, 5, 3, 1, received, answered, 3, 3, 3, "10.0.0.1", 1, 2, 64, "a/b/pod")
    assert answer.dwell_ns == max(0, held_ns)


def test_a_request_tells_when_it_was_sent() -> None:
    assert REQUEST.sent_ns == 1_700_000_000_000_000_001
