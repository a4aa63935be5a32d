"""A round counts each question once, and separates time-outs from silence that does not count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.engine.sweep.pacer import Pacer
from netprobe.engine.sweep.rounds import LateAnswers, Queue, SweepRound
from netprobe.engine.sweep.targets import (
    ResultCode,
    SweepAnswers,
    SweepTargets,
    TargetProtocol,
)
from netprobe.errors import InputError
from netprobe.model.outcome import (
    NotMeasured,
    OutcomeKind,
    OwnFault,
    Reached,
    Rejected,
    TimedOut,
    TooBig,
    WrongPeer,
)
from netprobe.model.prose import Prose
from netprobe.wire.batch import pack_addresses

TIMEOUT_NS = 1_000
OFFSET_NS = 5_000_000


def started(count: int, *, sent: int | None = None) -> SweepRound:
    """A round of *count* questions, the first *sent* of which are sent; row i at 100 + 20·i."""
    pacer = Pacer(start_ns=5, rate=None, tick_ns=1)
    rows = np.arange(count)
    running = SweepRound(3, count, [Queue(0, rows)], pacer, TIMEOUT_NS, drops_before=2)
    for row in rows[:sent]:
        running.note_sent(rows[row : row + 1], before_ns=90 + 20 * row, after_ns=110 + 20 * row)
        running.queues[0].cursor += 1
    return running


def answers(*said: tuple[int, ResultCode, int], sender: str = "10.0.0.9", mtu: int = 0) -> SweepAnswers:
    """Each entry: row, code, monotonic time."""
    count = len(said)
    return SweepAnswers(
        rows=np.array([row for row, _, _ in said]),
        rounds=np.full(count, 3),
        codes=np.array([code for _, code, _ in said], dtype=np.uint8),
        stamps_ns=np.array([at + OFFSET_NS for _, _, at in said]),
        senders=pack_addresses([sender] * count),
        types=np.full(count, 3, dtype=np.uint8),
        icmp_codes=np.full(count, 13, dtype=np.uint8),
        mtus=np.full(count, mtu),
    )


def test_the_first_answer_counts() -> None:
    running = started(2)
    told = answers((0, ResultCode.REACHED, 150), (0, ResultCode.REFUSED, 160), (1, ResultCode.REFUSED, 190))
    assert running.note(told, wall_offset_ns=OFFSET_NS) == 2
    assert running.note(answers((1, ResultCode.REACHED, 200)), wall_offset_ns=OFFSET_NS) == 0
    result = running.close(drops=2)
    assert result.outcome(0) == Reached(50)
    assert (result.codes[1], result.rtts_ns[1]) == (ResultCode.REFUSED, 70)


def test_the_newest_answer_has_its_arrival_time_not_its_reading_time() -> None:
    running = started(3)
    running.note(
        answers((0, ResultCode.REACHED, 160), (1, ResultCode.REACHED, 150)),
        wall_offset_ns=OFFSET_NS,
        now_ns=500,
    )
    assert running.last_news_ns == 160
    running.note(answers((2, ResultCode.REACHED, 900)), wall_offset_ns=OFFSET_NS, now_ns=600)
    assert running.last_news_ns == 600


def test_silence_is_timed_out_and_has_no_rtt() -> None:
    result = started(1).close(drops=2)
    assert result.outcome(0) == TimedOut(TIMEOUT_NS)
    assert result.rtts_ns.tolist() == [-1]


def test_an_answer_after_the_deadline_is_too_late() -> None:
    running = started(1)
    running.note(answers((0, ResultCode.REACHED, 100 + TIMEOUT_NS + 1)), wall_offset_ns=OFFSET_NS)
    assert running.close(drops=2).outcome(0) == TimedOut(TIMEOUT_NS)


def test_our_own_overflow_is_never_loss() -> None:
    running = started(2)
    running.note(answers((0, ResultCode.REACHED, 150)), wall_offset_ns=OFFSET_NS)
    result = running.close(drops=3)
    assert (result.dropped, result.count(ResultCode.TIMED_OUT), result.count(ResultCode.NOT_MEASURED)) == (
        1,
        0,
        1,
    )
    assert result.outcome(1) == NotMeasured(Prose("our receive buffer overflowed"))


def test_what_was_never_sent_is_not_measured() -> None:
    result = started(3, sent=1).close(drops=2)
    assert result.codes.tolist() == [ResultCode.TIMED_OUT, ResultCode.NOT_MEASURED, ResultCode.NOT_MEASURED]


@pytest.mark.parametrize(
    ("unreachable", "kind"), [(False, OutcomeKind.NOT_MEASURED), (True, OutcomeKind.REJECTED)]
)
def test_what_the_kernel_refused(unreachable: bool, kind: OutcomeKind) -> None:
    running = started(1, sent=0)
    running.note_refused(0, errno=90, at_ns=100, unreachable=unreachable)
    running.queues[0].cursor += 1
    assert running.complete
    assert running.close(drops=2).outcome(0).kind == kind


def test_errors_name_their_sender() -> None:
    running = started(3)
    running.note(answers((0, ResultCode.REJECTED, 150)), wall_offset_ns=OFFSET_NS)
    running.note(answers((1, ResultCode.TOO_BIG, 150), mtu=1400), wall_offset_ns=OFFSET_NS)
    running.note(answers((2, ResultCode.WRONG_PEER, 240)), wall_offset_ns=OFFSET_NS)
    result = running.close(drops=2)
    assert result.outcome(0) == Rejected("10.0.0.9", 3, 13)
    assert result.outcome(1) == TooBig(1400, "10.0.0.9")
    assert result.outcome(2, expected="10.0.0.1") == WrongPeer("10.0.0.1", "10.0.0.9", 100)


def test_an_answer_to_a_row_that_was_not_asked_is_ignored() -> None:
    running = started(2, sent=1)
    assert running.note(answers((1, ResultCode.REACHED, 150)), wall_offset_ns=OFFSET_NS) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 10_000)), max_size=60))
def test_outcomes_add_up_to_what_was_asked(said: list[tuple[int, int]]) -> None:
    running = started(10)
    for row, at in said:
        running.note(answers((row, ResultCode.REACHED, at)), wall_offset_ns=OFFSET_NS)
    result = running.close(drops=2)
    assert sum(result.count(code) for code in ResultCode) == 10
    assert result.count(ResultCode.PENDING) == 0
    assert ((result.rtts_ns > 0) == (result.codes == ResultCode.REACHED)).all()


@pytest.mark.parametrize("port", [0, -1, 70_000])
def test_an_impossible_port_is_one_clear_error(port: int) -> None:
    with pytest.raises(InputError, match=rf"10\.0\.0\.1: port {port} is not in 1–65535"):
        SweepTargets.of(TargetProtocol.SYN, ["10.0.0.1"], ports=port)


def test_late_answers_are_kept_up_to_a_limit_and_returned_once() -> None:
    late = LateAnswers(most=5, most_batches=3)
    for _ in range(2):
        late.add(answers(*((row, ResultCode.REACHED, 150) for row in range(3))))
    late.add(answers((9, ResultCode.REACHED, 150)))
    assert [batch.rows.tolist() for batch in late.take()] == [[0, 1, 2], [0, 1]]
    assert late.take() == []
    for row in range(4):
        late.add(answers((row, ResultCode.REACHED, 150)))
    assert [batch.rows.tolist() for batch in late.take()] == [[0], [1], [2]]


def test_a_verdict_takes_an_answer_that_came_late_and_no_check_does() -> None:
    for late_counts, code in ((True, ResultCode.REACHED), (False, ResultCode.TIMED_OUT)):
        running = started(1)
        running.late_counts = late_counts
        running.note(answers((0, ResultCode.REACHED, 100 + TIMEOUT_NS + 1)), wall_offset_ns=OFFSET_NS)
        assert running.close(drops=2).codes.tolist() == [code]


def test_silence_during_a_stall_is_not_measured_and_has_its_length() -> None:
    running = started(2)
    running.note(answers((0, ResultCode.REACHED, 150)), wall_offset_ns=OFFSET_NS)
    result = running.close(drops=2, stalled_ns=1_234_567_890)
    assert result.outcome(0) == Reached(50)
    assert result.outcome(1) == NotMeasured(
        Prose("the agent stood still for 1234 ms"), OwnFault.STALLED, 1234
    )
