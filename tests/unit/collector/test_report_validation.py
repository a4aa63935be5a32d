"""What breaks the rules is dropped and counted, the rest is accepted unchanged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from netprobe.bus.collector import Delivery
from netprobe.bus.subjects import windows_subject
from netprobe.collector.report_validation import ReportValidator
from netprobe.model.check import Check, Layer, Plan, Probe, Target, TargetKind
from netprobe.model.fleet import Coverage, FleetPlan
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import ReceivedCount, Report, Window
from netprobe.wire.reports import columns_of, encode_columns, encode_report, report_of
from tests.unit.wire.test_reports import AGENT, REPORT, SECOND

OTHER = AgentId.parse("dev/gw/pod")
TARGET = Target(TargetKind.AGENT, "192.0.2.1", "x")


def plan(agent: AgentId, *checks: int) -> Plan:
    asked = tuple(Check(CheckId(check), agent, TARGET, Probe("udp"), Layer.POD) for check in checks)
    return Plan(agent, 1, asked, SECOND, b"")


@pytest.fixture
def intake() -> ReportValidator:
    return ReportValidator(FleetPlan(1, SECOND, (plan(AGENT, 11, 12), plan(OTHER, 13)), (), Coverage()))


def deliver(report: Report, *, by: AgentId = AGENT) -> Delivery:
    return Delivery(windows_subject(by), encode_report(report), "token")


def test_a_good_report_comes_in_unchanged(intake: ReportValidator) -> None:
    admitted = intake.admit([deliver(REPORT)])
    assert [report_of(columns) for columns in admitted.reports] == [REPORT]
    assert (admitted.rejected, admitted.complaints) == ((0,), ())


def test_a_message_between_good_ones_is_dropped_alone(intake: ReportValidator) -> None:
    bad = Delivery(windows_subject(AGENT), b"\x01\xc1", "token")
    admitted = intake.admit([deliver(REPORT), bad, deliver(REPORT)])
    assert len(admitted.reports) == 2
    assert len(admitted.complaints) == 1


def test_an_agent_that_speaks_for_another_is_not_heard(intake: ReportValidator) -> None:
    admitted = intake.admit([deliver(REPORT, by=OTHER)])
    assert admitted.reports == ()
    assert [complaint for _, complaint in admitted.complaints] == [
        f"report: agent: {OTHER} speaks for {AGENT}"
    ]


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(structs.replace(REPORT.windows[0], check=CheckId(99)), id="a check that is in no plan"),
        pytest.param(structs.replace(REPORT.windows[0], check=CheckId(13)), id="another agent's check"),
    ],
)
def test_a_window_that_does_not_belong_is_taken_out(intake: ReportValidator, stray: Window) -> None:
    report = replace(REPORT, windows=(REPORT.windows[0], stray, REPORT.windows[1]))
    admitted = intake.admit([deliver(report)])
    assert [report_of(columns) for columns in admitted.reports] == [REPORT]
    assert admitted.rejected == (1,)


@pytest.mark.parametrize("year_ns", [0, 13 * SECOND, 4_000_000_000 * SECOND])
def test_a_report_is_stored_whatever_its_times_say(intake: ReportValidator, year_ns: int) -> None:
    windows = tuple(structs.replace(window, start_ns=year_ns) for window in REPORT.windows)
    report = replace(REPORT, start_ns=year_ns, windows=windows)
    admitted = intake.admit([deliver(report)])
    assert [report_of(columns) for columns in admitted.reports] == [report]
    assert admitted.rejected == (0,)


def test_what_was_heard_of_unknown_checks_is_taken_out(intake: ReportValidator) -> None:
    report = replace(REPORT, heard=(*REPORT.heard, ReceivedCount(CheckId(99), 5 * SECOND, 1)))
    admitted = intake.admit([deliver(report)])
    assert [report_of(columns) for columns in admitted.reports] == [REPORT]


def test_a_stranger_may_be_heard_but_not_believed(intake: ReportValidator) -> None:
    stranger = AgentId.parse("qa/w9/pod")
    report = replace(REPORT, agent=stranger, health=replace(REPORT.health, agent=stranger))
    admitted = intake.admit([deliver(report, by=stranger)])
    assert admitted.rejected == (2,)
    assert report_of(admitted.reports[0]).windows == ()


def test_texts_and_patterns_that_no_window_uses_are_not_kept(intake: ReportValidator) -> None:
    columns = columns_of(REPORT)
    columns.windows.texts[:0] = ["x" * 1_000] * 100
    columns.windows.patterns += [[(OutcomeKind.TIMED_OUT, 9)]]
    for name in ("source", "peer", "detail"):
        rows = getattr(columns.windows, name)
        setattr(columns.windows, name, [row + 100 for row in rows])
    padded = Delivery(windows_subject(AGENT), encode_columns(columns), "token")
    (admitted,) = intake.admit([padded]).reports
    assert report_of(admitted) == REPORT
    assert len(encode_columns(admitted)) <= len(encode_report(REPORT))


def test_a_window_that_comes_twice_is_taken_out(intake: ReportValidator) -> None:
    report = replace(REPORT, windows=REPORT.windows * 3, heard=REPORT.heard)
    admitted = intake.admit([deliver(report)])
    assert [report_of(columns) for columns in admitted.reports] == [REPORT]
    assert admitted.rejected == (2 * len(REPORT.windows),)
    assert intake.rejected == {"repeated": 2 * len(REPORT.windows)}


def test_received_counts_that_come_twice_are_taken_out(intake: ReportValidator) -> None:
    heard = tuple(ReceivedCount(CheckId(check), SECOND, 1) for check in (13, 13, 99))
    (admitted,) = intake.admit([deliver(replace(REPORT, heard=heard))]).reports
    assert report_of(admitted).heard == heard[:1]
