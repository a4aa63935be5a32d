"""The fleet at an earlier time: reports of the history, analysed again.

Rule: the plans of that time are made again from the stored epoch, and a new analyst is given as many earlier
intervals as it needs for a verdict. So the past is judged by the same code as the present; since when a fault
lasts is taken from the stored incidents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from netprobe.analysis.analyst import Conclusion
from netprobe.analysis.intent.incidents import INTENT_CAUSES
from netprobe.analysis.state.eligibility import SETTLING_INTERVALS
from netprobe.collector.persisted_state import PersistedState, digest_of
from netprobe.collector.ports import AnalysisPorts, AnalystPort
from netprobe.errors import SystemRefusedError
from netprobe.model.finding import Cause, Finding
from netprobe.model.fleet import FleetPlan, PlannedEpoch
from netprobe.model.snapshot import Snapshot
from netprobe.model.window import Report
from netprobe.store.history import History

REPLAYED = SETTLING_INTERVALS + 50
"""Intervals before the moment: until a check that never worked counts, and a finding after that, though
agents were late then."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Analyses stored reports. Its methods block and may be called from any thread."""

    history: History
    ports: AnalysisPorts
    cookie_key: str

    def snapshot_at(self, at_ns: int, *, now_ns: int, known: Sequence[Finding] = ()) -> Snapshot:
        """The fleet at *at_ns*; *known* are findings that may have been open then.

        Raises :class:`SystemRefusedError` if the history does not reach back that far.
        """
        if at_ns > now_ns:
            raise SystemRefusedError("the requested time is in the future")
        epochs = self.history.epochs_between(at_ns, at_ns)
        interval_ns = epochs[-1].interval_ns if epochs else 0
        begin_ns = at_ns - REPLAYED * interval_ns
        epochs = tuple(
            one for one in self.history.epochs_between(begin_ns, at_ns) if one.interval_ns == interval_ns
        )
        reports = tuple(self.history.reports_since(begin_ns, before_ns=at_ns - interval_ns + 1))
        if not epochs or not reports:
            raise SystemRefusedError("no reports are stored for that time (retention: --keep)")
        return self._replay(epochs, reports, at_ns, known)

    def _replay(
        self, epochs: Sequence[PlannedEpoch], reports: Iterable[Report], at_ns: int, known: Sequence[Finding]
    ) -> Snapshot:
        fleets = [self._plan(epoch) for epoch in epochs]
        analyst = self.ports.new_analyst(epochs[0].inventory, fleets[0])
        current, following = 0, iter(reports)
        report = next(following, None)
        interval_ns = epochs[0].interval_ns
        for now_ns in range(at_ns - REPLAYED * interval_ns, at_ns + 1, interval_ns):
            while current + 1 < len(epochs) and epochs[current + 1].since_ns <= now_ns:
                current += 1
                analyst.replan(epochs[current].inventory, fleets[current], now_ns=now_ns)
            while report is not None and report.start_ns + report.length_ns <= now_ns:
                analyst.observe(report, now_ns=now_ns)
                report = next(following, None)
            conclusion = analyst.conclude(now_ns=now_ns)
        return _snapshot(at_ns, epochs[current], fleets[current], analyst, conclusion, known)

    def _plan(self, epoch: PlannedEpoch) -> FleetPlan:
        state = PersistedState(epoch.epoch, epoch.seed, self.cookie_key)
        for plan in (self.ports.plan, *self.ports.former_plans):
            fleet = plan(epoch.inventory, state, epoch.interval_ns)
            if digest_of(fleet) == epoch.digest:
                return fleet
        raise SystemRefusedError(
            "the plans of that time cannot be made again: options or the version of netprobe changed"
        )


def _snapshot(
    at_ns: int, epoch: PlannedEpoch, fleet: FleetPlan, analyst: AnalystPort, conclusion: Conclusion,
    known: Sequence[Finding],
) -> Snapshot:  # fmt: skip
    return Snapshot(
        taken_ns=at_ns,
        interval_ns=epoch.interval_ns,
        inventory=epoch.inventory,
        checks=fleet.checks,
        legs=fleet.legs,
        coverage=fleet.coverage,
        paths=conclusion.paths,
        agents=conclusion.agents,
        findings=(
            *(_remember(finding, known, at_ns) for finding in conclusion.findings),
            *(replace(one, ended_ns=None) for one in known if _was_open_elsewhere(one, at_ns)),
        ),
        past_findings=tuple(one for one in known if one.ended_ns is not None and one.ended_ns <= at_ns),
        rejected=tuple(sorted(analyst.rejected.items())),
    )


def _was_open_elsewhere(finding: Finding, at_ns: int) -> bool:
    """Whether it was open then and does not follow from reports: intent deviations, missing agents."""
    return finding.cause in INTENT_CAUSES | {Cause.AGENT_CUT_OFF} and _was_open(finding, at_ns)


def _was_open(finding: Finding, at_ns: int) -> bool:
    return finding.first_seen_ns <= at_ns and (finding.ended_ns is None or finding.ended_ns > at_ns)


def _remember(finding: Finding, known: Sequence[Finding], at_ns: int) -> Finding:
    """The same finding, since when it really lasted."""
    since = [one.first_seen_ns for one in known if one.id == finding.id and _was_open(one, at_ns)]
    return replace(finding, first_seen_ns=min([finding.first_seen_ns, *since]))
