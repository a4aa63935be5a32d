"""Adaptive timeout of a sweep, longer than current answers take. Pure.

Rule: a machine without processor time, here or there, delays answers by half a second or more without losing
any. A fixed timeout would read late replies as loss, so the timeout follows the slowest recent answer (as in
RFC 6298) and our own scheduling delay.
"""

from __future__ import annotations

from netprobe.engine.sweep.targets import RoundResult

_TIMES = 4
_MOST_NS = 3_000_000_000
"""Upper limit; a later answer still counts while the sweep runs."""


class AdaptiveTimeout:
    """Timeout of one sweep, learned from its rounds."""

    def __init__(self, least_ns: int) -> None:
        """Use *least_ns* while no answer is slower."""
        self._least_ns = least_ns
        self.slowest_ns = 0
        """The slowest recent answer, or our own delay if that is larger."""

    @property
    def timeout_ns(self) -> int:
        """How long to wait for an answer."""
        return max(self._least_ns, min(_MOST_NS, _TIMES * self.slowest_ns))

    def quiet_ns(self, least_ns: int, running_ns: int) -> int:
        """Time without answers after which none is expected; *running_ns* is the slowest of this round."""
        return max(least_ns, _TIMES * max(self.slowest_ns, running_ns))

    def note(self, result: RoundResult, *, is_late: bool) -> None:
        """Learn from a round; *is_late* says that answers to earlier rounds arrived in it.

        The slowest answer decays by half per round.
        """
        slowest_ns = max(result.lag_ns, int(result.rtts_ns.max(initial=0)))
        if slowest_ns > 0:
            self.slowest_ns = max(slowest_ns, self.slowest_ns // 2)
        if is_late:
            self.slowest_ns = max(self.slowest_ns, result.timeout_ns)
