"""Port verdicts on simulated hosts that lose packets and limit their answers; time is simulated, too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.engine.sweep.port_scan_policy import PortScan, ScanPass
from netprobe.engine.sweep.targets import ResultCode, RoundResult, SweepAnswers

MS = 1_000_000
PASS_NS = 50 * MS


@dataclass(slots=True)
class Host:
    """Answers each port according to *truth*, but a refusal needs a token."""

    truth: list[ResultCode]
    rate: float = 1e9
    depth: float = 1e9
    tokens: float = 1e9
    filled_ns: int = 0

    def answer(self, port: int, at_ns: int) -> ResultCode:
        self.tokens = min(self.depth, self.tokens + (at_ns - self.filled_ns) * self.rate / 1e9)
        self.filled_ns = at_ns
        code = self.truth[port]
        if code in {ResultCode.REFUSED, ResultCode.REJECTED}:
            if self.tokens < 1:
                return ResultCode.TIMED_OUT
            self.tokens -= 1
        return code


def result_of(codes: np.ndarray, errnos: np.ndarray | None = None) -> RoundResult:
    count = len(codes)
    zeros = np.zeros(count, dtype=np.uint8)
    return RoundResult(
        number=1, asked=codes > 0, codes=codes, rtts_ns=np.full(count, -1),
        senders=np.zeros((count, 16), np.uint8),
        types=zeros, icmp_codes=zeros, mtus=np.zeros(count, dtype=np.int64),
        errnos=np.zeros(count, dtype=np.int16) if errnos is None else errnos, dropped=0, timeout_ns=1,
    )  # fmt: skip


def judge(hosts: list[Host], *, seed: int, most_passes: int = 3000) -> list[list[ResultCode]]:
    """Run passes until everything is settled; returns the verdicts per host."""
    owners = np.repeat(np.arange(len(hosts)), [len(host.truth) for host in hosts])
    ports = np.concatenate([np.arange(len(host.truth)) for host in hosts])
    inquiry = PortScan(owners, seed=seed)
    now_ns = 7
    for _ in range(most_passes):
        if inquiry.done:
            break
        chosen = inquiry.next_pass(now_ns=now_ns)
        if chosen is None:
            now_ns = inquiry.next_ns()
            continue
        codes = np.zeros(len(owners), dtype=np.uint8)
        for place, row in enumerate(chosen.rows):
            codes[row] = hosts[owners[row]].answer(int(ports[row]), now_ns + place * 1000)
        now_ns += PASS_NS
        inquiry.note(chosen, result_of(codes), now_ns=now_ns)
    assert inquiry.done
    return [[ResultCode(code) for code in inquiry.codes[owners == index]] for index in range(len(hosts))]


TRUTHS = st.lists(
    st.sampled_from([ResultCode.REACHED, ResultCode.REFUSED, ResultCode.REJECTED, ResultCode.TIMED_OUT]),
    min_size=1,
    max_size=30,
)


@given(truths=st.lists(TRUTHS, min_size=1, max_size=6), seed=st.integers(0, 2**32))
def test_honest_hosts_are_judged_right(truths: list[list[ResultCode]], seed: int) -> None:
    assert judge([Host(truth) for truth in truths], seed=seed) == truths


@settings(max_examples=40, deadline=None)
@given(
    truths=st.lists(TRUTHS, min_size=1, max_size=4),
    rate=st.sampled_from([1.0, 10.0, 40.0]),
    depth=st.integers(1, 6),
    seed=st.integers(0, 2**32),
)
def test_rate_limited_refusals_are_never_taken_for_filters(
    truths: list[list[ResultCode]], rate: float, depth: int, seed: int
) -> None:
    hosts = [Host(truth, rate, depth, depth, 7) for truth in truths]
    for host, told in zip(hosts, judge(hosts, seed=seed), strict=True):
        for truth, verdict in zip(host.truth, told, strict=True):
            assert verdict == truth


def test_one_host_s_limit_does_not_slow_the_others() -> None:
    inquiry = PortScan(np.repeat([0, 1], 10), seed=1)
    slow = Host([ResultCode.REFUSED] * 10, 1.0, 2, 2, 7)
    quick = Host([ResultCode.REFUSED] * 5 + [ResultCode.TIMED_OUT] * 5)
    now_ns = 7
    for _ in range(4):
        chosen = inquiry.next_pass(now_ns=now_ns)
        assert chosen is not None
        codes = np.zeros(20, dtype=np.uint8)
        for row in chosen.rows:
            codes[row] = (slow if row < 10 else quick).answer(int(row) % 10, now_ns)
        now_ns += PASS_NS
        inquiry.note(chosen, result_of(codes), now_ns=now_ns)
        if inquiry.settled[10:].all():
            break
        now_ns = inquiry.next_ns() if inquiry.next_pass(now_ns=now_ns) is None else now_ns
    assert inquiry.settled[10:].all()
    assert not inquiry.settled[:10].all()
    assert inquiry.is_careful.tolist() == [True, False]


def test_control_ports_follow_the_ports_of_their_host() -> None:
    inquiry = PortScan(np.repeat([0, 1], 4), seed=1)
    first = inquiry.next_pass(now_ns=7)
    assert first is not None
    assert not first.controls.any()
    codes = np.array(
        [ResultCode.REFUSED, ResultCode.REJECTED, ResultCode.REACHED, ResultCode.TIMED_OUT] * 2,
        dtype=np.uint8,
    )
    inquiry.note(first, result_of(codes), now_ns=8)
    second = inquiry.next_pass(now_ns=9)
    assert second is not None
    assert [sorted(second.rows[part].tolist()) for part in (slice(0, 3), slice(3, 6))] == [
        [0, 1, 3],
        [4, 5, 7],
    ]
    assert second.controls.tolist() == [False, True, True] * 2


def test_the_first_pass_is_mixed_over_all_hosts_and_later_ones_are_not() -> None:
    hosts = np.repeat(np.arange(20), 10)
    inquiry = PortScan(hosts, seed=1)
    first = inquiry.next_pass(now_ns=7)
    assert first is not None
    assert sorted(first.rows.tolist()) == list(range(200))
    assert len(set(hosts[first.rows[:20]].tolist())) > 5
    inquiry.note(first, result_of(np.full(200, ResultCode.TIMED_OUT, dtype=np.uint8)), now_ns=8)
    second = inquiry.next_pass(now_ns=9)
    assert second is not None
    assert hosts[second.rows].tolist() == hosts.tolist()


def test_a_slow_host_gathers_answers_after_a_burst_that_got_some_and_not_after_one_without() -> None:
    inquiry = PortScan(np.zeros(30, dtype=np.int64), seed=1)
    limited = Host([ResultCode.REFUSED] * 20 + [ResultCode.TIMED_OUT] * 10, 40.0, 5, 5, 7)
    gaps: dict[bool, list[int]] = {True: [], False: []}
    now_ns = 7
    while not inquiry.done:
        chosen = inquiry.next_pass(now_ns=now_ns)
        assert chosen is not None
        codes = np.zeros(30, dtype=np.uint8)
        for row in chosen.rows.tolist():
            codes[row] = limited.answer(row, now_ns)
        ports = chosen.rows[~chosen.controls]
        now_ns += PASS_NS
        inquiry.note(chosen, result_of(codes), now_ns=now_ns)
        if inquiry.is_careful_pass(chosen) and not inquiry.done:
            gaps[bool((codes[ports] != ResultCode.TIMED_OUT).any())].append(inquiry.next_ns() - now_ns)
            now_ns = inquiry.next_ns()
    assert min(gaps[True]) == 60 * MS
    assert min(gaps[False]) < 60 * MS


def test_what_cannot_be_sent_is_given_up_soon() -> None:
    inquiry = PortScan(np.zeros(2, dtype=np.int64), seed=1)
    for _ in range(3):
        chosen = inquiry.next_pass(now_ns=7)
        assert chosen is not None
        codes = np.array([ResultCode.REJECTED, ResultCode.NOT_MEASURED], dtype=np.uint8)
        inquiry.note(chosen, result_of(codes, np.array([101, 1], dtype=np.int16)), now_ns=7)
    assert inquiry.done
    assert inquiry.codes.tolist() == [ResultCode.NOT_MEASURED] * 2


@pytest.mark.parametrize(("apart_ns", "together"), [(30 * MS, True), (50 * MS, False)])
def test_slow_hosts_whose_turns_are_close_are_asked_together(apart_ns: int, together: bool) -> None:
    inquiry = PortScan(np.repeat([0, 1], 4), seed=1)
    nobody = np.zeros(4, dtype=np.bool_)
    silence = np.full(8, ResultCode.TIMED_OUT, dtype=np.uint8)
    inquiry.note(ScanPass(np.arange(8), np.zeros(8, dtype=np.bool_)), result_of(silence), now_ns=7)
    late = np.array([ResultCode.REFUSED, *[ResultCode.TIMED_OUT] * 3] * 2, dtype=np.uint8)
    for host in (0, 1):
        inquiry.note(ScanPass(np.arange(4) + 4 * host, nobody), result_of(late), now_ns=7 + host * apart_ns)
    assert inquiry.is_careful.all()
    chosen = inquiry.next_pass(now_ns=inquiry.next_ns())
    assert chosen is not None
    assert set((chosen.rows // 4).tolist()) == ({0, 1} if together else {0})


@pytest.mark.parametrize("silent_passes", [1, 2, 5])
def test_our_own_overflow_proves_nothing(silent_passes: int) -> None:
    inquiry = PortScan(np.zeros(1, dtype=np.int64), seed=1)
    for _ in range(silent_passes):
        chosen = inquiry.next_pass(now_ns=7)
        assert isinstance(chosen, ScanPass)
        inquiry.note(chosen, result_of(np.array([ResultCode.NOT_MEASURED], dtype=np.uint8)), now_ns=7)
    assert not inquiry.done


def test_a_control_that_we_could_not_hear_is_no_limit() -> None:
    inquiry = PortScan(np.zeros(2, dtype=np.int64), seed=1)
    ask(inquiry, ResultCode.REFUSED, ResultCode.TIMED_OUT)
    chosen = ask(inquiry, ResultCode.NOT_MEASURED, ResultCode.NOT_MEASURED)
    assert sorted(chosen.rows.tolist()) == [0, 1]
    assert not inquiry.is_careful.any()
    assert not inquiry.done
    ask(inquiry, ResultCode.REFUSED, ResultCode.TIMED_OUT)
    assert inquiry.codes.tolist() == [ResultCode.REFUSED, ResultCode.TIMED_OUT]
    assert inquiry.done


def ask(inquiry: PortScan, *codes: ResultCode, withdrawn: bool = False) -> ScanPass:
    """One pass over a single host, with these results for the rows that are asked."""
    chosen = inquiry.next_pass(now_ns=7)
    assert chosen is not None
    told = np.zeros(len(codes), dtype=np.uint8)
    told[chosen.rows] = np.array(codes, dtype=np.uint8)[chosen.rows]
    inquiry.note(chosen, result_of(told), now_ns=7, withdrawn=np.array([withdrawn]))
    return chosen


def test_an_open_port_vouches_for_a_host_that_refuses_nothing() -> None:
    inquiry = PortScan(np.zeros(2, dtype=np.int64), seed=1)
    ask(inquiry, ResultCode.REACHED, ResultCode.TIMED_OUT)
    assert inquiry.is_vouched_for.tolist() == [True]
    for _ in range(4):  # the open port is silent, too: as good as not asked
        chosen = ask(inquiry, ResultCode.TIMED_OUT, ResultCode.TIMED_OUT, withdrawn=True)
        assert chosen.controls.tolist() == [False, True]
        assert chosen.rows.tolist() == [1, 0]
    assert not inquiry.done
    ask(inquiry, ResultCode.REACHED, ResultCode.TIMED_OUT)
    assert not inquiry.done
    ask(inquiry, ResultCode.REACHED, ResultCode.TIMED_OUT)
    assert inquiry.codes.tolist() == [ResultCode.REACHED, ResultCode.TIMED_OUT]
    assert not inquiry.has_fallen_silent.any()


def test_a_refusal_takes_the_place_of_an_open_port() -> None:
    inquiry = PortScan(np.zeros(3, dtype=np.int64), seed=1)
    ask(inquiry, ResultCode.REACHED, ResultCode.REFUSED, ResultCode.TIMED_OUT)
    assert ask(inquiry, ResultCode.REACHED, ResultCode.REFUSED, ResultCode.TIMED_OUT).rows.tolist() == [2, 1]


def test_a_host_that_fell_silent_for_good_is_undecided_and_a_late_answer_still_counts() -> None:
    inquiry = PortScan(np.zeros(3, dtype=np.int64), seed=1)
    ask(inquiry, ResultCode.REACHED, ResultCode.TIMED_OUT, ResultCode.TIMED_OUT)
    for _ in range(6):
        assert not inquiry.done
        ask(inquiry, ResultCode.TIMED_OUT, ResultCode.TIMED_OUT, ResultCode.TIMED_OUT, withdrawn=True)
    assert inquiry.done
    assert inquiry.codes.tolist() == [ResultCode.REACHED, ResultCode.PENDING, ResultCode.PENDING]
    assert inquiry.has_fallen_silent.all()
    inquiry.note_late(late(1, ResultCode.REACHED))
    assert inquiry.codes.tolist() == [ResultCode.REACHED, ResultCode.REACHED, ResultCode.PENDING]


def test_an_answer_that_was_only_slow_is_no_limit() -> None:
    inquiry = PortScan(np.zeros(2, dtype=np.int64), seed=1)
    ask(inquiry, ResultCode.TIMED_OUT, ResultCode.TIMED_OUT)
    chosen = inquiry.next_pass(now_ns=7)
    assert chosen is not None
    inquiry.note_late(late(0, ResultCode.REFUSED))
    codes = np.array([ResultCode.REFUSED, ResultCode.TIMED_OUT], dtype=np.uint8)
    inquiry.note(chosen, result_of(codes), now_ns=7)
    assert not inquiry.is_careful.any()


def test_a_late_answer_is_not_taken_back_by_the_silence_after_it() -> None:
    inquiry = PortScan(np.zeros(1, dtype=np.int64), seed=1)
    for _ in range(2):
        ask(inquiry, ResultCode.TIMED_OUT)
    chosen = inquiry.next_pass(now_ns=7)
    assert chosen is not None
    inquiry.note_late(late(0, ResultCode.REACHED))
    inquiry.note(chosen, result_of(np.array([ResultCode.TIMED_OUT], dtype=np.uint8)), now_ns=7)
    assert inquiry.done
    assert inquiry.codes.tolist() == [ResultCode.REACHED]


def late(row: int, code: ResultCode) -> SweepAnswers:
    one, zero = np.array([row]), np.zeros(1, dtype=np.uint8)
    codes, nobody = np.array([code], dtype=np.uint8), np.zeros((1, 16), dtype=np.uint8)
    return SweepAnswers(one, one, codes, one, nobody, zero, zero, one)
