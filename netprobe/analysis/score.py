"""Was it named right? Findings watched over time, against the labels of injected faults.

Rules: a fault counts as named right when one finding says exactly its label. Every other finding that opens,
while the fleet is healthy, while a fault is in place, or while one is being healed, is a false finding.
Nothing is forgiven for being nearly right.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from netprobe.model.finding import Finding
from netprobe.model.label import Label


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one injected fault."""

    name: str
    """The fault as it was asked for: kind and parameters."""
    label: Label
    finding: Finding | None
    """The finding that named it right, or else the first that opened while it was in place."""
    named_right: bool
    after_ns: int | None
    """From injection until that finding was first read; None where none came."""


@dataclass(slots=True)
class Scorer:
    """Follows one run: tell it when a fault starts and ends, and every set of open findings in between."""

    verdicts: list[Verdict] = field(default_factory=list)
    false_findings: dict[str, Finding] = field(default_factory=dict)
    """By finding id: one wrong finding counts once, however often it is read."""
    _current: tuple[str, Label, int] | None = None
    _first: tuple[Finding, int] | None = None
    _right: tuple[Finding, int] | None = None
    _explained: set[str] = field(default_factory=set)

    def inject(self, name: str, label: Label, *, at_ns: int) -> None:
        """A fault is in place from now on."""
        self._current = (name, label, at_ns)
        self._first = self._right = None
        self._explained = set()

    def read(self, findings: tuple[Finding, ...], *, at_ns: int) -> bool:
        """Take in the findings that are open at *at_ns*; return whether the present fault is named right."""
        for finding in findings:
            self._first = self._first or (finding, at_ns)
            if self._current is not None and self._current[1].is_named_by(finding):
                self._right = self._right or (finding, at_ns)
                self._explained.add(finding.id)
            elif finding.id not in self._explained:
                self.false_findings.setdefault(finding.id, finding)
        return self._right is not None

    def conclude(self) -> Verdict:
        """The fault has been taken away; its finding may stay open until the paths have healed."""
        assert self._current is not None
        name, label, injected_ns = self._current
        seen = self._right or self._first
        verdict = Verdict(
            name=name,
            label=label,
            finding=seen[0] if seen else None,
            named_right=self._right is not None,
            after_ns=seen[1] - injected_ns if seen else None,
        )
        self.verdicts.append(verdict)
        self._current = None
        return verdict
