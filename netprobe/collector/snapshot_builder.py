"""Puts a snapshot together: the plans, the latest conclusion, watched intents and ended incidents."""

from __future__ import annotations

from collections import Counter

from netprobe.collector.analysis_loop import AnalysisLoop
from netprobe.collector.incident_archive import IncidentArchive
from netprobe.collector.intent_watches import IntentWatches
from netprobe.collector.report_ingest import ReportIngest
from netprobe.model.finding import Finding
from netprobe.model.snapshot import Counters, Snapshot


class SnapshotBuilder:
    """Reads the parts of the collector; changes none."""

    def __init__(
        self, analysis: AnalysisLoop, ingest: ReportIngest, watches: IntentWatches, incidents: IncidentArchive
    ) -> None:
        self._analysis = analysis
        self._ingest = ingest
        self._watches = watches
        self._incidents = incidents

    @property
    def rejected(self) -> Counter[str]:
        """Windows that neither validation nor analysis used, by reason."""
        return self._ingest.rejected + Counter(self._analysis.rejected)

    def find_open(self) -> tuple[Finding, ...]:
        """What is broken or against intent now."""
        conclusion = self._analysis.conclusion
        return (*conclusion.findings, *self._watches.findings) if conclusion is not None else ()

    def find_ended(self) -> tuple[Finding, ...]:
        """Every incident that has ended, as far as the history goes back."""
        conclusion = self._analysis.conclusion
        if conclusion is None:
            return ()
        past = conclusion.past_findings
        return (*self._incidents.recall(besides=past), *past, *self._watches.ended)

    def build(self, counters: Counters) -> Snapshot | None:
        """The fleet as it was concluded last; None while nothing is concluded."""
        analysis, conclusion = self._analysis, self._analysis.conclusion
        if conclusion is None:
            return None
        return Snapshot(
            taken_ns=analysis.concluded_ns,
            interval_ns=analysis.fleet.interval_ns,
            inventory=analysis.inventory,
            checks=analysis.fleet.checks,
            legs=analysis.fleet.legs,
            coverage=analysis.fleet.coverage,
            paths=conclusion.paths,
            agents=conclusion.agents,
            findings=self.find_open(),
            past_findings=self.find_ended(),
            counters=counters,
            rejected=tuple(sorted(self.rejected.items())),
            claims=conclusion.claims,
        )
