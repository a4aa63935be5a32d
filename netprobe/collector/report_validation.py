"""Validates reports against the plan. Pure: bytes and a plan in; reports and counts out.

Rules: a message that is malformed, or names another agent than its sender, is dropped and counted. A window
of a check that is not in the agent's plan is removed from its report and counted, and so is one that comes
twice; tables keep only what is used. Whatever its times say, a report is stored: clocks are the analysis's to
judge (`analysis.intervals.clocks`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from netprobe.bus.collector import Delivery
from netprobe.bus.subjects import agent_of
from netprobe.errors import RemoteFormatError
from netprobe.model.fleet import FleetPlan
from netprobe.wire.reports import ReportColumns, decode_columns, drop_unused, select_heard, select_windows


@dataclass(frozen=True, slots=True)
class ValidatedReports:
    """A batch of deliveries after validation."""

    reports: tuple[ReportColumns, ...] = ()
    rejected: tuple[int, ...] = ()
    """For each report, how many of its windows were dropped."""
    stored_ns: tuple[int | None, ...] = ()
    """For each report, when the stream stored it; None where that is not known."""
    complaints: tuple[tuple[str, str], ...] = ()
    """For each malformed message, the subject that it came on and what is wrong with it."""


class ReportValidator:
    """Knows the checks of each agent."""

    def __init__(self, fleet: FleetPlan) -> None:
        self._asked = {
            str(plan.agent): frozenset(int(check.id) for check in plan.checks) for plan in fleet.plans
        }
        self._every = frozenset[int]().union(*self._asked.values())
        self.rejected: Counter[str] = Counter()
        """Windows that were taken out, by reason."""

    def admit(self, deliveries: Iterable[Delivery]) -> ValidatedReports:
        """Validate *deliveries*."""
        reports, rejected, stored_ns, complaints = [], [], [], []
        for delivery in deliveries:
            try:
                columns = self._read(delivery)
            except RemoteFormatError as error:
                complaints.append((delivery.subject, str(error)))
                continue
            kept = self._keep_asked(columns)
            reports.append(kept)
            stored_ns.append(delivery.stored_ns)
            rejected.append(len(columns.windows.check) - len(kept.windows.check))
        return ValidatedReports(tuple(reports), tuple(rejected), tuple(stored_ns), tuple(complaints))

    def _read(self, delivery: Delivery) -> ReportColumns:
        columns = decode_columns(delivery.data)
        sender = str(agent_of(delivery.subject))
        if sender != columns.agent:
            raise RemoteFormatError(f"report: agent: {sender} speaks for {columns.agent}")
        return columns

    def _keep_asked(self, columns: ReportColumns) -> ReportColumns:
        asked = self._asked.get(columns.agent, frozenset())
        columns = self._keep_heard(columns)
        is_asked = [check in asked for check in columns.windows.check]
        if not all(is_asked):
            self.rejected["unknown check"] += is_asked.count(False)
            columns = select_windows(columns, is_asked)
        starts = columns.windows.start_ns or [columns.start_ns] * len(columns.windows.check)
        is_first = _find_first(zip(columns.windows.check, starts, strict=True))
        if not all(is_first):
            self.rejected["repeated"] += is_first.count(False)
            columns = select_windows(columns, is_first)
        return drop_unused(columns)

    def _keep_heard(self, columns: ReportColumns) -> ReportColumns:
        heard = columns.heard
        is_first = _find_first(zip(heard.check, heard.start_ns, strict=True))
        if self._every.issuperset(heard.check) and all(is_first):
            return columns
        kept = [check in self._every and new for check, new in zip(heard.check, is_first, strict=True)]
        return select_heard(columns, kept)


def _find_first(rows: Iterable[tuple[int, int]]) -> list[bool]:
    """For each row, whether none before it is the same."""
    seen = set[tuple[int, int]]()
    return [not (row in seen or seen.add(row)) for row in rows]  # type: ignore[func-returns-value]
