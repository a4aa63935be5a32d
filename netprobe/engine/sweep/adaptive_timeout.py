"""How long silence must last before it says something: longer than answers take now. Pure.

A starved machine, here or there, delays answers by half a second and more and loses none. Whoever waits as
long as ever calls that a drop; so the slowest answer of late says how long to wait, as for TCP's resending
(RFC 6298). How late we are ourselves says the same: what carries packets here is then late, too.
"""

from __future__ import annotations

from netprobe.engine.sweep.targets import RoundResult

_TIMES = 4
_MOST_NS = 3_000_000_000
"""Nobody is waited for longer; an answer that comes later is still taken in while the sweep goes on."""


class AdaptiveTimeout:
    """What the rounds of one sweep have shown about how long answers take."""

    def __init__(self, least_ns: int) -> None:
        """Wait for *least_ns* while nothing is slower."""
        self._least_ns = least_ns
        self.slowest_ns = 0
        """The slowest answer of late, or how late we were."""

    @property
    def timeout_ns(self) -> int:
        """How long to wait for what has not answered."""
        return max(self._least_ns, min(_MOST_NS, _TIMES * self.slowest_ns))

    def quiet_ns(self, least_ns: int, running_ns: int) -> int:
        """How long nothing may come in before no more is to come; *running_ns* is this round's slowest."""
        return max(least_ns, _TIMES * max(self.slowest_ns, running_ns))

    def note(self, result: RoundResult, *, is_late: bool) -> None:
        """Take in a round, in which answers to earlier ones came in if *is_late*.

        What was slow once is forgotten by halves.
        """
        seen_ns = max(result.lag_ns, int(result.rtts_ns.max(initial=0)))
        if seen_ns > 0:
            self.slowest_ns = max(seen_ns, self.slowest_ns // 2)
        if is_late:
            self.slowest_ns = max(self.slowest_ns, result.timeout_ns)
