"""The pacer never exceeds its rate, also after delays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.engine.sweep.pacer import Pacer
from netprobe.errors import MisuseError

SECOND_NS = 1_000_000_000


@given(
    rate=st.integers(1, 1_000_000),
    pauses=st.lists(st.integers(0, 3 * SECOND_NS), min_size=1, max_size=40),
    start_ns=st.integers(1, SECOND_NS),
)
def test_the_rate_is_never_exceeded_whatever_the_pauses(rate: int, pauses: list[int], start_ns: int) -> None:
    pacer = Pacer(start_ns=start_ns, rate=rate, tick_ns=10_000_000)
    now_ns, sent = start_ns, 0
    for pause_ns in pauses:
        now_ns += pause_ns
        allowed = pacer.allow(now_ns=now_ns, sent=sent)
        assert allowed <= 2 * pacer.quantum
        sent += allowed
        assert sent <= rate * (now_ns - start_ns) / SECOND_NS + 1


@given(rate=st.integers(1, 100_000), tick_ns=st.integers(1_000_000, 500_000_000))
def test_a_punctual_caller_sends_everything_in_time(rate: int, tick_ns: int) -> None:
    pacer = Pacer(start_ns=5, rate=rate, tick_ns=tick_ns)
    sent = 0
    for _ in range(20):
        now_ns = pacer.next_ns(sent=sent)
        sent += pacer.allow(now_ns=now_ns, sent=sent)
    assert sent == pytest.approx(rate * (now_ns - 5) / SECOND_NS, abs=2)


def test_no_rate_means_at_once() -> None:
    assert Pacer(start_ns=5, rate=None, tick_ns=1).allow(now_ns=5, sent=0) > 1_000_000


@pytest.mark.parametrize(("rate", "tick_ns"), [(0, 1), (-1.0, 1), (1, 0)])
def test_an_impossible_pace_is_refused(rate: float, tick_ns: int) -> None:
    with pytest.raises(MisuseError):
        Pacer(start_ns=0, rate=rate, tick_ns=tick_ns)


def test_a_late_step_sends_no_more_than_the_ticks_it_may() -> None:
    pacer = Pacer(start_ns=0, rate=1000, tick_ns=10_000_000, most_ticks=1)
    assert pacer.allow(now_ns=500_000_000, sent=0) == 10
    assert pacer.allow(now_ns=500_000_000, sent=10) == 0
    assert pacer.next_ns(sent=10) == 510_000_000
