"""Reports that were destroyed on their way are counted by the numbers that are left out."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from msgspec import structs

from netprobe.bus.collector import MAX_WAITING
from netprobe.collector.report_gaps import MOST_OPEN, PATIENCE_S, ReportGaps
from netprobe.model.names import AgentId
from netprobe.model.window import AgentHealth, Report
from netprobe.wire.reports import ReportColumns, columns_of

NOW_S = 1_000.0
AGENT = AgentId.parse("prod/w1/pod")


def report(sequence: int, *, dropped: int = 0, boot: str = "b00t") -> ReportColumns:
    made = columns_of(Report(AGENT, 1, sequence, boot, 10, 10, (), (), AgentHealth(AGENT, 1, 1)))
    return structs.replace(made, health=structs.replace(made.health, windows_dropped=dropped))


def follow(gaps: ReportGaps, *reports: ReportColumns, known: Collection[int] = ()) -> list[int]:
    found = []
    for each in reports:
        gaps.prepare(each.agent, each.boot, lambda agent, boot: known, now_s=NOW_S)
        found.append(gaps.note(each, now_s=NOW_S))
    return found


def settle(gaps: ReportGaps, *, sent: tuple[int, ...]) -> int:
    (gap,) = gaps.unasked
    return gaps.settle(gap, asked=frozenset(gap.numbers), sent=sent)


def left_in(gaps: ReportGaps) -> list[list[int]]:
    return [sorted(gap.numbers) for gap in gaps.unasked]


def test_a_number_that_is_left_out_is_a_report_that_is_missing() -> None:
    gaps = ReportGaps()
    assert follow(gaps, report(1), report(2), report(5), report(6)) == [0, 0, 2, 0]
    assert left_in(gaps) == [[3, 4]]
    assert (gaps.destroyed, gaps.recovered) == (0, 0)


def test_what_the_agent_sends_again_is_recovered() -> None:
    gaps = ReportGaps()
    follow(gaps, report(1), report(4))
    assert settle(gaps, sent=(2, 3)) == 0
    assert gaps.unasked == ()
    assert follow(gaps, report(2), report(5), report(3)) == [0, 0, 0]
    assert gaps.expire(now_s=NOW_S + 2 * PATIENCE_S) == {}
    assert (gaps.destroyed, gaps.recovered) == (0, 2)


def test_what_the_agent_has_no_more_is_destroyed_at_once() -> None:
    gaps = ReportGaps()
    follow(gaps, report(1), report(4))
    assert settle(gaps, sent=(3,)) == 1
    assert gaps.destroyed == 1
    follow(gaps, report(3))
    assert (gaps.destroyed, gaps.recovered) == (1, 1)


@pytest.mark.parametrize("is_promised", [True, False])
def test_what_does_not_come_again_in_time_is_destroyed(is_promised: bool) -> None:
    gaps = ReportGaps()
    follow(gaps, report(1), report(4))
    if is_promised:
        settle(gaps, sent=(2, 3))
    assert gaps.expire(now_s=NOW_S + PATIENCE_S - 1) == {}
    assert gaps.expire(now_s=NOW_S + PATIENCE_S) == {str(AGENT): 2}
    assert gaps.expire(now_s=NOW_S + PATIENCE_S) == {}
    assert (gaps.destroyed, gaps.unasked) == (2, ())


def test_a_second_gap_before_the_first_is_closed_is_asked_for_with_it() -> None:
    gaps = ReportGaps()
    follow(gaps, report(1), report(3))
    settle(gaps, sent=(2,))
    follow(gaps, report(6))
    assert left_in(gaps) == [[2, 4, 5]]


def test_what_comes_or_goes_missing_while_the_agent_is_asked_stays_right() -> None:
    gaps = ReportGaps()
    follow(gaps, report(1), report(4))
    (gap,) = gaps.unasked
    follow(gaps, report(2), report(6))
    assert gaps.settle(gap, asked={2, 3}, sent=(2,)) == 1
    assert left_in(gaps) == [[5]]


def test_an_answer_about_a_gap_that_was_closed_meanwhile_changes_no_other() -> None:
    gaps = ReportGaps()
    follow(gaps, report(1), report(3))
    (gap,) = gaps.unasked
    follow(gaps, report(2), report(5))
    assert gaps.settle(gap, asked={2}, sent=()) == 0
    assert left_in(gaps) == [[4]]


def test_what_an_earlier_run_stored_counts() -> None:
    assert follow(ReportGaps(), report(9), known=[6]) == [2]
    assert follow(ReportGaps(), report(7), known=[6]) == [0]


def test_what_an_earlier_run_found_missing_is_asked_for_again_and_not_counted_twice() -> None:
    gaps = ReportGaps()
    assert follow(gaps, report(7), known=[2, 3, 6]) == [0]
    assert left_in(gaps) == [[4, 5]]
    assert settle(gaps, sent=(5,)) == 0
    follow(gaps, report(5))
    assert (gaps.destroyed, gaps.recovered) == (0, 1)


def test_numbers_far_apart_in_the_history_are_no_long_list() -> None:
    """An agent may number as it likes; after a restart of ours this must not fill the memory."""
    gaps = ReportGaps()
    follow(gaps, report(2**62 + 1), known=[1, 2**62])
    assert [len(numbers) for numbers in left_in(gaps)] == [MOST_OPEN]


def test_old_and_new_ones_that_are_missing_are_asked_for_together() -> None:
    gaps = ReportGaps()
    assert follow(gaps, report(9), known=[2, 3, 6]) == [2]
    assert left_in(gaps) == [[4, 5, 7, 8]]
    assert settle(gaps, sent=()) == 2
    assert (gaps.destroyed, gaps.unasked) == (2, ())


def test_an_agent_that_is_new_or_starts_again_leaves_nothing_out() -> None:
    assert follow(ReportGaps(), report(40), report(1, boot="other")) == [0, 0]


def test_what_the_agents_own_spool_dropped_was_not_destroyed_here() -> None:
    assert follow(ReportGaps(), report(1), report(5, dropped=8), report(8, dropped=8)) == [0, 0, 2]


def test_late_ones_are_no_news() -> None:
    assert follow(ReportGaps(), report(3), report(2), report(4)) == [0, 0, 0]


def test_an_agent_cannot_claim_more_than_the_bus_holds_of_it() -> None:
    gaps = ReportGaps()
    assert follow(gaps, report(1), report(2**60)) == [0, MAX_WAITING]
    follow(gaps, *(report(2**60 + 100 * step) for step in range(1, 20)))
    assert [len(numbers) for numbers in left_in(gaps)] == [MOST_OPEN]
