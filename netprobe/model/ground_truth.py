"""What is known to be broken: the truth that findings are scored against."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.component import Component
from netprobe.model.finding import Cause, Finding


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The right answer for one injected fault."""

    cause: Cause
    components: tuple[Component, ...]

    def is_named_by(self, finding: Finding) -> bool:
        """Whether *finding* says exactly this: the same cause and the same components, no more, no fewer."""
        return finding.cause is self.cause and frozenset(finding.components) == frozenset(self.components)

    def __str__(self) -> str:
        return f"{self.cause}: {', '.join(sorted(map(str, self.components)))}"
