"""Validates reports against the plan. Pure: bytes, a plan and a time in; reports and counts out.

Rules: a message that is malformed, or names another agent than its sender, is dropped and counted. A window
of a check that is not in the agent's plan, or from the future, is removed from its report and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from netprobe.bus.collector import Delivery
from netprobe.bus.subjects import agent_of
from netprobe.errors import RemoteFormatError
from netprobe.model.fleet import FleetPlan
from netprobe.wire.reports import ReportColumns, decode_columns, select_heard, select_windows

_LEAST_SLACK_NS = 5_000_000_000


@dataclass(frozen=True, slots=True)
class ValidatedReports:
    """A batch of deliveries after validation."""

    reports: tuple[ReportColumns, ...]
    rejected: tuple[int, ...]
    """For each report, how many of its windows were dropped."""
    complaints: tuple[str, ...]
    """For each malformed message, what is wrong with it."""


class ReportValidator:
    """Knows the checks of each agent."""

    def __init__(self, fleet: FleetPlan) -> None:
        self._asked = {
            str(plan.agent): frozenset(int(check.id) for check in plan.checks) for plan in fleet.plans
        }
        self._every = frozenset[int]().union(*self._asked.values())
        self.rejected: Counter[str] = Counter()
        """Windows that were taken out, by reason."""
        self._slack_ns = max(_LEAST_SLACK_NS, 2 * fleet.interval_ns)

    def admit(self, deliveries: Iterable[Delivery], *, now_ns: int) -> ValidatedReports:
        """Validate *deliveries* that were taken at *now_ns* (wall time)."""
        reports, rejected, complaints = [], [], []
        for delivery in deliveries:
            try:
                columns = self._read(delivery)
            except RemoteFormatError as error:
                complaints.append(str(error))
                continue
            kept = self._keep_asked(columns, latest_ns=now_ns + self._slack_ns)
            reports.append(kept)
            rejected.append(len(columns.windows.check) - len(kept.windows.check))
        return ValidatedReports(tuple(reports), tuple(rejected), tuple(complaints))

    def _read(self, delivery: Delivery) -> ReportColumns:
        columns = decode_columns(delivery.data)
        sender = str(agent_of(delivery.subject))
        if sender != columns.agent:
            raise RemoteFormatError(f"report: agent: {sender} speaks for {columns.agent}")
        return columns

    def _keep_asked(self, columns: ReportColumns, *, latest_ns: int) -> ReportColumns:
        asked = self._asked.get(columns.agent, frozenset())
        windows, heard = columns.windows, columns.heard
        if not self._every.issuperset(heard.check):
            columns = select_heard(columns, [check in self._every for check in heard.check])
        if max(windows.start_ns, default=columns.start_ns) <= latest_ns and asked.issuperset(windows.check):
            return columns
        starts = windows.start_ns or [columns.start_ns] * len(windows.check)
        faults = [
            "unknown check" if check not in asked else "from the future" if start_ns > latest_ns else ""
            for check, start_ns in zip(windows.check, starts, strict=True)
        ]
        self.rejected.update(fault for fault in faults if fault)
        return select_windows(columns, [not fault for fault in faults])
