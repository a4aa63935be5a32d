"""The engine's clock: monotonic for durations, wall time stamped once per observation."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Reads the machine's clocks."""

    def mono_ns(self) -> int:
        """Monotonic time; what ``asyncio`` uses too."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Unix time."""
        return time.time_ns()

    def mono_of_wall(self, wall_ns: int) -> int:
        """The monotonic time of a recent or near wall time, as the clocks stand now."""
        return self.mono_ns() + wall_ns - self.wall_ns()

    def arrival_ns(self, stamp_ns: int | None, *, since_ns: int) -> int:
        """The monotonic time of a packet that the kernel stamped at wall time *stamp_ns*, if it did.

        It came after *since_ns*, when the socket was last found empty: a wall clock that is set between the
        stamp and our reading of it cannot move a packet further than that.
        """
        now_ns = self.mono_ns()
        if not stamp_ns:
            return now_ns
        return min(now_ns, max(since_ns, now_ns + stamp_ns - self.wall_ns()))
