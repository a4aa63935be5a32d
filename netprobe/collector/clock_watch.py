"""Notices when this machine's wall clock is set, as time servers, people and a resumed machine do.

Rule: wall time may only pass as the monotonic clock does; a difference that grows slowly is the wall clock
being steered, and one that appears at once is a step.
"""

from __future__ import annotations

import time
from collections.abc import Callable

STEP_NS = 1_000_000_000
"""A difference above this, since the last look, is a step."""


class ClockWatch:
    """Compares both clocks; times are nanoseconds."""

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._ahead_ns = wall_ns() - monotonic_ns()

    def take_step(self) -> int:
        """By how much the wall clock was set since the last call; 0 where it was not."""
        ahead_ns = self._wall_ns() - self._monotonic_ns()
        step_ns = ahead_ns - self._ahead_ns
        self._ahead_ns = ahead_ns
        return step_ns if abs(step_ns) > STEP_NS else 0
