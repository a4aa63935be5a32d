"""Reports that were destroyed on their way are counted by the numbers that are left out."""

from __future__ import annotations

from msgspec import structs

from netprobe.bus.collector import MAX_WAITING
from netprobe.collector.report_gaps import ReportGaps
from netprobe.model.names import AgentId
from netprobe.model.window import AgentHealth, Report
from netprobe.wire.reports import ReportColumns, columns_of

AGENT = AgentId.parse("prod/w1/pod")


def report(sequence: int, *, dropped: int = 0, boot: str = "b00t") -> ReportColumns:
    made = columns_of(Report(AGENT, 1, sequence, boot, 10, 10, (), (), AgentHealth(AGENT, 1, 1)))
    return structs.replace(made, health=structs.replace(made.health, windows_dropped=dropped))


def follow(gaps: ReportGaps, *reports: ReportColumns, known: int | None = None) -> list[int]:
    found = []
    for each in reports:
        gaps.prepare(each.agent, each.boot, lambda agent, boot: known)
        found.append(gaps.note(each))
    return found


def test_a_number_that_is_left_out_is_a_report_that_is_gone() -> None:
    gaps = ReportGaps()
    assert follow(gaps, report(1), report(2), report(5), report(6)) == [0, 0, 2, 0]
    assert gaps.missing == 2


def test_what_an_earlier_run_stored_counts() -> None:
    assert follow(ReportGaps(), report(9), known=6) == [2]
    assert follow(ReportGaps(), report(7), known=6) == [0]


def test_an_agent_that_is_new_or_starts_again_leaves_nothing_out() -> None:
    assert follow(ReportGaps(), report(40), report(1, boot="other")) == [0, 0]


def test_what_the_agents_own_spool_dropped_was_not_destroyed_here() -> None:
    assert follow(ReportGaps(), report(1), report(5, dropped=8), report(8, dropped=8)) == [0, 0, 2]


def test_late_ones_are_no_news() -> None:
    assert follow(ReportGaps(), report(3), report(2), report(4)) == [0, 0, 0]


def test_an_agent_cannot_claim_more_than_the_bus_holds_of_it() -> None:
    assert follow(ReportGaps(), report(1), report(2**60)) == [0, MAX_WAITING]
