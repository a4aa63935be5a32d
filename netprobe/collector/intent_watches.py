"""Intents that somebody watches (``netprobe verify --watch``), and what they do not want, as findings. Pure.

Rule: a watcher tells all that is not as intended after each look, and until when its word holds. A finding
opens with the first telling and ends with the first in which it is missing; where the watcher falls silent it
ends, too, but says that nobody knows of a repair. Times are the collector's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from netprobe.analysis.intent.incidents import find_deviation
from netprobe.errors import SystemRefusedError
from netprobe.model.finding import Evidence, Finding
from netprobe.wire.intent_watch import IntentReport

MAX_WATCHES = 100
MAX_ENDED = 1_000
_SILENT = Evidence("its watcher has ended: whether it was repaired is not known")


@dataclass(frozen=True, slots=True)
class _Watch:
    until_ns: int
    open: dict[str, Finding]


class IntentWatches:
    """What every watcher has told last."""

    def __init__(self) -> None:
        self._watches: dict[str, _Watch] = {}
        self.ended: list[Finding] = []
        """Findings that are over."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is not as intended now; what several watchers tell stands once."""
        told = {name: one for watch in self._watches.values() for name, one in watch.open.items()}
        return tuple(told[name] for name in sorted(told))

    def hear(self, told: IntentReport, *, now_ns: int) -> None:
        """Take in what a watcher tells. Raises :class:`SystemRefusedError` where too many watch already."""
        if told.watcher not in self._watches and len(self._watches) >= MAX_WATCHES:
            raise SystemRefusedError(f"{MAX_WATCHES} intents are watched already")
        before = self._watches[told.watcher].open if told.watcher in self._watches else {}
        found = {}
        for deviation in told.deviations:
            fresh = find_deviation(deviation, watch=told.intent, first_seen_ns=now_ns, last_seen_ns=now_ns)
            since_ns = before[fresh.id].first_seen_ns if fresh.id in before else now_ns
            found[fresh.id] = replace(fresh, first_seen_ns=since_ns)
        self._watches[told.watcher] = _Watch(now_ns + told.holds_ns, found)
        self._end((one for name, one in before.items() if name not in found), now_ns)

    def expire(self, *, now_ns: int) -> bool:
        """Forget who has fallen silent; whether somebody has."""
        silent = [name for name, watch in self._watches.items() if watch.until_ns < now_ns]
        for name in silent:
            gone = self._watches.pop(name).open.values()
            self._end((_doubted(one) for one in gone), now_ns)
        return bool(silent)

    def _end(self, findings: Iterable[Finding], now_ns: int) -> None:
        still = {one.id for one in self.findings}
        over = [replace(one, ended_ns=now_ns) for one in findings if one.id not in still]
        self.ended = [*self.ended, *over][-MAX_ENDED:]


def _doubted(finding: Finding) -> Finding:
    return replace(finding, evidence_against=(*finding.evidence_against, _SILENT))
