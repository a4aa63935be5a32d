"""Log lines that strangers and agents can cause: at most one per key and minute, with a count of the others.

Rule: time is an argument. What is counted between two lines is said by the next one.
"""

from __future__ import annotations

EVERY_NS = 60_000_000_000
_MOST_KEYS = 10_000


class LimitedLog:
    """Says which lines are due."""

    def __init__(self) -> None:
        self._due_ns: dict[str, int] = {}
        self._left_out: dict[str, int] = {}

    def take(self, key: str, *, now_ns: int) -> int | None:
        """How many lines were left out before this one; None where this one is left out, too."""
        if self._due_ns.get(key, 0) > now_ns:
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return None
        if len(self._due_ns) >= _MOST_KEYS:
            self._due_ns.clear()
            self._left_out.clear()
        self._due_ns[key] = now_ns + EVERY_NS
        return self._left_out.pop(key, 0)
