"""Ground truth of an injected fault, against which findings are scored."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.component import Component
from netprobe.model.finding import Cause, Finding
from netprobe.model.traffic import TrafficCondition


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The right answer for one injected fault.

    With *alike*, a finding is right that names one of *components* or *alike*, alone or with parts of
    *beside*; or that lists one of *components* among the parts that it cannot tell apart. Without, it must
    name exactly *components*.
    """

    cause: Cause
    components: tuple[Component, ...]
    alike: tuple[Component, ...] = ()
    """Neighbours of *components* that lose exactly the same checks, so that no evidence tells them apart."""
    beside: tuple[Component, ...] = ()
    """Parts that may be named with them, such as the way back of a check whose directions are not counted."""
    traffic: tuple[TrafficCondition, ...] = ()
    """A finding must say at least one of these conditions; empty where its class of traffic is not judged."""
    others: tuple[GroundTruth, ...] = ()
    """Other answers that are as right: another name of the same thing."""
    consequences: tuple[GroundTruth, ...] = ()
    """What may be found beside the right answer and is true; it alone does not name the fault."""

    def is_named_by(self, finding: Finding) -> bool:
        """Whether *finding* is the right answer, or one of the others."""
        is_it = finding.cause is self.cause and self._has_parts(finding) and self._has_traffic(finding)
        return is_it or any(other.is_named_by(finding) for other in self.others)

    def is_true_of(self, finding: Finding) -> bool:
        """Whether what *finding* says is right, though it need not name the fault.

        That checks over a part fail and no cause is known is true where the part is the label's.
        """
        says_no_cause = finding.cause is Cause.UNEXPLAINED and self._touches(finding)
        return says_no_cause or self.is_named_by(finding) or self.is_consequence(finding)

    def is_consequence(self, finding: Finding) -> bool:
        """Whether *finding* is something that the fault leads to, and not the fault itself."""
        return any(one.is_named_by(finding) for one in self.consequences)

    def _touches(self, finding: Finding) -> bool:
        parts = frozenset((*self.components, *self.alike, *self.beside))
        return not parts.isdisjoint(finding.components)

    def _has_parts(self, finding: Finding) -> bool:
        named, right = frozenset(finding.components), frozenset(self.components)
        if not self.alike:
            return named == right
        accepted = right | frozenset(self.alike)
        is_near = bool(named & accepted) and named <= accepted | frozenset(self.beside)
        return is_near or bool(right & frozenset(finding.indistinguishable))

    def _has_traffic(self, finding: Finding) -> bool:
        return not self.traffic or not frozenset(self.traffic).isdisjoint(finding.traffic)

    def __str__(self) -> str:
        return f"{self.cause}: {', '.join(sorted(map(str, self.components)))}"
