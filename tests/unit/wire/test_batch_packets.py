"""ICMP and TCP packets as arrays: what is built can be read, and anything else is ignored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.wire import batch_icmp, batch_syn
from netprobe.wire.batch import Rows, get16, get32, pack_addresses
from netprobe.wire.batch_quote import read_errors
from tests.unit.wire.plain import plain_checksum

COOKIES = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6)
ROUNDS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4)


def echoes(cookies: list[int], rounds: list[int], *, width: int = 40, v6: bool = False) -> Rows:
    rows = batch_icmp.build_echoes(
        np.arange(len(cookies), dtype=np.uint32), identifier=77, width=width, v6=v6
    )
    for number in rounds:
        batch_icmp.patch_echoes(rows, round_number=number, cookies=np.array(cookies, dtype=np.uint64), v6=v6)
    return rows


@given(cookies=COOKIES, rounds=ROUNDS, width=st.integers(24, 90), v6=st.booleans())
def test_echoes_come_back_after_any_number_of_rounds(
    cookies: list[int], rounds: list[int], width: int, v6: bool
) -> None:
    rows = echoes(cookies, rounds, width=width, v6=v6)
    index, number, cookie = batch_icmp.read_echoes(rows, np.full(len(rows), width))
    assert index.tolist() == list(range(len(cookies)))
    assert set(number.tolist()) == {rounds[-1]}
    assert cookie.tolist() == cookies


@given(cookies=COOKIES, rounds=ROUNDS, width=st.integers(24, 91), cut=st.integers(0, 60))
def test_the_patched_checksum_holds_for_every_length(
    cookies: list[int], rounds: list[int], width: int, cut: int
) -> None:
    for row in echoes(cookies, rounds, width=width):
        packet = row.tobytes()[: max(24, width - cut)]
        assert plain_checksum(packet) == 0


@given(size=st.integers(0, 23))
def test_a_truncated_echo_has_no_index(size: int) -> None:
    rows = echoes([5], [1])
    assert batch_icmp.read_echoes(rows, np.array([size]))[0].tolist() == [-1]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({0: 8}, "a request, not a reply"),
        ({1: 1}, "a code"),
        ({4: 9}, "another probe's identifier"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_replies_to_our_identifier_count(change: dict[int, int], why: str) -> None:
    rows = echoes([5], [1])
    rows[:, 0] = batch_icmp.ECHO_REPLY
    assert batch_icmp.is_reply(rows, np.array([40]), identifier=77, v6=False).all()
    for at, value in change.items():
        rows[0, at] = value
    assert not batch_icmp.is_reply(rows, np.array([40]), identifier=77, v6=False).any(), why


@given(options=st.integers(0, 10), total=st.integers(0, 120))
def test_an_ipv4_header_of_any_length_is_cut_off(options: int, total: int) -> None:
    packet = np.zeros((1, 160), dtype=np.uint8)
    header = 20 + 4 * options
    packet[0, 0] = 0x40 | header // 4
    packet[0, 12:16] = (10, 9, 8, 7)
    packet[0, header : header + 3] = (1, 2, 3)
    stripped = batch_icmp.strip_ipv4(packet, np.array([total]))
    assert stripped.valid.tolist() == [total >= header]
    assert stripped.rows[0, :3].tolist() == [1, 2, 3]
    assert stripped.lengths.tolist() == [max(0, total - header)]


@given(noise=st.binary(min_size=160, max_size=160), length=st.integers(0, 160))
def test_noise_is_read_without_harm(noise: bytes, length: int) -> None:
    rows = np.frombuffer(noise, dtype=np.uint8).reshape(1, -1)
    lengths = np.array([length])
    stripped = batch_icmp.strip_ipv4(rows, lengths)
    for v6 in (False, True):
        quotes = read_errors(stripped.rows, stripped.lengths, v6=v6)
        assert not quotes.valid.any() or stripped.lengths[0] >= 36
    batch_syn.read_answers(stripped.rows, stripped.lengths)


@given(
    ports=st.lists(st.integers(1, 65535), min_size=1, max_size=5),
    cookie=st.integers(0, 2**32 - 1),
    source_port=st.integers(1, 65535),
)
def test_syns_carry_a_right_checksum(ports: list[int], cookie: int, source_port: int) -> None:
    source = pack_addresses(["10.0.0.1"] * len(ports))
    target = pack_addresses(["10.0.0.2"] * len(ports))
    rows = batch_syn.build_syns(source, target, np.array(ports, dtype=np.uint16))
    batch_syn.patch_syns(rows, source_port=7, cookies=np.full(len(ports), 9, dtype=np.uint32))
    cookies = np.full(len(ports), cookie, dtype=np.uint32)
    batch_syn.patch_syns(rows, source_port=source_port, cookies=cookies)
    for row, port in zip(rows, ports, strict=True):
        pseudo = bytes([10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0, batch_syn.LENGTH])
        assert plain_checksum(pseudo + row.tobytes()) == 0
        assert row[:4].tobytes() == source_port.to_bytes(2, "big") + port.to_bytes(2, "big")
    assert set(get32(rows, 4).tolist()) == {cookie}


@pytest.mark.parametrize(
    ("flags", "is_open", "is_closed"),
    [
        (0x12, True, False),
        (0x14, False, True),
        (0x04, False, True),
        (0x10, False, False),
        (0x11, False, False),
    ],
    ids=["SYN-ACK", "RST-ACK", "RST", "ACK", "FIN-ACK"],
)
def test_flags_of_answers(flags: int, is_open: bool, is_closed: bool) -> None:
    row = np.zeros((1, 20), dtype=np.uint8)
    row[0, 8:12] = (0, 0, 0, 0)
    row[0, 13] = flags
    answers = batch_syn.read_answers(row, np.array([20]))
    assert (bool(answers.is_open[0]), bool(answers.is_closed[0])) == (is_open, is_closed)
    assert answers.cookies.tolist() == [2**32 - 1], "sequence numbers wrap"
    assert not batch_syn.read_answers(row, np.array([19])).is_open.any()


def quoted(transport: bytes, *, v6: bool, kind: int, code: int, mtu: int = 0) -> Rows:
    inner = bytes([0x60, *[0] * 5, 6, 64]) + bytes(16) + bytes(range(16)) if v6 else (
        bytes([0x45, *[0] * 8, 6, 0, 0]) + bytes(4) + bytes([10, 9, 0, 1])
    )  # fmt: skip
    packet = bytes([kind, code, 0, 0]) + mtu.to_bytes(4, "big") + inner + transport
    return np.frombuffer(packet, dtype=np.uint8).reshape(1, -1)


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_an_error_quotes_our_packet(v6: bool) -> None:
    transport = bytes.fromhex("1234 0050 deadbeef") + bytes(4)
    rows = quoted(transport, v6=v6, kind=2 if v6 else 3, code=0 if v6 else 4, mtu=1280)
    quotes = read_errors(rows, np.array([rows.shape[1]]), v6=v6)
    assert quotes.valid.all()
    assert (quotes.protocols[0], quotes.mtus[0]) == (6, 1280)
    assert (quotes.source_ports[0], quotes.target_ports[0], quotes.words[0]) == (0x1234, 80, 0xDEADBEEF)
    assert get16(quotes.transport, 2).tolist() == [80]
    too_short = read_errors(rows, np.array([rows.shape[1] - 5]), v6=v6)
    assert not too_short.valid.any()
