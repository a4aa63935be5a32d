"""Firewalk over simulated routers, without sockets: where suspects are dropped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netprobe.engine.sweep.firewalk import FirewalkScan
from netprobe.engine.sweep.targets import ResultCode, RoundResult
from netprobe.wire.batch import Indices

SUSPECTS = 3


@dataclass
class Line:
    """A path of several hops: which hops name expired packets, and how far each row gets."""

    reach: list[int]
    """Per row: the last TTL at which it is named; rows after the suspects are control ports."""
    length: int = 4
    """The TTL at which the control probe reaches the target."""
    mute: frozenset[int] = frozenset()
    """Silent hops."""
    stingy: frozenset[int] = frozenset()
    """Hops that answer only in every n-th try."""
    seldom: int = 2

    def play(self, walk: FirewalkScan) -> FirewalkScan:
        tries: dict[int, int] = {}
        while not walk.is_done:
            ttl, rows = walk.ttl, walk.next_rows()
            tries[ttl] = tries.get(ttl, 0) + 1
            expired = np.zeros(len(self.reach), dtype=np.bool_)
            codes = np.full(len(self.reach), ResultCode.TIMED_OUT, dtype=np.uint8)
            for row in rows.tolist():
                speaks = ttl not in self.mute and not (ttl in self.stingy and tries[ttl] % self.seldom)
                if row >= SUSPECTS and ttl >= self.length:
                    codes[row] = ResultCode.REACHED
                elif ttl <= self.reach[row] and speaks:
                    codes[row], expired[row] = ResultCode.REJECTED, True
            senders = np.zeros((len(self.reach), 16), dtype=np.uint8)
            senders[:, 15] = ttl
            walk.note(result_of(codes), expired, senders)
        return walk


def result_of(codes: np.ndarray) -> RoundResult:
    count = len(codes)
    zeros: Indices = np.zeros(count, dtype=np.int64)
    return RoundResult(
        0, codes > 0, codes, zeros, np.zeros((count, 16), dtype=np.uint8), codes, codes, zeros,
        np.zeros(count, dtype=np.int16), 0, 1,
    )  # fmt: skip


def one_host(*, with_witness: bool = True) -> FirewalkScan:
    witness = np.array([SUSPECTS if with_witness else -1], dtype=np.int64)
    return FirewalkScan(np.zeros(SUSPECTS, dtype=np.int64), witness, hops=8)


def test_each_suspect_is_lost_behind_its_own_hop() -> None:
    walk = Line([1, 2, 3, 9]).play(one_host())
    assert walk.last.tolist() == [1, 2, 3]
    assert walk.lost.tolist() == [2, 3, 4]
    assert walk.names[0, 2, 15] == 2


def test_a_silent_hop_widens_the_range() -> None:
    walk = Line([1, 1, 3, 9], mute=frozenset({2})).play(one_host())
    assert walk.last.tolist() == [1, 1, 3]
    assert walk.lost.tolist() == [3, 3, 4]


def test_a_hop_that_limits_its_icmp_is_asked_more_often() -> None:
    walk = Line([1, 1, 3, 9], stingy=frozenset({2})).play(one_host())
    assert walk.last.tolist() == [1, 1, 3]
    assert walk.lost.tolist() == [2, 2, 4]


def test_a_hop_that_names_a_control_too_seldom_proves_nothing() -> None:
    walk = Line([1, 1, 3, 9], stingy=frozenset({2}), seldom=3).play(one_host())
    assert walk.lost.tolist() == [3, 3, 4]


def test_without_a_control_port_another_suspect_is_the_control() -> None:
    walk = Line([1, 1, 2]).play(one_host(with_witness=False))
    assert walk.last.tolist() == [1, 1, 2]
    assert walk.lost.tolist() == [2, 2, 0]


def test_a_late_answer_of_the_previous_hop_names_no_packet() -> None:
    walk = one_host()
    expired = np.ones(SUSPECTS + 1, dtype=np.bool_)
    codes = np.full(SUSPECTS + 1, ResultCode.REJECTED, dtype=np.uint8)
    senders = np.full((SUSPECTS + 1, 16), 7, dtype=np.uint8)
    walk.note(result_of(codes), expired, senders)
    assert (walk.ttl, walk.last.tolist()) == (2, [1, 1, 1])
    walk.note(result_of(codes), expired, senders)
    assert walk.last.tolist() == [1, 1, 1]


def test_with_silent_hops_only_the_walk_ends_without_a_location() -> None:
    walk = Line([1, 1, 1, 1], length=99).play(one_host())
    assert walk.lost.tolist() == [0, 0, 0]
    assert walk.is_done
