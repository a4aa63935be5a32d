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
from netprobe.simulate.scorer import Scorer, TimedFinding
from netprobe.simulate.world import ArrivingReport

_READS = 2
"""How often per interval the findings are read."""


@dataclass(slots=True)
class RunScore:
    """One run: what its findings are worth, and how much was analysed."""

    faults: tuple[SimulatedFault, ...]
    reports: int = 0
    windows: int = 0
    ended_ns: int = 0
    last: Conclusion | None = None
    rejected: dict[str, int] = field(default_factory=dict)
    _scorer: Scorer = field(default_factory=Scorer)

    def __post_init__(self) -> None:
        for index, fault in enumerate(self.faults):
            self._scorer.inject(str(index), fault.label, at_ns=fault.start_ns)

    @property
    def named(self) -> dict[int, TimedFinding]:
        """By index of the fault: the finding that named it right first."""
        found = {index: self._scorer.find_right(str(index)) for index in range(len(self.faults))}
        return {index: finding for index, finding in found.items() if finding is not None}

    @property
    def false(self) -> dict[str, TimedFinding]:
        """By finding id: findings that name no fault of the run."""
        return self._scorer.false_findings

    @property
    def is_right(self) -> bool:
        """Whether every fault was named, and nothing else found."""
        return len(self.named) == len(self.faults) and not self.false

    def read(self, findings: Iterable[Finding], *, now_ns: int) -> None:
        """Take in the findings that are open at *now_ns*."""
        self._scorer.read(findings, at_ns=now_ns)


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
