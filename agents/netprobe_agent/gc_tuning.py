"""Tuning of Python's garbage collector for the agent's long-lived objects.

Rule: a plan and the state of its checks live as long as the plan runs, and they are most of an agent's
memory; scanning them again and again took a tenth of its processor time, so they are frozen.
"""

from __future__ import annotations

import gc

_YOUNG_OBJECTS = 10_000
"""New objects that trigger a collection; more than the windows of an interval in most fleets."""
_SETTLED_AFTER = 2
"""Intervals after which every check was asked and every peer has asked, so that state is complete."""


class GcTuning:
    """Counts the intervals of a plan, and freezes the long-lived objects after the first ones."""

    def __init__(self) -> None:
        self._intervals = 0
        gc.set_threshold(_YOUNG_OBJECTS, 10, 10)

    def begin_plan(self) -> None:
        """Unfreeze for a new plan, because the state of the old one is garbage."""
        self._intervals = 0
        gc.unfreeze()

    def end_interval(self) -> None:
        """Count a delivered interval; freeze when the state is complete."""
        self._intervals += 1
        if self._intervals == _SETTLED_AFTER:
            gc.collect()
            gc.freeze()
