"""Scores findings over time against the labels of injected faults.

Rules: a fault counts as named right when one finding says its label. Every other finding that opens, while
the fleet is healthy, while a fault is in place, or while one is being healed, is a false finding, unless the
label lists it as a true consequence. Nothing is forgiven for being nearly right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from netprobe.model.finding import Finding
from netprobe.model.ground_truth import GroundTruth


@dataclass(frozen=True, slots=True)
class FaultVerdict:
    """What became of one injected fault."""

    name: str
    """The fault as it was asked for: kind and parameters."""
    label: GroundTruth
    finding: Finding | None
    """The finding that named it right, or else the first that opened while it was in place."""
    named_right: bool
    after_ns: int | None
    """From injection until that finding was first read; None where none came."""


@dataclass(frozen=True, slots=True)
class TimedFinding:
    """A finding and when it was first read."""

    at_ns: int
    finding: Finding


@dataclass(slots=True)
class _InjectedFault:
    """A fault, and the findings that were read while it was in place."""

    label: GroundTruth
    since_ns: int
    true: set[str] = field(default_factory=set)
    """Ids of findings that were right of it."""
    first: TimedFinding | None = None
    right: TimedFinding | None = None


@dataclass(slots=True)
class Scorer:
    """Follows one run: tell it when faults start and end, and every set of open findings in between.

    Several faults may be in place at once; each needs a finding of its own. Names of faults are the caller's.
    """

    verdicts: list[FaultVerdict] = field(default_factory=list)
    false_findings: dict[str, TimedFinding] = field(default_factory=dict)
    """By finding id: one wrong finding counts once, however often it is read; kept as it was most certain."""
    _faults: dict[str, _InjectedFault] = field(default_factory=dict)
    _healing: set[str] = field(default_factory=set)
    """Ids of findings that named a fault which has been taken away since."""
    _healed: list[GroundTruth] = field(default_factory=list)
    """Labels of those faults: what they lead to may come late, such as an agent's lost reports."""

    def inject(self, name: str, label: GroundTruth, *, at_ns: int) -> None:
        """A fault is in place from *at_ns* on, which may lie ahead."""
        if not self._faults:
            self._healing, self._healed = set(), []
        self._faults[name] = _InjectedFault(label, at_ns)

    def read(self, findings: Iterable[Finding], *, at_ns: int) -> bool:
        """Take in the findings that are open at *at_ns*; return whether every fault is named right."""
        for finding in findings:
            self._sort_out(TimedFinding(at_ns, finding))
        return bool(self._faults) and all(fault.right for fault in self._faults.values())

    def find_right(self, name: str) -> TimedFinding | None:
        """The finding that named a fault right; None where none has yet."""
        return self._faults[name].right

    def conclude(self, name: str) -> FaultVerdict:
        """The fault has been taken away; its finding may stay open until the paths have healed."""
        fault = self._faults.pop(name)
        self._healing |= fault.true
        self._healed.append(fault.label)
        seen = fault.right or fault.first
        verdict = FaultVerdict(
            name=name,
            label=fault.label,
            finding=seen.finding if seen else None,
            named_right=fault.right is not None,
            after_ns=seen.at_ns - fault.since_ns if seen else None,
        )
        self.verdicts.append(verdict)
        return verdict

    def find_confident(self, *, above: float) -> tuple[TimedFinding, ...]:
        """False findings that were once more certain than *above*."""
        return tuple(read for read in self.false_findings.values() if read.finding.confidence > above)

    def _sort_out(self, read: TimedFinding) -> None:
        present = [fault for fault in self._faults.values() if fault.since_ns <= read.at_ns]
        for fault in present:
            if fault.label.is_named_by(read.finding):
                fault.right = fault.right or read
            elif fault.label.is_true_of(read.finding):
                fault.first = fault.first or read
        right_of = [fault for fault in present if fault.label.is_true_of(read.finding)]
        for fault in right_of:
            fault.true.add(read.finding.id)
        is_late = any(label.is_consequence(read.finding) for label in self._healed)
        if not right_of and not is_late and read.finding.id not in self._healing:
            known = self.false_findings.get(read.finding.id)
            if known is None or known.finding.confidence < read.finding.confidence:
                self.false_findings[read.finding.id] = read
            for fault in present:
                fault.first = fault.first or read
