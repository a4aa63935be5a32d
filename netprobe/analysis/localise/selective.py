"""Which part fails, and for which traffic: component × class by greedy description length.

A hypothesis is a component, a class of its traffic (at most two conditions) and a mode of loss. Its net
gain is what it explains beyond the other hypotheses, in nats, less the price of naming it. The best one is
accepted until none gains enough; then each is found again with the others held, until nothing moves.

The gain has the three wishes of Adtributor (Bhagwan et al., NSDI 2014): explain enough, be short, be
surprising. That all rows inside a class lose alike is the ripple effect of HotSpot (Sun et al., IEEE Access
2018); that a fault may lie outside everything recorded is what mode ``split`` says (as in PSqueeze, 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, NamedTuple

import numpy as np

from netprobe.analysis.localise.crossings import CrossingTable
from netprobe.analysis.localise.evidence import L
from netprobe.analysis.localise.likelihood import MAX_RATE
from netprobe.analysis.localise.loss_modes import RATES, SHARES, Gains, LossMode, tabulate
from netprobe.analysis.localise.traffic_classes import TrafficClasses, find_classes
from netprobe.model.arrays import BoolArray, FloatArray, IntArray
from netprobe.model.traffic import TrafficCondition

_BACKGROUND = 1e-4
"""Loss of a healthy component."""
_NEVER = -1e9
_CLOSE = 1e-7
"""Gains nearer than this are equal; the first one wins."""
_FAR = 12.0
"""Nats below the best alternative at which one has no say in the confidence."""
_ROUNDS = 3
_RATE_PRICE = 1.0
"""Price of a fitted rate beside ½ ln(rows), the usual one for a parameter (Schwarz 1978)."""
_SHARE_PRICE = 2.0
_DEAD_SHARE = 0.9
"""A row that lost this share is one of the dead ones of a mixture."""
_MOST_PARTS = 3
"""So many classes of one part may together be what reads as one mixture."""
_MOST_KNOWN = 2_000
_HASH_CONDITIONS = 1
"""A mixture inside a class of two conditions is not looked for."""


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


class _Candidate(NamedTuple):
    net: float
    component: int
    class_number: int
    mode: LossMode
    size: float
    """Rate (dead, rate) or share (hash, split)."""


class _Accepted(NamedTuple):
    component: int
    class_number: int
    mode: LossMode
    size: float
    rows: IntArray
    added: FloatArray
    """To the rate of each of *rows*."""

    @property
    def identity(self) -> tuple[int, int, LossMode]:
        return self.component, self.class_number, self.mode


@dataclass(frozen=True)
class SelectiveLocaliser(Generic[L]):
    """The engine for one plan."""

    table: CrossingTable[L]
    margin: float = 3.0
    """Net gain, in nats, that a hypothesis must have."""
    most: int = 6
    """How many hypotheses are accepted at most."""
    least_checks: int = 3
    """A rate, hash or split is reported only where so many checks lost something."""
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
        search = _SelectiveSearch(self, sent, lost)
        search.run()
        found = (search.describe(number) for number in range(len(search.accepted)))
        return tuple(
            sorted((one for one in found if self._is_seen_enough(one, lost)), key=lambda one: -one.gain)
        )

    def _is_seen_enough(self, suspect: SelectiveSuspect[L], lost: IntArray) -> bool:
        if suspect.mode is LossMode.DEAD:
            return True
        rows = np.array(suspect.rows, np.int64)
        return len(np.unique(self.table.check[rows[lost[rows] > 0]])) >= self.least_checks


@dataclass(eq=False)
class _SelectiveSearch(Generic[L]):
    """The working set of hypotheses for one batch."""

    settings: SelectiveLocaliser[L]
    sent: IntArray
    lost: IntArray
    accepted: list[_Accepted] = field(default_factory=list)

    def __post_init__(self) -> None:
        table = self.settings.table
        self.table = table
        self.measured: BoolArray = self.sent > 0
        self.part_price = float(np.log(max(len(table.components), 2)))

    def run(self) -> None:
        """Accept what gains enough, then find each again with the others held.

        It ends when a set of hypotheses comes again: one that is accepted may leave another without gain.
        """
        seen: set[frozenset[tuple[int, int, LossMode]]] = set()
        while len(self.accepted) < self.settings.most:
            now = frozenset(one.identity for one in self.accepted)
            if now in seen:
                break
            seen.add(now)
            best = self.find_best(self.accepted)
            if best is None:
                break
            self.accepted += self.split_up(self.accepted, best)
            for _ in range(_ROUNDS):
                if not self.swap_once():
                    break

    def swap_once(self) -> bool:
        """Replace each hypothesis by the best one in its place; whether anything changed."""
        moved = False
        for number in range(len(self.accepted)):
            if number >= len(self.accepted):
                break
            others = self.accepted[:number] + self.accepted[number + 1 :]
            best = self.find_best(others)
            if best is None:
                self.accepted, moved = others, True
                continue
            parts = self.split_up(others, best)
            moved |= [one.identity for one in parts] != [self.accepted[number].identity]
            self.accepted = [*self.accepted[:number], *parts, *self.accepted[number + 1 :]]
        return moved

    def classes(self, component: int) -> TrafficClasses:
        """The classes of a component over the measured rows."""
        return self.settings.classes(component, self.measured)

    def base_of(self, accepted: Sequence[_Accepted]) -> FloatArray:
        """By row the rate that *accepted* explain; what is dead is not explained twice."""
        base = self.table.length * _BACKGROUND
        for one in accepted:
            base[one.rows] += one.added
        capped: FloatArray = np.minimum(base, MAX_RATE)
        return capped

    def tabulate(self, accepted: Sequence[_Accepted]) -> Gains:
        return tabulate(self.sent, self.lost, self.base_of(accepted), self.table.is_kept)

    def find_suspects(self, accepted: Sequence[_Accepted], gains: Gains) -> list[tuple[int, float]]:
        """Components with the most that any class of each could gain, the largest first.

        A class takes some of a component's rows, so the sum of what each row could gain at best bounds it.
        """
        expected = self.sent * -np.expm1(-self.base_of(accepted))
        is_bad = (self.lost > 0) & (self.lost > 3 * expected + 0.5)
        found = np.unique(self.table.component[is_bad[self.table.row]])
        sums = np.bincount(self.table.component, gains.most[self.table.row], len(self.table.components))
        paid = {one.component for one in accepted}
        bounds = [(float(sums[part]) - self.price_of(part, paid), part) for part in found.tolist()]
        return [(part, bound) for bound, part in sorted(bounds, key=lambda one: (-one[0], one[1]))]

    def price_of(self, component: int, paid: set[int]) -> float:
        """A part costs what it takes to name it; a further class of one that is named costs little."""
        return float(np.log(2)) if component in paid else self.part_price

    def find_candidates(
        self, component: int, gains: Gains, paid: set[int]
    ) -> list[tuple[LossMode, FloatArray, FloatArray]]:
        """By mode: net gain and size (rate or share) of each class of *component*."""
        classes = self.classes(component)
        rows, masks = classes.rows, classes.weights
        price = self.price_of(component, paid) + classes.price
        fitted = price + 0.5 * np.log(np.maximum(masks.sum(1), 1))
        loses = (masks @ (self.lost[rows] > 0)) > 0
        is_simple = classes.size <= _HASH_CONDITIONS
        sums = masks @ np.concatenate((gains.rate, gains.hash, gains.split), 1)[rows]
        by_rate, by_hash, by_split = np.split(sums, (len(RATES), len(RATES) + len(SHARES)), axis=1)
        every = np.arange(len(masks))
        rate, hashed, split = (table.argmax(1) for table in (by_rate, by_hash, by_split))
        healthy = np.maximum(masks @ gains.healthy[rows], 0)
        nets = (
            (LossMode.DEAD, masks @ gains.dead[rows] - price, np.full(len(masks), MAX_RATE), loses),
            (LossMode.RATE, by_rate[every, rate] - healthy - fitted - _RATE_PRICE, RATES[rate], loses),
            (
                LossMode.HASH,
                by_hash[every, hashed] - fitted - _SHARE_PRICE,
                SHARES[hashed],
                loses & is_simple,
            ),
            (
                LossMode.SPLIT,
                by_split[every, split] - fitted - _SHARE_PRICE,
                SHARES[split],
                loses & is_simple,
            ),
        )
        return [(mode, np.where(allowed, net, _NEVER), size) for mode, net, size, allowed in nets]

    def find_best(self, accepted: Sequence[_Accepted]) -> _Candidate | None:
        """The hypothesis that gains most beside *accepted*; None where none gains the margin."""
        gains, paid = self.tabulate(accepted), {one.component for one in accepted}
        best: _Candidate | None = None
        for component, bound in self.find_suspects(accepted, gains):
            if bound < (best.net if best else self.settings.margin):
                break
            for mode, net, size in self.find_candidates(component, gains, paid):
                number = int(net.argmax())
                if best is None or net[number] > best.net + _CLOSE:
                    best = _Candidate(float(net[number]), component, number, mode, float(size[number]))
        return best if best is not None and best.net >= self.settings.margin else None

    def accept(self, candidate: _Candidate) -> _Accepted:
        """*candidate* with what it adds to the rate of its rows."""
        classes = self.classes(candidate.component)
        rows = classes.rows[classes.masks[candidate.class_number]]
        added = np.full(len(rows), candidate.size)
        if candidate.mode in {LossMode.HASH, LossMode.SPLIT}:
            is_dead = self.lost[rows] >= _DEAD_SHARE * self.sent[rows]
            is_flow = self.table.is_kept[rows] | (candidate.mode is LossMode.SPLIT)
            added = np.where(is_flow, np.where(is_dead, MAX_RATE, 0.0), -np.log1p(-candidate.size))
        return _Accepted(*candidate[1:], rows, added)

    def split_up(self, others: Sequence[_Accepted], found: _Candidate) -> list[_Accepted]:
        """*found*, or two or three dead classes of its part where they explain more than one mixture."""
        if found.mode is LossMode.DEAD:
            return [self.accept(found)]
        component, parts = found.component, list[_Accepted]()
        is_named = component in {one.component for one in others}
        total = float(np.log(2)) - (0.0 if is_named else self.part_price)
        while len(parts) < _MOST_PARTS:
            candidates = self.find_candidates(component, self.tabulate([*others, *parts]), {component})
            net = next(net for mode, net, _ in candidates if mode is LossMode.DEAD)
            number = int(net.argmax())
            if net[number] < self.settings.margin:
                break
            total += float(net[number])
            parts.append(
                self.accept(_Candidate(float(net[number]), component, number, LossMode.DEAD, MAX_RATE))
            )
        return parts if len(parts) > 1 and total > found.net else [self.accept(found)]

    def describe(self, number: int) -> SelectiveSuspect[L]:
        """An accepted hypothesis with its confidence: its weight among all that could stand in its place."""
        one = self.accepted[number]
        others = self.accepted[:number] + self.accepted[number + 1 :]
        gains, paid = self.tabulate(others), {other.component for other in others}
        best: dict[tuple[int, LossMode], float] = {}
        names: dict[tuple[int, LossMode], list[tuple[float, int, int]]] = {}
        top = _NEVER
        for component, bound in self.find_suspects(others, gains):
            if bound < top - _FAR:
                break
            classes = self.classes(component)
            for mode, net, _ in self.find_candidates(component, gains, paid):
                top = max(top, float(net.max()))
                for place in np.flatnonzero(net > top - _FAR).tolist():
                    key = int(classes.key[place]), mode
                    best[key] = max(best.get(key, _NEVER), float(net[place]))
                    names.setdefault(key, []).append((-float(net[place]), component, place))
        classes = self.classes(one.component)
        mine = int(classes.key[one.class_number]), one.mode
        weight = {key: float(np.exp(net - top)) for key, net in best.items()}
        return SelectiveSuspect(
            component=self.table.components[one.component],
            conditions=classes.conditions[one.class_number],
            mode=one.mode,
            loss=one.size if one.mode in {LossMode.HASH, LossMode.SPLIT} else float(-np.expm1(-one.size)),
            rows=tuple(one.rows.tolist()),
            gain=best.get(mine, 0.0),
            confidence=weight.get(mine, 0.0) / max(sum(weight.values()), 1e-12),
            alike=tuple(
                (self.table.components[component], self.classes(component).conditions[place])
                for _, component, place in sorted(names.get(mine, ()))
                if (component, place) != (one.component, one.class_number)
            ),
        )
