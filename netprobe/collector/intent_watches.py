"""Watched intents (``netprobe verify --watch``): their deviations as findings. Pure.

Rule: after each verification a watcher reports every deviation, and how long that report is valid. A finding
opens with the first report that contains it and ends with the first that does not. If the watcher stops
reporting, the finding also ends, and notes that a repair is not confirmed. Times are the collector's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from netprobe.analysis.intent.incidents import find_deviation
from netprobe.errors import SystemRefusedError
from netprobe.model.finding import Evidence, Finding
from netprobe.model.prose import Prose
from netprobe.wire.intent_watch import IntentReport

MAX_WATCHES = 100
MAX_ENDED = 1_000
_SILENT = Evidence(Prose("its watcher has ended: a repair is not confirmed"))


@dataclass(frozen=True, slots=True)
class _Watch:
    until_ns: int
    open: dict[str, Finding]


class IntentWatches:
    """The last report of every watcher."""

    def __init__(self) -> None:
        self._watches: dict[str, _Watch] = {}
        self.ended: list[Finding] = []
        """Findings that have ended."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Deviations now; one that several watchers report is listed once."""
        found = {name: one for watch in self._watches.values() for name, one in watch.open.items()}
        return tuple(found[name] for name in sorted(found))

    def update(self, report: IntentReport, *, now_ns: int) -> None:
        """Take in a watcher's report. Raises :class:`SystemRefusedError` if too many watch already."""
        if report.watcher not in self._watches and len(self._watches) >= MAX_WATCHES:
            raise SystemRefusedError(f"{MAX_WATCHES} intents are watched already")
        before = self._watches[report.watcher].open if report.watcher in self._watches else {}
        found = {}
        for deviation in report.deviations:
            fresh = find_deviation(deviation, watch=report.intent, first_seen_ns=now_ns, last_seen_ns=now_ns)
            since_ns = before[fresh.id].first_seen_ns if fresh.id in before else now_ns
            found[fresh.id] = replace(fresh, first_seen_ns=since_ns)
        self._watches[report.watcher] = _Watch(now_ns + report.holds_ns, found)
        self._end((one for name, one in before.items() if name not in found), now_ns)

    def expire(self, *, now_ns: int) -> bool:
        """Drop watchers whose report is no longer valid; whether there were any."""
        silent = [name for name, watch in self._watches.items() if watch.until_ns < now_ns]
        for name in silent:
            left = self._watches.pop(name).open.values()
            self._end((_mark_unverified(one) for one in left), now_ns)
        return bool(silent)

    def step_clock(self, by_ns: int) -> None:
        """The wall clock was set by *by_ns*: reports stay valid for as long as they were."""
        self._watches = {
            name: replace(watch, until_ns=watch.until_ns + by_ns) for name, watch in self._watches.items()
        }

    def _end(self, findings: Iterable[Finding], now_ns: int) -> None:
        still = {one.id for one in self.findings}
        over = [replace(one, ended_ns=now_ns) for one in findings if one.id not in still]
        self.ended = [*self.ended, *over][-MAX_ENDED:]


def _mark_unverified(finding: Finding) -> Finding:
    return replace(finding, evidence_against=(*finding.evidence_against, _SILENT))
