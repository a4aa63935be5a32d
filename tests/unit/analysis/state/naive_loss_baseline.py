"""What each path usually loses, worked out path by path and window by window, from the rules alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log
from statistics import median

BLOCK, RECENT, MEMORY = 10, 3, 12
LEAST_USUAL, LEAST_WINDOWS, CHANCE = 1e-3, 3, 1e-6
Block = list[tuple[int, int]]
"""What was asked and lost, window by window."""


@dataclass(slots=True)
class NaiveLosses:
    """One path."""

    blocks: list[Block] = field(default_factory=list)
    learnt: dict[int, float] = field(default_factory=dict)
    """The loss of filled blocks that were not beyond what is usual; the twelfth before makes room."""

    @property
    def usual(self) -> float | None:
        return median(self.learnt.values()) if len(self.learnt) >= RECENT else None

    def see(self, asked: int, reached: int) -> bool:
        """Take in one window; whether the path loses more than it usually does."""
        if not asked or not reached:
            return False
        if not self.blocks or len(self.blocks[-1]) == BLOCK:
            self.blocks.append([])
        self.blocks[-1].append((asked, asked - reached))
        beyond = self._is_beyond()
        if len(self.blocks[-1]) == BLOCK and not beyond:
            asked_in_all, lost = map(sum, zip(*self.blocks[-1], strict=True))
            self.learnt[(len(self.blocks) - 1) % MEMORY] = lost / asked_in_all
        return beyond

    def _is_beyond(self) -> bool:
        windows = [window for block in self.blocks[-RECENT:] for window in block]
        usual = self.usual
        if usual is None or sum(lost > 0 for _, lost in windows) < LEAST_WINDOWS:
            return False
        asked, lost = map(sum, zip(*windows, strict=True))
        share, usual = lost / asked, min(max(usual, LEAST_USUAL), 1 - 1e-9)
        if share <= usual:
            return False
        inside = min(max(share, 1e-9), 1 - 1e-9)
        distance = inside * log(inside / usual) + (1 - inside) * log((1 - inside) / (1 - usual))
        return exp(-asked * distance) < CHANCE
