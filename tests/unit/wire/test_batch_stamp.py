"""STAMP as arrays equals the scalar STAMP, byte for byte, in both directions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netprobe.wire import stamp
from netprobe.wire.batch import Rows, address_text
from netprobe.wire.batch_stamp import (
    Sealer,
    build_requests,
    ntp_of,
    patch_requests,
    read_answers,
    stamp_requests,
    unix_of,
)

CHECKS = st.integers(0, 2**63 - 1)
COUNTS = st.integers(0, 2**32 - 1)
TIMES = st.integers(1_000_000_000, 4 * 10**18)
NTP = TIMES.map(stamp.ntp_of)
KEYS = st.binary(min_size=1, max_size=80)
SIZES = st.sampled_from([204, 208, 209, 300, 1400])

SOURCES = st.ip_addresses().filter(lambda ip: ip.version == 4 or not ip.ipv4_mapped)

ASKERS = st.sampled_from([b"", stamp.short_name("prod/w1/pod"), stamp.short_name("x" * 90)])
answers = st.builds(
    stamp.StampAnswer,
    check=CHECKS, boot=COUNTS, sequence=COUNTS, sent_ntp=NTP, received_ntp=NTP, answered_ntp=NTP,
    sent_count=COUNTS, received_count=COUNTS, answered_count=COUNTS,
    observed_source=SOURCES.map(str),
    observed_port=st.integers(0, 65535), reflector_port=st.integers(0, 65535),
    observed_ttl=st.integers(0, 255),
    answered_by=st.sampled_from(["prod/w1/pod", "", "x" * 64]),
    told_mtu=st.integers(0, 0xFFFF),
    is_paired=st.booleans(),
    nonce=COUNTS,
    is_astray=st.just(False),
)  # fmt: skip


def rows_of(*packets: bytes, width: int = 204) -> Rows:
    return np.frombuffer(b"".join(packet[:width] for packet in packets), dtype=np.uint8).reshape(-1, width)


QUESTIONS = st.lists(st.tuples(CHECKS, COUNTS, COUNTS, SIZES), min_size=1, max_size=5)


def sealer_of(key: bytes, answer: stamp.StampAnswer | None = None) -> Sealer:
    """For one row, asked in the version of the answer."""
    paired = answer is not None and answer.is_paired
    return Sealer([stamp.Seal(key, stamp.short_name("us") if paired else b"")])


def is_believed(packet: bytes, sealer: Sealer, *, length: int = 204) -> bool:
    rows = rows_of(packet)
    shaped = read_answers(rows, np.array([length])).valid
    return bool((shaped & sealer.are_proven(rows, np.array([0]))).all())


@given(
    asked=QUESTIONS,
    boot=COUNTS,
    at_ns=TIMES,
    seals=st.lists(st.builds(stamp.Seal, KEYS, ASKERS), min_size=5, max_size=5),
)
def test_requests_equal_the_scalar_ones(
    asked: list[tuple[int, int, int, int]], boot: int, at_ns: int, seals: list[stamp.Seal]
) -> None:
    seals = seals[: len(asked)]
    sealer = Sealer(seals)
    lengths = np.array([size for *_, size in asked])
    rows = build_requests(np.array([check for check, *_ in asked], dtype=np.uint64), lengths, boot=boot)
    sealer.sign(rows)
    for which in (2, 1):  # the second patch leaves nothing of the first
        sequences = np.array([question[which] for question in asked], dtype=np.uint32)
        patch_requests(rows, sequences=sequences, sealer=sealer, numbers=np.arange(len(rows)))
    stamp_requests(rows, np.arange(len(rows)), wall_ns=at_ns)
    for row, (check, sequence, _, size), seal in zip(rows, asked, seals, strict=True):
        sent = stamp.ntp_of(at_ns)
        request = stamp.Request(check, boot, sequence, sent, sequence, is_urgent=True, asker=seal.asker)
        assert row[:size].tobytes() == stamp.encode_request(request, key=seal.key, size=size)


@given(expected=st.lists(answers, min_size=1, max_size=4), key=KEYS)
def test_answers_are_read_as_the_scalar_reader_does(expected: list[stamp.StampAnswer], key: bytes) -> None:
    packets = [stamp.encode_answer(answer, key=key) for answer in expected]
    read = read_answers(rows_of(*packets), np.full(len(expected), 204))
    for row, packet in enumerate(packets):
        plain = stamp.decode_answer(packet, key=key)
        assert read.valid[row]
        assert is_believed(packet, sealer_of(key, plain))
        assert read.checks[row] == plain.check
        assert read.boots[row] == plain.boot
        assert read.sequences[row] == plain.sequence
        times = read.received_ns[row], read.answered_ns[row]
        assert times == (stamp.unix_of(plain.received_ntp), stamp.unix_of(plain.answered_ntp))
        assert read.received_counts[row] == plain.received_count
        assert address_text(read.sources[row]) == plain.observed_source
        assert read.source_ports[row] == plain.observed_port
        assert read.ttls[row] == plain.observed_ttl
        assert read.names[row].tobytes().rstrip(b"\0").decode() == plain.answered_by


COVERED = st.one_of(st.integers(44, 183), st.integers(24, 27), st.integers(0, 3), st.integers(184, 203))


@given(answer=answers, key=KEYS, at=COVERED, flip=st.integers(1, 255))
def test_an_altered_answer_is_not_believed(answer: stamp.StampAnswer, key: bytes, at: int, flip: int) -> None:
    packet = bytearray(stamp.encode_answer(answer, key=key))
    packet[at] ^= flip
    assert not is_believed(bytes(packet), sealer_of(key, answer))


@given(answer=answers, key=KEYS, other=KEYS, length=st.integers(0, 203))
def test_strangers_requests_and_stumps_are_not_believed(
    answer: stamp.StampAnswer, key: bytes, other: bytes, length: int
) -> None:
    packet = stamp.encode_answer(answer, key=key)
    if key.ljust(64, b"\0") != other.ljust(64, b"\0"):
        assert not is_believed(packet, sealer_of(other, answer)) or max(len(key), len(other)) > 64
    assert not is_believed(packet, sealer_of(key, answer), length=length)
    assert not is_believed(packet, sealer_of(key, answer._replace(is_paired=not answer.is_paired)))
    request = stamp.encode_request(stamp.Request(answer.check, 1, 1, 1, 1), key=key)
    assert not is_believed(request, sealer_of(key))


@given(st.binary(min_size=204, max_size=204), st.integers(0, 2000))
def test_noise_is_read_without_harm(noise: bytes, length: int) -> None:
    assert not is_believed(noise, sealer_of(b"k"), length=length)


@given(st.lists(TIMES, min_size=1))
def test_times_equal_the_scalar_ones(times: list[int]) -> None:
    ntp = ntp_of(np.array(times))
    assert ntp.tolist() == [stamp.ntp_of(at) for at in times]
    assert unix_of(ntp).tolist() == times
