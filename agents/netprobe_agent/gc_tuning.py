"""Python's collector of cyclic garbage, told what stays.

Rule: a plan and what is known of its checks stay for as long as it is run, and they are all that is large in
an agent. Looking through them again and again took a tenth of its processor time.
"""

from __future__ import annotations

import gc

_YOUNG_OBJECTS = 10_000
"""So many new objects make the collector look; an interval's windows are fewer in most fleets."""
_SETTLED_AFTER = 2
"""Intervals after which every check was asked and every peer has asked."""


class GcTuning:
    """Counts the intervals of a plan, and lets the collector forget what has settled by then."""

    def __init__(self) -> None:
        self._intervals = 0
        gc.set_threshold(_YOUNG_OBJECTS, 10, 10)

    def begin_plan(self) -> None:
        """Another plan: what stayed until now may be garbage."""
        self._intervals = 0
        gc.unfreeze()

    def end_interval(self) -> None:
        """An interval was handed over."""
        self._intervals += 1
        if self._intervals == _SETTLED_AFTER:
            gc.collect()
            gc.freeze()
