"""Pacer: how many packets may be sent at which time. Pure; times are monotonic nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.errors import MisuseError
from netprobe.model.units import SECOND_NS


@dataclass(slots=True)
class Pacer:
    """Spreads packets evenly at *rate* per second, in steps of about *tick_ns*.

    After a delay (a busy machine), at most *most_ticks* are sent at once, because an agent must keep its
    budget. A rate of None means as fast as the kernel accepts packets.

    >>> pacer = Pacer(start_ns=0, rate=1000, tick_ns=10_000_000)
    >>> pacer.allow(now_ns=10_000_000, sent=0), pacer.allow(now_ns=20_000_000, sent=10)
    (10, 10)
    >>> pacer.next_ns(sent=20)
    30000000
    """

    start_ns: int
    rate: float | None
    tick_ns: int
    most_ticks: int = 2

    def __post_init__(self) -> None:
        if self.tick_ns <= 0 or (self.rate is not None and self.rate <= 0):
            raise MisuseError("a pace needs a positive rate and tick")

    @property
    def quantum(self) -> int:
        """Packets per tick, at least one."""
        return max(1, int(self._rate * self.tick_ns / SECOND_NS))

    @property
    def _rate(self) -> float:
        return self.rate if self.rate is not None else 1e9

    def allow(self, *, now_ns: int, sent: int) -> int:
        """Number of packets that may be sent now, after *sent* were sent."""
        if self.rate is None:
            return 1 << 30
        due = int((now_ns - self.start_ns) * self._rate / SECOND_NS) - sent
        excess = due - self.most_ticks * self.quantum
        if excess > 0:
            self.start_ns += int(excess * SECOND_NS / self._rate)
            due -= excess
        return max(0, due)

    def next_ns(self, *, sent: int) -> int:
        """When the next tick's packets are due."""
        return self.start_ns + round((sent + self.quantum) * SECOND_NS / self._rate)
