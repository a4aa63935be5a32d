"""What an attack tried, what held and what fell."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class AttackTally:
    """Counts of one kind of attack."""

    tried: int = 0
    fell: list[str] = field(default_factory=list)
    """What had an effect that it must not have."""

    def note(self, what: str, *, held: bool) -> None:
        """One try."""
        self.tried += 1
        if not held:
            self.fell.append(what)

    def counts(self) -> dict[str, int]:
        """Tried, held and fell."""
        return {"tried": self.tried, "held": self.tried - len(self.fell), "fell": len(self.fell)}
