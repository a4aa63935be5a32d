"""Ground truth of an injected fault, against which findings are scored."""

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
        """Whether *finding* has the same cause and exactly the same components."""
        return finding.cause is self.cause and frozenset(finding.components) == frozenset(self.components)

    def __str__(self) -> str:
        return f"{self.cause}: {', '.join(sorted(map(str, self.components)))}"
