"""The last reports that the bus took, as they were sent: the collector asks for one that was destroyed there.

Rule: the stream holds a few reports of one agent and refuses more, so what was sent long before has been
stored. A bound in bytes keeps an agent with large reports small.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MOST = 32
"""Four times what the stream holds of one agent: some go on while the collector finds out."""
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SentReport:
    """One report that the bus took."""

    boot: str
    number: int
    data: bytes


class SentReports:
    """The newest of them, in memory."""

    def __init__(self, *, most: int = MOST, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: deque[SentReport] = deque(maxlen=most)

    def note(self, boot: str, number: int, data: bytes) -> None:
        """The bus took this one."""
        self._kept.append(SentReport(boot, number, data))
        while sum(len(each.data) for each in self._kept) > self._max_bytes:
            self._kept.popleft()

    def find(self, boot: str, first: int, last: int) -> tuple[SentReport, ...]:
        """What is still here of the numbers *first* to *last* of one run, oldest first."""
        return tuple(each for each in self._kept if each.boot == boot and first <= each.number <= last)
