"""pandas frames: one row per path, window, agent, finding or pair. Only this module imports pandas.

Rules: times are UTC timestamps, durations are milliseconds as floats, shares 0–1; values that were not
measured are missing (NaN), never 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package of their own

from netprobe.analysis.queries.comparison import Change
from netprobe.errors import MisuseError
from netprobe.model.check import Check, Probe
from netprobe.model.finding import Finding
from netprobe.model.intent import CellResult
from netprobe.model.names import CheckId
from netprobe.model.snapshot import Snapshot
from netprobe.model.window import Report, Window
from netprobe.render.labels import Names, headline
from netprobe.render.reachability import ReachabilityMatrix
from netprobe.render.reports.comparison import ComparisonReport
from netprobe.render.reports.formats.subject import ReportSubject
from netprobe.render.reports.verification import VerificationReport

Frame: TypeAlias = pd.DataFrame

_CHECK_COLUMNS = ("source", "source_cluster", "target", "target_cluster", "probe", "layer")
_PATHS = (
    "check",
    *_CHECK_COLUMNS,
    "state",
    "since",
    "reason",
    "sent",
    "answered",
    "loss",
    "rtt_p50_ms",
    "rtt_p99_ms",
)
_WINDOWS = ("start", "check", *_CHECK_COLUMNS, "sent", "heard", "answered", "loss", "lost_out", "lost_back",
            "rtt_p50_ms", "rtt_p99_ms", "detail")  # fmt: skip


def paths_frame(snapshot: Snapshot) -> Frame:
    """One row per check: source and target, state and its start, and the counts behind it."""
    described = _checks_by_id(snapshot)
    rows = [
        {
            "check": path.check,
            **described.get(path.check, {}),
            "state": str(path.state),
            "since": path.since_ns,
            "reason": path.reason,
            "sent": path.sent,
            "answered": path.answered,
            "loss": _loss(path.sent, path.answered),
            "rtt_p50_ms": _ms(path.rtt_p50_ns),
            "rtt_p99_ms": _ms(path.rtt_p99_ns),
        }
        for path in snapshot.paths
    ]
    return _timed(pd.DataFrame(rows, columns=list(_PATHS)), "since")


def windows_frame(snapshot: Snapshot, reports: Iterable[Report]) -> Frame:
    """One row per check and interval, oldest first; empty if no reports were saved.

    ``heard`` is the number of requests that the responder counted; missing if it reported none.
    """
    described, reports = _checks_by_id(snapshot), tuple(reports)
    heard: Counter[tuple[CheckId, int]] = Counter()
    for report in reports:
        for each in report.heard:
            heard[each.check, each.start_ns] += each.received
    rows = [
        {
            "start": window.start_ns,
            "check": window.check,
            **described.get(window.check, {}),
            **_window(window),
            "heard": heard.get((window.check, window.start_ns)),
        }
        for report in reports
        for window in report.windows
    ]
    frame = pd.DataFrame(rows, columns=list(_WINDOWS)).sort_values(["start", "check"], ignore_index=True)
    return _timed(frame, "start")


def _window(window: Window) -> Mapping[str, object]:
    return {
        "sent": window.sent,
        "answered": window.answered,
        "loss": _loss(window.measured, window.answered),
        "lost_out": window.lost_out,
        "lost_back": window.lost_back,
        "rtt_p50_ms": _ms(window.rtt.quantile_ns(0.5)),
        "rtt_p99_ms": _ms(window.rtt.quantile_ns(0.99)),
        "detail": window.detail,
    }


def agents_frame(snapshot: Snapshot) -> Frame:
    """One row per agent: its state, last report and health."""
    rows = [
        {
            "agent": str(status.agent),
            "cluster": status.agent.cluster,
            "state": str(status.state),
            "last_report": status.last_report_ns or None,
            "checks": status.checks,
            "loop_lag_ms": _ms(status.loop_lag_ns),
            "reason": status.reason,
        }
        for status in snapshot.agents
    ]
    columns = ["agent", "cluster", "state", "last_report", "checks", "loop_lag_ms", "reason"]
    return _timed(pd.DataFrame(rows, columns=columns), "last_report")


def findings_frame(snapshot: Snapshot, findings: Iterable[Finding]) -> Frame:
    """One row per finding."""
    names = Names.of(snapshot.inventory)
    rows = [
        {
            "cause": str(finding.cause),
            "headline": headline(finding, names),
            "confidence": finding.confidence,
            "where": ", ".join(map(str, finding.components)),
            "paths": len(finding.affected),
            "loss": finding.loss,
            "since": finding.first_seen_ns,
            "next_step": finding.next_step,
        }
        for finding in findings
    ]
    columns = ["cause", "headline", "confidence", "where", "paths", "loss", "since", "next_step"]
    return _timed(pd.DataFrame(rows, columns=columns), "since")


def matrix_frame(matrix: ReachabilityMatrix) -> Frame:
    """States by source (rows) and target (columns); missing if no check covers the pair."""
    names = list(matrix.names)
    cells = [
        [str(cell.state) if (cell := matrix.find(source=one, target=other)) else None for other in names]
        for one in names
    ]
    return pd.DataFrame(cells, index=pd.Index(names, name="source"), columns=pd.Index(names, name="target"))


def cells_frame(judged: Iterable[CellResult]) -> Frame:
    """One row per cell of an intent: expectation, reason and verdict."""
    rows = [
        {
            "source": str(result.cell.source),
            "source_cluster": result.cell.source.cluster,
            "target": result.cell.target,
            "target_cluster": result.cell.target_cluster,
            "door": str(result.cell.door),
            "expected": str(result.cell.expected),
            "verdict": str(result.verdict),
            "reason": result.reason,
            "rule": result.cell.rule,
        }
        for result in judged
    ]
    columns = ["source", "source_cluster", "target", "target_cluster", "door", "expected", "verdict",
               "reason", "rule"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _checks_by_id(snapshot: Snapshot) -> Mapping[CheckId, Mapping[str, str]]:
    return {check.id: _describe_check(check) for check in snapshot.checks}


def _describe_check(check: Check) -> Mapping[str, str]:
    probe = check.probe
    values = (
        str(check.source),
        check.source.cluster,
        check.target.name,
        check.target.cluster or check.target.name,
        _name(probe),
        str(check.layer),
    )
    return dict(zip(_CHECK_COLUMNS, values, strict=True))


def _name(probe: Probe) -> str:
    """Kind, port and size of a probe: ``icmp``, ``udp/9771``, ``icmp 1370 B``."""
    text = f"{probe.kind}/{probe.port}" if probe.port else probe.kind
    return f"{text} {probe.size} B" if probe.size else text


def _timed(frame: Frame, column: str) -> Frame:
    frame[column] = pd.to_datetime(frame[column], unit="ns", utc=True)
    return frame


def _loss(sent: int, answered: int) -> float | None:
    return 1 - answered / sent if sent else None


def _ms(span_ns: float | None) -> float | None:
    return None if span_ns is None else span_ns / 1e6


def changes_frame(changes: Iterable[Change]) -> Frame:
    """One row per change between two snapshots."""
    rows = [
        {
            "change": str(change.kind),
            "source": change.source,
            "target": change.target,
            "door": change.door,
            "before": change.before,
            "after": change.after,
            "rtt_before_ms": _ms(change.rtt_before_ns),
            "rtt_after_ms": _ms(change.rtt_after_ns),
        }
        for change in changes
    ]
    columns = ["change", "source", "target", "door", "before", "after", "rtt_before_ms", "rtt_after_ms"]
    return pd.DataFrame(rows, columns=columns)


def frame_of(subject: ReportSubject) -> Frame:
    """The rows of a report: the cells of a verification, or the changes of a comparison."""
    match subject:
        case VerificationReport(judged=judged):
            return cells_frame(judged)
        case ComparisonReport(comparison=comparison):
            return changes_frame(comparison.changes)
        case _:
            raise MisuseError("the report of a snapshot has no frame; use the fleet's paths or agents")
