"""Stalls of this agent: a lagging event loop, a stopped process, a suspended machine.

Rule: a sick agent must never look like a sick network. A loss counts only if this agent ran while the
response could have arrived.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from netprobe.model.outcome import NotMeasured, OwnFault
from netprobe.model.prose import Prose

NOTABLE_NS = 20_000_000
"""Shorter lags are ordinary scheduling."""


@dataclass(frozen=True, slots=True)
class Stall:
    """The loop should have run at *began_ns* and ran at *ended_ns* (monotonic)."""

    began_ns: int
    ended_ns: int

    @property
    def length_ns(self) -> int:
        """Its length."""
        return self.ended_ns - self.began_ns


def not_measured(stalled_ns: int) -> NotMeasured:
    """What a silence beside a stall is worth."""
    for_ms = stalled_ns // 1_000_000
    return NotMeasured(Prose(f"the agent stood still for {for_ms} ms"), OwnFault.STALLED, for_ms)


class StallTracker:
    """Remembers recent stalls. Pure: time is an argument."""

    def __init__(self, *, memory: int = 512) -> None:
        self._stalls: deque[Stall] = deque(maxlen=memory)

    def note(self, *, due_ns: int, now_ns: int) -> None:
        """Something was due at *due_ns* and ran at *now_ns*."""
        if now_ns - due_ns >= NOTABLE_NS:
            self._stalls.append(Stall(due_ns, now_ns))

    def total_ns(self, *, since_ns: int, until_ns: int) -> int:
        """The total length of the stalls that overlap the span."""
        return sum(s.length_ns for s in self._stalls if s.ended_ns >= since_ns and s.began_ns <= until_ns)

    def worst_ns(self, *, since_ns: int, until_ns: int) -> int:
        """The longest stall that overlaps the span; 0 where there was none."""
        return max(
            (s.length_ns for s in self._stalls if s.ended_ns >= since_ns and s.began_ns <= until_ns),
            default=0,
        )
