"""The adaptive timeout grows with slow answers and shrinks with quick ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netprobe.engine.sweep.adaptive_timeout import AdaptiveTimeout
from netprobe.engine.sweep.targets import ResultCode, RoundResult

MS = 1_000_000
LEAST_NS = 500 * MS


def round_of(*rtts_ms: int, timeout_ms: int = 500) -> RoundResult:
    """A round with these answer times; -1 if no answer came."""
    count = len(rtts_ms)
    octets, numbers = np.zeros(count, dtype=np.uint8), np.zeros(count, dtype=np.int64)
    rtts_ns = np.array([rtt * MS if rtt >= 0 else -1 for rtt in rtts_ms])
    return RoundResult(
        1, rtts_ns != 0, np.where(rtts_ns > 0, ResultCode.REACHED, ResultCode.TIMED_OUT).astype(np.uint8),
        rtts_ns,
        np.zeros((count, 16), dtype=np.uint8), octets, octets, numbers, np.zeros(count, dtype=np.int16), 0,
        timeout_ms * MS,
    )  # fmt: skip


def test_a_late_driver_waits_for_longer() -> None:
    assert after(replace(round_of(-1), lag_ns=200 * MS)).timeout_ns == 800 * MS


def after(*rounds: RoundResult, is_late: bool = False) -> AdaptiveTimeout:
    waiting = AdaptiveTimeout(LEAST_NS)
    for one in rounds:
        waiting.note(one, is_late=is_late)
    return waiting


@pytest.mark.parametrize(
    ("rounds", "timeout_ms"),
    [
        pytest.param([], 500, id="nothing known"),
        pytest.param([round_of(1, 90, -1)], 500, id="quick answers"),
        pytest.param([round_of(1, 400, -1)], 1_600, id="the slowest counts"),
        pytest.param([round_of(2_000)], 3_000, id="no host is waited for longer"),
        pytest.param([round_of(400), round_of(1)], 800, id="forgotten by halves"),
        pytest.param([round_of(400), *[round_of(1)] * 3], 500, id="and then wholly"),
        pytest.param([round_of(400), round_of(-1)], 1_600, id="silence says nothing about slowness"),
    ],
)
def test_how_long_silence_must_last(rounds: list[RoundResult], timeout_ms: int) -> None:
    assert after(*rounds).timeout_ns == timeout_ms * MS


def test_an_answer_after_its_round_was_slower_than_the_round() -> None:
    assert after(round_of(-1), is_late=True).timeout_ns == 2_000 * MS


def test_quiet_lasts_four_times_the_slowest_answer_of_this_round_or_of_late() -> None:
    waiting = after(round_of(50))
    assert waiting.quiet_ns(80 * MS, 10 * MS) == 200 * MS
    assert waiting.quiet_ns(80 * MS, 70 * MS) == 280 * MS
    assert AdaptiveTimeout(LEAST_NS).quiet_ns(80 * MS, 1 * MS) == 80 * MS
