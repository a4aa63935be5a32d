"""Only answers that repeat a cookie count."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netprobe.engine.sweep.cookies import KEPT_ROUNDS, CookieTable
from netprobe.engine.sweep.targets import SweepTargets, TargetProtocol
from netprobe.wire.batch import Flags, Indices

KEY = b"0123456789abcdef"
TARGETS = ["10.9.0.1", "10.9.0.2", "10.9.0.2", "fd09::1"]
BOOK_OF = SweepTargets.of(TargetProtocol.SYN, TARGETS, ports=[80, 80, 443, 80])


def anything(positions: Indices, rows: Indices) -> Flags:
    return np.ones(len(rows), dtype=np.bool_)


def test_every_question_finds_itself() -> None:
    book = CookieTable(BOOK_OF, key=KEY)
    assert book.find(BOOK_OF.addresses, BOOK_OF.ports, anything).tolist() == [0, 1, 2, 3]


def test_strangers_find_nothing() -> None:
    book = CookieTable(BOOK_OF, key=KEY)
    others = SweepTargets.of(TargetProtocol.SYN, ["10.9.0.3", "10.9.0.1"], ports=[80, 443])
    assert book.find(others.addresses, others.ports, anything).tolist() == [-1, -1]


def test_equal_questions_are_told_apart_by_their_cookie() -> None:
    twins = SweepTargets.of(TargetProtocol.SYN, ["10.9.0.1"] * 3, ports=80)
    book = CookieTable(twins, key=KEY)
    cookies = book.open_round(1)
    assert len(set(cookies.tolist())) == 3

    def fits(positions: Indices, rows: Indices) -> Flags:
        expected, known = book.cookies_of(rows, np.ones(len(rows), dtype=np.int64))
        return np.asarray(known & (expected == cookies[positions]))

    assert book.find(twins.addresses, twins.ports, fits).tolist() == [0, 1, 2]


@given(row=st.integers(-(2**40), 2**40), number=st.integers(0, 2**40))
def test_unknown_rows_and_rounds_have_no_cookie(row: int, number: int) -> None:
    book = CookieTable(BOOK_OF, key=KEY)
    book.open_round(7)
    _, known = book.cookies_of(np.array([row]), np.array([number]))
    assert known.tolist() == [0 <= row < len(TARGETS) and number == 7]


def test_old_rounds_are_forgotten() -> None:
    book = CookieTable(BOOK_OF, key=KEY)
    for number in range(KEPT_ROUNDS + 1):
        book.open_round(number)
    everywhere = np.arange(len(TARGETS))
    assert not book.cookies_of(everywhere, np.full(len(TARGETS), 0))[1].any()
    assert book.cookies_of(everywhere, np.full(len(TARGETS), 1))[1].all()


def test_a_source_port_means_its_newest_round() -> None:
    book = CookieTable(BOOK_OF, key=KEY)
    for number in (14, 15, 16):
        book.open_round(number)
    residues = np.array([0, 7, 6, 3], dtype=np.uint16)
    assert book.newest_round(residues, modulus=8).tolist() == [16, 15, 14, -1]


def test_another_key_makes_other_cookies() -> None:
    one, other = CookieTable(BOOK_OF, key=KEY), CookieTable(BOOK_OF, key=KEY[::-1])
    assert not (one.open_round(1) == other.open_round(1)).any()
