"""One simulated run from its first report to its last, scored against the labels of its faults.

Rules: the analyst is the real one and sees only what agents would have sent. A fault is named right when one
finding says exactly its label while or after it is in place; every other finding is false. Nothing is
forgiven for being nearly right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from netprobe.analysis.analyst import Analyst, Conclusion
from netprobe.analysis.intervals.assembler import QuietWindows
from netprobe.model.finding import Finding
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.world import ArrivingReport

_READS = 2
"""How often per interval the findings are read."""


@dataclass(frozen=True, slots=True)
class TimedFinding:
    """A finding and when it stood first."""

    at_ns: int
    finding: Finding


@dataclass(slots=True)
class RunScore:
    """What was said over one run."""

    faults: tuple[SimulatedFault, ...]
    named: dict[int, TimedFinding] = field(default_factory=dict)
    """By place of the fault: the finding that said its label first."""
    false: dict[str, TimedFinding] = field(default_factory=dict)
    """By finding id: findings that are nobody's label."""
    reports: int = 0
    windows: int = 0
    ended_ns: int = 0
    last: Conclusion | None = None
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """Every fault named, and nothing else said."""
        return len(self.named) == len(self.faults) and not self.false

    def read(self, findings: Iterable[Finding], *, now_ns: int) -> None:
        """Take in the findings that are open at *now_ns*."""
        for finding in findings:
            right = [
                place
                for place, fault in enumerate(self.faults)
                if fault.start_ns <= now_ns and fault.label.is_named_by(finding)
            ]
            for place in right:
                self.named.setdefault(place, TimedFinding(now_ns, finding))
            if not right:
                self.false.setdefault(finding.id, TimedFinding(now_ns, finding))


def follow(
    analyst: Analyst,
    deliveries: Iterable[ArrivingReport],
    faults: Sequence[SimulatedFault],
    *,
    start_ns: int,
    interval_ns: int,
    score: RunScore | None = None,
) -> RunScore:
    """Give the analyst every report when it arrives, and read what it says in between.

    With *score* a run goes on that was followed before.
    """
    score = score or RunScore(tuple(faults))
    step = interval_ns // _READS
    next_ns = start_ns
    for delivery in deliveries:
        while next_ns <= delivery.at_ns:
            score.read(analyst.conclude(now_ns=next_ns).findings, now_ns=next_ns)
            next_ns += step
        score.windows += _observe(analyst, delivery)
        score.reports += 1
    score.ended_ns = next_ns + step
    score.last = analyst.conclude(now_ns=score.ended_ns)
    score.read(score.last.findings, now_ns=score.ended_ns)
    score.rejected = dict(analyst.rejected)
    return score


def _observe(analyst: Analyst, delivery: ArrivingReport) -> int:
    """Hand over what arrived; return how many windows it held."""
    report = delivery.report
    if isinstance(report, QuietWindows):
        analyst.observe_quiet(report, now_ns=delivery.at_ns)
        return int(np.count_nonzero(report.sent))
    analyst.observe(report, now_ns=delivery.at_ns)
    return len(report.windows)
