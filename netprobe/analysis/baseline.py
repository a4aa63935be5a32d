"""What is usual for each path: its latency in quiet windows, and which paths are far beyond that now.

Rules: robust statistics only, the median and the median absolute deviation (Rousseeuw and Croux, JASA 1993)
of the logarithm of the p50, so one odd window moves nothing. Nothing is slow before enough quiet windows were
seen. A slow window teaches nothing, until it has lasted so long that it is the new usual.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import log2
from statistics import median

from netprobe.analysis.carry import Carry
from netprobe.analysis.look import Look, Seen

LEARNT = 30
"""Quiet windows before a path has a baseline: five minutes at ten seconds."""
_MEMORY = 60
_REFRESH = 10
"""A baseline is computed anew after so many quiet windows."""
_SPREADS = 6.0
_NORMAL = 1.4826
"""Times the median absolute deviation is the standard deviation of normal noise."""
_LEAST_OCTAVES = 1.0
"""A path is slow at twice its usual latency or more …"""
_LEAST_NS = 5_000_000
"""… and at least this much above it: hosts under load are late by milliseconds."""
_LASTING = 3
"""Slow windows in a row before a path is slow."""
_NEW_USUAL = 360
"""Slow windows in a row after which the path has simply become slower: an hour at ten seconds."""


@dataclass(slots=True)
class _Usual:
    quiet: deque[float] = field(default_factory=lambda: deque(maxlen=_MEMORY))
    """log2 of the p50 in nanoseconds."""
    fresh: int = 0
    middle: float | None = None
    bound: float = 0.0
    slow: int = 0
    """Slow windows in a row."""

    def learn(self, value: float) -> None:
        self.quiet.append(value)
        self.fresh += 1
        if len(self.quiet) < LEARNT or (self.middle is not None and self.fresh < _REFRESH):
            return
        self.fresh = 0
        self.middle = median(self.quiet)
        spread = _NORMAL * median(abs(each - self.middle) for each in self.quiet)
        least = log2(1 + _LEAST_NS / 2**self.middle)
        self.bound = self.middle + max(_SPREADS * spread, _LEAST_OCTAVES, least)


class Baselines:
    """The usual latency of every path of one plan, by number of the check."""

    def __init__(self) -> None:
        self._usual: dict[int, _Usual] = {}

    def replan(self, carry: Carry) -> None:
        """Go on with the next plan: what continues keeps what was learnt."""
        self._usual = carry.keys(self._usual)

    def see(self, look: Look) -> frozenset[int]:
        """Learn from one frame; return the checks that are slow, for several frames in a row by now."""
        slow = set()
        for number, seen in look.seen.items():
            usual = self._usual.get(number)
            if usual is None:
                usual = self._usual[number] = _Usual()
            if self._is_slow(usual, seen):
                slow.add(number)
        return frozenset(slow)

    def usual_ns(self, number: int) -> float | None:
        """The usual p50 of a path; None while it is being learnt."""
        usual = self._usual.get(number)
        return None if usual is None or usual.middle is None else float(2**usual.middle)

    @staticmethod
    def _is_slow(usual: _Usual, seen: Seen) -> bool:
        latency = seen.window.rtt.quantile_ns(0.5)
        if latency is None:
            return usual.slow >= _LASTING
        value = log2(max(1.0, latency))
        if usual.middle is None or value <= usual.bound:
            usual.slow = 0
            if seen.is_good:
                usual.learn(value)
            return False
        usual.slow += 1
        if usual.slow >= _NEW_USUAL:
            usual.quiet.clear()
            usual.middle, usual.slow = None, 0
        return usual.slow >= _LASTING
