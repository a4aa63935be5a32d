"""Was it named right? Findings watched over time, against the labels of injected faults.

Rules: a fault counts as named right when one finding says exactly its label. Every other finding that opens,
while the fleet is healthy, while a fault is in place, or while one is being healed, is a false finding.
Nothing is forgiven for being nearly right.
"""

from __future__ import annotations

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


@dataclass(slots=True)
class _InjectedFault:
    """A fault that is in place, and what was said while it was."""

    label: GroundTruth
    since_ns: int
    first: tuple[Finding, int] | None = None
    right: tuple[Finding, int] | None = None


@dataclass(slots=True)
class Scorer:
    """Follows one run: tell it when faults start and end, and every set of open findings in between.

    Several faults may be in place at once; each needs a finding of its own.
    """

    verdicts: list[FaultVerdict] = field(default_factory=list)
    false_findings: dict[str, Finding] = field(default_factory=dict)
    """By finding id: one wrong finding counts once, however often it is read."""
    _present: dict[str, _InjectedFault] = field(default_factory=dict)
    _explained: set[str] = field(default_factory=set)

    def inject(self, name: str, label: GroundTruth, *, at_ns: int) -> None:
        """A fault is in place from now on."""
        if not self._present:
            self._explained = set()
        self._present[name] = _InjectedFault(label, at_ns)

    def read(self, findings: tuple[Finding, ...], *, at_ns: int) -> bool:
        """Take in the findings that are open at *at_ns*; return whether every fault is named right."""
        for finding in findings:
            self._sort_out(finding, at_ns)
        return bool(self._present) and all(fault.right for fault in self._present.values())

    def conclude(self, name: str) -> FaultVerdict:
        """The fault has been taken away; its finding may stay open until the paths have healed."""
        fault = self._present.pop(name)
        seen = fault.right or fault.first
        verdict = FaultVerdict(
            name=name,
            label=fault.label,
            finding=seen[0] if seen else None,
            named_right=fault.right is not None,
            after_ns=seen[1] - fault.since_ns if seen else None,
        )
        self.verdicts.append(verdict)
        return verdict

    def _sort_out(self, finding: Finding, at_ns: int) -> None:
        named = [fault for fault in self._present.values() if fault.label.is_named_by(finding)]
        for fault in named:
            fault.right = fault.right or (finding, at_ns)
        if named:
            self._explained.add(finding.id)
        elif finding.id not in self._explained:
            self.false_findings.setdefault(finding.id, finding)
            for fault in self._present.values():
                fault.first = fault.first or (finding, at_ns)
