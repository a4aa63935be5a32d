"""Stall guard: measures how late the driver of a sweep runs, to decide whether silence counts. Pure."""

from __future__ import annotations

from netprobe.engine.stall_tracker import StallTracker


class StallGuard:
    """Records when the driver is due, and how long it stalled."""

    def __init__(self) -> None:
        self._stalls = StallTracker()
        self._due_ns: int | None = None

    def plan(self, due_ns: int) -> None:
        """The driver is due at *due_ns*."""
        self._due_ns = due_ns

    def plan_earlier(self, due_ns: int) -> None:
        """The driver is due at *due_ns*, unless it is due earlier."""
        self._due_ns = due_ns if self._due_ns is None else min(self._due_ns, due_ns)

    def note(self, now_ns: int) -> None:
        """The driver runs now."""
        if self._due_ns is not None:
            self._stalls.note(due_ns=self._due_ns, now_ns=now_ns)
        self._due_ns = None

    def worst_ns(self, *, since_ns: int, now_ns: int) -> int:
        """The largest delay of the driver since then."""
        return self._stalls.worst_ns(since_ns=since_ns, until_ns=now_ns)

    def stalled_ns(self, *, since_ns: int, now_ns: int) -> int:
        """How long the driver stalled since then, if too long for silence to count; else 0.

        Too long is more than half of the time in which it ran, as for the windows of an agent.
        """
        stalled_ns = self._stalls.total_ns(since_ns=since_ns, until_ns=now_ns)
        awake_ns = now_ns - since_ns - stalled_ns
        return stalled_ns if 2 * stalled_ns > awake_ns else 0
