"""Incidents that have ended: archived once in the history, and recalled from earlier runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from netprobe.errors import HistoryAwayError
from netprobe.model.finding import Finding
from netprobe.store.history import History

logger = logging.getLogger(__name__)

MAX_RECALLED = 1_000
"""The most incidents of earlier runs that are shown."""


class IncidentArchive:
    """Writes each ended incident once; an incident is one finding since one moment."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._recalled = history.incidents_since(0, most=MAX_RECALLED)
        self._archived: set[tuple[str, int]] = set()

    async def archive(self, ended: Iterable[Finding]) -> None:
        """Write those of *ended* that are not archived yet; the next call tries again what fails."""
        new = [finding for finding in ended if incident_key(finding) not in self._archived]
        if not new:
            return
        try:
            await asyncio.to_thread(self._history.keep_incidents, new)
        except HistoryAwayError as error:
            logger.debug("incidents are archived later: %s", error)
        else:
            self._archived |= {incident_key(finding) for finding in new}

    def recall(self, *, besides: Iterable[Finding]) -> tuple[Finding, ...]:
        """Incidents of earlier runs, without those *besides*."""
        ours = {incident_key(finding) for finding in besides}
        return tuple(finding for finding in self._recalled if incident_key(finding) not in ours)


def incident_key(finding: Finding) -> tuple[str, int]:
    """Identifies one incident of a finding: its id and the time when it opened."""
    return finding.id, finding.first_seen_ns
