"""An agent that sends more than it may is acknowledged late; others are not."""

from __future__ import annotations

from netprobe.bus.collector import Delivery
from netprobe.bus.subjects import BEAT
from netprobe.collector.report_allowance import (
    BURST_S,
    BYTES_PER_S,
    HOLD_S,
    REPORTS_PER_S,
    ReportAllowance,
)

FLOODER, OTHER = "np1.windows.prod.gw.pod", "np1.windows.prod.w1.pod"
BURST = round(REPORTS_PER_S * BURST_S)


def delivery(number: int, *, sender: str = FLOODER, size: int = 10) -> Delivery:
    return Delivery(sender, bytes(size), str(number))


def test_a_burst_is_acknowledged_at_once_and_what_comes_after_it_in_order_at_the_allowed_rate() -> None:
    allowance = ReportAllowance()
    held = [number for number in range(BURST + 8) if allowance.hold(delivery(number), now_s=0.0)]
    assert held == list(range(BURST, BURST + 8))
    assert allowance.take_due(now_s=0.0) == []
    after = allowance.take_due(now_s=4 / REPORTS_PER_S)
    assert [int(one.token) for one in after] == held[:4]
    assert [int(one.token) for one in allowance.take_due(now_s=HOLD_S)] == held[4:]


def test_another_agent_and_the_collectors_own_messages_are_not_held() -> None:
    allowance = ReportAllowance()
    for number in range(10 * BURST):
        allowance.hold(delivery(number), now_s=0.0)
    assert not allowance.hold(delivery(0, sender=OTHER), now_s=0.0)
    assert not any(allowance.hold(delivery(number, sender=BEAT), now_s=0.0) for number in range(10 * BURST))


def test_large_reports_take_more_of_the_allowance() -> None:
    allowance = ReportAllowance()
    size = round(BURST_S * BYTES_PER_S)
    assert not allowance.hold(delivery(0, size=size), now_s=0.0)
    assert allowance.hold(delivery(1, size=size), now_s=0.0)
    assert allowance.take_due(now_s=0.9 * BURST_S) == []
    (kept,) = allowance.take_due(now_s=BURST_S)
    assert (kept.token, kept.data) == ("1", b"")


def test_no_acknowledgement_is_held_so_long_that_the_report_comes_again() -> None:
    allowance = ReportAllowance()
    for number in range(1_000):
        allowance.hold(delivery(number, size=4_000_000), now_s=0.0)
    assert len(allowance.take_due(now_s=HOLD_S)) == 1_000 - 1 + (4_000_000 / BYTES_PER_S > BURST_S)


def test_an_agent_that_was_quiet_has_its_whole_burst_again() -> None:
    allowance = ReportAllowance()
    for number in range(10 * BURST):
        allowance.hold(delivery(number), now_s=0.0)
    later_s = HOLD_S + BURST_S
    assert not any(allowance.hold(delivery(number), now_s=later_s) for number in range(BURST))


def test_after_a_lost_connection_nothing_is_held() -> None:
    allowance = ReportAllowance()
    for number in range(10 * BURST):
        allowance.hold(delivery(number), now_s=0.0)
    allowance.forget_held()
    assert allowance.take_due(now_s=HOLD_S) == []
