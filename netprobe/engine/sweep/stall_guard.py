"""Whether whoever drives a sweep comes back when it is due, so that a silence may be believed. Pure."""

from __future__ import annotations

from netprobe.engine.stall_tracker import StallTracker


class StallGuard:
    """Remembers when we should have been back, and for how long we stood still since."""

    def __init__(self) -> None:
        self._stalls = StallTracker()
        self._due_ns: int | None = None

    def plan(self, due_ns: int) -> None:
        """We shall be back at *due_ns*."""
        self._due_ns = due_ns

    def plan_earlier(self, due_ns: int) -> None:
        """We shall be back at *due_ns*, if that is before what was planned."""
        self._due_ns = due_ns if self._due_ns is None else min(self._due_ns, due_ns)

    def note(self, now_ns: int) -> None:
        """We are back."""
        if self._due_ns is not None:
            self._stalls.note(due_ns=self._due_ns, now_ns=now_ns)
        self._due_ns = None

    def worst_ns(self, *, since_ns: int, now_ns: int) -> int:
        """By how much we were late at worst since then."""
        return self._stalls.worst_ns(since_ns=since_ns, until_ns=now_ns)

    def stalled_ns(self, *, since_ns: int, now_ns: int) -> int:
        """How long we stood still since then, where that is too long to believe a silence; else 0.

        Too long is more than half of the time in which we were awake, as for the windows of an agent.
        """
        stalled_ns = self._stalls.total_ns(since_ns=since_ns, until_ns=now_ns)
        awake_ns = now_ns - since_ns - stalled_ns
        return stalled_ns if 2 * stalled_ns > awake_ns else 0
