"""The engine's clock: monotonic for durations, wall time stamped once per observation."""

from __future__ import annotations

import time
from dataclasses import dataclass

_CLOSE_NS = 5_000
"""Two clocks read within this time count as read at one moment."""
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Clock:
    """Reads the machine's clocks."""

    mono_ns = staticmethod(time.monotonic_ns)
    """Monotonic time; what ``asyncio`` uses too. The function itself, as it is called for every packet."""
    wall_ns = staticmethod(time.time_ns)
    """Unix time."""

    def mono_of_wall(self, wall_ns: int) -> int:
        """The monotonic time of a wall time that is near, by the clocks' present offset."""
        return wall_ns - self._lead_ns()

    def arrival_ns(self, stamp_ns: int | None, *, since_ns: int) -> int:
        """The monotonic time of a packet that the kernel stamped at wall time *stamp_ns*, if it did.

        The packet arrived after *since_ns*, when the socket was last empty; so a wall clock that is set
        between the stamp and its reading cannot move the packet further back than that.
        """
        if not stamp_ns:
            return self.mono_ns()
        arrived_ns = self.mono_of_wall(stamp_ns)
        return min(self.mono_ns(), max(since_ns, arrived_ns))

    def _lead_ns(self) -> int:
        """How far the wall clock is ahead of the monotonic one.

        Rule: if the process were preempted between two readings, that time would count as an offset, and
        packets would seem to arrive before they were sent. So the wall clock is read between two readings of
        the monotonic one, repeatedly where these are far apart; the closest pair counts.
        """
        closest_ns, lead_ns = None, 0
        before_ns = self.mono_ns()
        for _ in range(_TRIES):
            wall_ns, after_ns = self.wall_ns(), self.mono_ns()
            apart_ns = after_ns - before_ns
            if closest_ns is None or apart_ns < closest_ns:
                closest_ns, lead_ns = apart_ns, wall_ns - after_ns
            if apart_ns <= _CLOSE_NS:
                break
            before_ns = after_ns
        return lead_ns
