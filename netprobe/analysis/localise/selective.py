"""Which part fails, and for which traffic: component × class by greedy description length.

A hypothesis is a component, a class of its traffic (at most two conditions) and a mode of loss. Its net
gain is what it explains beyond the other hypotheses, in nats, less the price of naming it. The best one is
accepted until none gains enough; then each is found again with the others held, until nothing moves.

The gain has the three wishes of Adtributor (Bhagwan et al., NSDI 2014): explain enough, be short, be
surprising. That all rows inside a class lose alike is the ripple effect of HotSpot (Sun et al., IEEE Access
2018); that a fault may lie outside everything recorded is what mode ``split`` says (as in PSqueeze, 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic

import numpy as np

from netprobe.analysis.localise.crossings import CrossingTable
from netprobe.analysis.localise.evidence import L
from netprobe.analysis.localise.loss_modes import MIXTURES, LossMode
from netprobe.analysis.localise.selective_search import Accepted, Posterior, SelectiveSearch
from netprobe.analysis.localise.traffic_classes import TrafficClasses, find_classes
from netprobe.model.arrays import BoolArray, IntArray
from netprobe.model.traffic import TrafficCondition

_MOST_KNOWN = 2_000
_DEAD_LOSS = 0.9
"""A class that loses more than this is dead, and leaks."""


@dataclass(frozen=True, slots=True)
class SelectiveSuspect(Generic[L]):
    """A part that fails, and the traffic that it fails for."""

    component: L
    conditions: tuple[TrafficCondition, ...]
    """The smallest name of the traffic; empty for all of it."""
    mode: LossMode
    loss: float
    """Share lost inside the class: of packets, of flows (hash) or of rows (split), 0–1."""
    rows: tuple[int, ...]
    """The measured rows of the class."""
    gain: float
    """Net, in nats."""
    confidence: float
    """Probability of exactly these rows and this mode, among the alternatives that were tried."""
    alike: tuple[tuple[L, tuple[TrafficCondition, ...]], ...]
    """Other names of the same rows."""


@dataclass(frozen=True)
class SelectiveLocaliser(Generic[L]):
    """The engine for one plan."""

    table: CrossingTable[L]
    margin: float = 3.0
    """Net gain, in nats, that a hypothesis must have."""
    most: int = 6
    """How many hypotheses are accepted at most."""
    _known: dict[tuple[int, bytes], TrafficClasses] = field(default_factory=dict, repr=False)
    """Classes by component and by which of its rows are measured; intervals mostly measure the same ones."""

    @cached_property
    def name(self) -> IntArray:
        """A random number per row; sums of them name sets of rows."""
        return np.random.default_rng(7).integers(0, 2**62, self.table.rows)

    def classes(self, component: int, measured: BoolArray) -> TrafficClasses:
        """The classes of a component over *measured* rows; made when it is first suspected."""
        key = component, measured[self.table.row[self.table.at(component)]].tobytes()
        if key not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = find_classes(self.table, component, measured, self.name)
        return self._known[key]

    def localise(self, sent: IntArray, lost: IntArray) -> tuple[SelectiveSuspect[L], ...]:
        """What explains *lost* of *sent* packets by row, largest gain first.

        A row that sent none says nothing.
        """
        if not bool(np.any(lost)):
            return ()
        search = SelectiveSearch(self, sent, lost)
        search.run()
        found = [
            self._describe(one, search.weigh(number), search) for number, one in enumerate(search.accepted)
        ]
        return tuple(sorted(found, key=lambda one: -one.gain))

    def _describe(
        self, one: Accepted, posterior: Posterior, search: SelectiveSearch[L]
    ) -> SelectiveSuspect[L]:
        names = [
            (self.table.components[c], search.classes(c).conditions_of(first, second))
            for c, first, second in posterior.names
        ]
        mine = (
            self.table.components[one.component],
            search.classes(one.component).conditions_of(one.first, one.second),
        )
        loss = one.size if one.mode in MIXTURES else float(-np.expm1(-one.size))
        return SelectiveSuspect(
            component=mine[0],
            conditions=mine[1],
            mode=LossMode.DEAD if one.mode is LossMode.RATE and loss >= _DEAD_LOSS else one.mode,
            loss=loss,
            rows=tuple(one.rows.tolist()),
            gain=posterior.net,
            confidence=posterior.confidence,
            alike=tuple(name for name in names if name != mine),
        )
