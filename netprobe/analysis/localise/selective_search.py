"""The search for the hypotheses that explain one batch of counts, and how sure each of them is.

Rules: what one hypothesis gains depends on the others, so each is found again with the others held. Bursts
are taken for frequent until the large faults are explained; what is left then shows how frequent they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Generic, NamedTuple

import numpy as np

from netprobe.analysis.localise.class_scores import MODES, NEVER, ClassScores, score_class, score_classes
from netprobe.analysis.localise.confidence import confidence_of
from netprobe.analysis.localise.evidence import L
from netprobe.analysis.localise.likelihood import MAX_RATE
from netprobe.analysis.localise.loss_modes import MIXTURES, Gains, LossMode, refine_rate, tabulate
from netprobe.analysis.localise.traffic_classes import TrafficClasses
from netprobe.model.arrays import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from netprobe.analysis.localise.selective import SelectiveLocaliser

_BACKGROUND = 1e-4
"""Loss of a healthy component."""
_CLOSE = 1e-7
"""Gains nearer than this are equal; the first one wins."""
_FAR = 12.0
"""Nats below the best alternative at which one has no say in the confidence."""
_ROUNDS = 3
_DEAD_SHARE = 0.9
"""A row that lost this share is one of the dead ones of a mixture."""
_MOST_PARTS = 3
"""So many classes may together be what reads as one mixture."""
_MANY_BURSTS, _FEW_BURSTS = 1e-2, 1e-4
"""Most and least probable that a row has a burst of its own."""
_FORGIVEN = 2
"""Rows that lost by themselves and are no sign of bursts: a fault of two rows looks like that."""


class SelectiveCandidate(NamedTuple):
    """A hypothesis that could be accepted."""

    net: float
    component: int
    first: int
    second: int
    """Two classes of the component; the hypothesis is about what they share."""
    mode: LossMode
    size: float
    """Rate (dead, rate) or share (hash, split)."""


class Accepted(NamedTuple):
    """A hypothesis that is held."""

    component: int
    first: int
    second: int
    mode: LossMode
    size: float
    rows: IntArray
    added: FloatArray
    """To the rate of each of *rows*."""

    @property
    def identity(self) -> tuple[int, int, int, LossMode]:
        """What it says, without how much is lost."""
        return self.component, self.first, self.second, self.mode


class Posterior(NamedTuple):
    """How sure a hypothesis is among all that could stand in its place."""

    net: float
    confidence: float
    names: tuple[tuple[int, int, int], ...]
    """Component and classes of each name of its rows, the cheapest first."""


@dataclass(eq=False)
class SelectiveSearch(Generic[L]):
    """The working set of hypotheses for one batch."""

    settings: SelectiveLocaliser[L]
    sent: IntArray
    lost: IntArray
    accepted: list[Accepted] = field(default_factory=list)
    burst: float = _MANY_BURSTS
    """Probability that a row has a burst of its own."""

    def __post_init__(self) -> None:
        table = self.settings.table
        self.table = table
        self.measured: BoolArray = self.sent > 0
        self.is_hit: BoolArray = self.lost > 0
        self.part_price = float(np.log(max(len(table.components), 2)))
        self.quiet = self.base_of(())
        self.unexplained = self._tabulate(np.arange(table.rows), self.quiet)

    def run(self) -> None:
        """Accept what gains enough, then find each again with the others held; twice, see `burst`."""
        self.extend()
        burst = self.estimate_bursts()
        if burst < self.burst:
            self.burst = burst
            self.unexplained = self._tabulate(np.arange(self.table.rows), self.quiet)
            self.swap()
            self.extend()

    def extend(self) -> None:
        """Accept further hypotheses until none gains enough.

        It ends when a set of hypotheses comes again: one that is accepted may leave another without gain.
        """
        seen: set[frozenset[tuple[int, int, int, LossMode]]] = set()
        while len(self.accepted) < self.settings.most:
            now = frozenset(one.identity for one in self.accepted)
            if now in seen:
                break
            seen.add(now)
            best = self.find_best(self.accepted)
            if best is None:
                break
            self.accepted += self.split_up(self.accepted, best)
            self.swap()

    def swap(self) -> None:
        """Find each hypothesis again with the others held, and one for two, until nothing moves."""
        for _ in range(_ROUNDS):
            if not self.swap_once() and not self.join_once():
                break

    def join_once(self) -> bool:
        """Replace two hypotheses about one component by one that gains as much; whether any was."""
        for one, other in combinations(self.accepted, 2):
            if one.component != other.component:
                continue
            others = [each for each in self.accepted if each is not one and each is not other]
            best = self.find_best(others)
            if best is None:
                continue
            together = self.net_of(one, others) + self.net_of(other, [*others, one])
            if best.net > together + _CLOSE and best.component == one.component:
                self.accepted = [*others, self.accept(best, others)]
                return True
        return False

    def net_of(self, one: Accepted, others: Sequence[Accepted]) -> float:
        """What a hypothesis gains beside *others*."""
        _, gains = self.tabulate(others)
        price = self.price_of(one.component, {each.component for each in others})
        nets = score_class(self.classes(one.component), gains, one.first, one.second, price=price)
        return float(nets[MODES.index(one.mode)])

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

    def base_of(self, accepted: Sequence[Accepted]) -> FloatArray:
        """By row the rate that *accepted* explain; what is dead is not explained twice."""
        base = self.table.length * _BACKGROUND
        for one in accepted:
            base[one.rows] += one.added
        capped: FloatArray = np.minimum(base, MAX_RATE)
        return capped

    def estimate_bursts(self) -> float:
        """Probability of a burst, by the rows that lost more than chance and that nothing explains."""
        expected = self.sent * -np.expm1(-self.quiet)
        is_odd = np.zeros(len(self.lost), np.bool_)
        hit = np.flatnonzero(self.is_hit)
        lost, chance = self.lost[hit], expected[hit]
        # Chernoff's bound of a Poisson tail: among all rows less than one loses so many by chance.
        is_odd[hit] = lost * (np.log(lost / chance) - 1) + chance > np.log(max(self.measured.sum(), 2))
        for one in self.accepted:
            is_odd[one.rows] = False
        share = (int(is_odd.sum()) - _FORGIVEN) / max(int(self.measured.sum()), 1)
        return float(np.clip(share, _FEW_BURSTS, _MANY_BURSTS))

    def tabulate(self, accepted: Sequence[Accepted]) -> tuple[FloatArray, Gains]:
        """The base of *accepted* and the gains over it; only rows that they touch are reckoned again."""
        base = self.base_of(accepted)
        touched = np.flatnonzero(base != self.quiet)
        if not len(touched):
            return base, self.unexplained
        return base, self.unexplained.with_rows(touched, self._tabulate(touched, base))

    def _tabulate(self, rows: IntArray, base: FloatArray) -> Gains:
        kept = self.table.kept[rows]
        return tabulate(self.sent[rows], self.lost[rows], base[rows], kept, burst=self.burst)

    def find_suspects(
        self, accepted: Sequence[Accepted], base: FloatArray, gains: Gains
    ) -> list[tuple[int, float]]:
        """Components with the most that any class of each could gain, the largest first.

        A class takes some of a component's rows, so the sum of what each row could gain at best bounds it.
        """
        expected = self.sent * -np.expm1(-base)
        is_bad = self.is_hit & (self.lost > 3 * expected + 0.5)
        found = np.unique(self.table.component[is_bad[self.table.row]])
        sums = np.bincount(self.table.component, gains.most[self.table.row], len(self.table.components))
        paid = {one.component for one in accepted}
        bounds = [(float(sums[part]) - self.price_of(part, paid), part) for part in found.tolist()]
        return [(part, bound) for bound, part in sorted(bounds, key=lambda one: (-one[0], one[1]))]

    def price_of(self, component: int, paid: Collection[int]) -> float:
        """A part costs what it takes to name it; a further class of one that is named costs little."""
        return float(np.log(2)) if component in paid else self.part_price

    def score(
        self, component: int, gains: Gains, paid: Collection[int], *, least: float, behind: float = 0.0
    ) -> ClassScores:
        """The classes of *component* with what each gains, see `score_classes`."""
        return score_classes(
            self.classes(component),
            gains,
            price=self.price_of(component, paid),
            least=least,
            behind=behind,
        )

    def find_best(
        self, accepted: Sequence[Accepted], *, without: int | None = None
    ) -> SelectiveCandidate | None:
        """The hypothesis that gains most beside *accepted*; None where none gains the margin.

        *without*: mixtures of this component are left out, and mode ``split`` of every one.
        """
        (base, gains), paid = self.tabulate(accepted), {one.component for one in accepted}
        best: SelectiveCandidate | None = None
        for component, bound in self.find_suspects(accepted, base, gains):
            least = best.net if best else self.settings.margin
            if bound < least:
                break
            scores = self.score(component, gains, paid, least=least)
            net = scores.net.copy()
            if without is not None:
                net[MODES.index(LossMode.SPLIT)] = NEVER
                if component == without:
                    net[MODES.index(LossMode.HASH)] = NEVER
            mode, place = np.unravel_index(int(net.argmax()), net.shape)
            if net[mode, place] >= self.settings.margin and (
                best is None or net[mode, place] > best.net + _CLOSE
            ):
                best = _candidate(component, scores, int(mode), int(place))
        return best

    def accept(self, candidate: SelectiveCandidate, others: Sequence[Accepted]) -> Accepted:
        """*candidate* beside *others*, with what it adds to the rate of its rows."""
        classes = self.classes(candidate.component)
        rows = classes.rows[classes.mask_of(candidate.first, candidate.second)]
        size = candidate.size
        if candidate.mode is LossMode.RATE:
            size = refine_rate(self.sent[rows], self.lost[rows], self.base_of(others)[rows], size)
        added = np.full(len(rows), size)
        if candidate.mode in MIXTURES:
            is_dead = self.lost[rows] >= _DEAD_SHARE * self.sent[rows]
            kept, is_all_or_none = self.table.kept[rows], is_dead | (self.lost[rows] == 0)
            is_flow = (kept == 1) | ((kept > 0) & is_all_or_none) | (candidate.mode is LossMode.SPLIT)
            added = np.where(is_flow, np.where(is_dead, MAX_RATE, 0.0), -np.log1p(-size))
        return Accepted(
            candidate.component, candidate.first, candidate.second, candidate.mode, size, rows, added
        )

    def split_up(self, others: Sequence[Accepted], found: SelectiveCandidate) -> list[Accepted]:
        """*found*, or what explains more than one mixture: dead classes of its part, or faults of any."""
        whole = [self.accept(found, others)]
        if found.mode is LossMode.DEAD:
            return whole
        best, most = whole, found.net
        for find in (self._find_dead_classes, self._find_dead_and_rest, self._find_others):
            net, parts = find(others, found)
            if len(parts) > 1 and net > most:
                best, most = parts, net
        return best

    def _find_dead_classes(
        self, others: Sequence[Accepted], found: SelectiveCandidate
    ) -> tuple[float, list[Accepted]]:
        """Two or three dead classes of the part of *found*, and what they gain together."""
        component, parts = found.component, list[Accepted]()
        is_named = component in {one.component for one in others}
        total = float(np.log(2)) - (0.0 if is_named else self.part_price)
        while len(parts) < _MOST_PARTS:
            _, gains = self.tabulate([*others, *parts])
            scores = self.score(component, gains, {component}, least=self.settings.margin, behind=np.inf)
            place = int(scores.net[0].argmax())
            if scores.net[0, place] < self.settings.margin:
                break
            total += float(scores.net[0, place])
            parts.append(self.accept(_candidate(component, scores, 0, place), [*others, *parts]))
        return total, parts

    def _find_dead_and_rest(
        self, others: Sequence[Accepted], found: SelectiveCandidate
    ) -> tuple[float, list[Accepted]]:
        """The best dead class of the part of *found*, what then gains most, and the gain of both."""
        _, gains = self.tabulate(others)
        paid = {one.component for one in others}
        scores = self.score(found.component, gains, paid, least=self.settings.margin, behind=np.inf)
        place = int(scores.net[0].argmax())
        if scores.net[0, place] < self.settings.margin:
            return 0.0, []
        parts = [self.accept(_candidate(found.component, scores, 0, place), others)]
        best = self.find_best([*others, *parts])
        if best is None:
            return 0.0, parts
        return float(scores.net[0, place]) + best.net, [*parts, self.accept(best, [*others, *parts])]

    def _find_others(
        self, others: Sequence[Accepted], found: SelectiveCandidate
    ) -> tuple[float, list[Accepted]]:
        """What two or three hypotheses gain together where the mixture *found* is not allowed."""
        parts, total = list[Accepted](), 0.0
        if found.mode not in MIXTURES:
            return total, parts
        while len(parts) < _MOST_PARTS:
            best = self.find_best([*others, *parts], without=found.component)
            if best is None:
                break
            total += best.net
            parts.append(self.accept(best, [*others, *parts]))
        return total, parts

    def weigh(self, number: int) -> Posterior:
        """How sure an accepted hypothesis is: its weight among all that could stand in its place, or none.

        Hypotheses of the same rows and mode are one. That nothing is broken there weighs what the margin is.
        """
        one = self.accepted[number]
        others = self.accepted[:number] + self.accepted[number + 1 :]
        (base, gains), paid = self.tabulate(others), {other.component for other in others}
        names: dict[tuple[int, LossMode], dict[int, tuple[float, int, int]]] = {}
        top = self.settings.margin
        for component, bound in self.find_suspects(others, base, gains):
            if bound < top - _FAR:
                break
            scores = self.score(component, gains, paid, least=top - _FAR, behind=_FAR)
            classes, top = self.classes(component), max(top, float(scores.net.max()))
            for mode, place in np.argwhere(scores.net > top - _FAR).tolist():
                first, second = int(scores.first[place]), int(scores.second[place])
                name = float(scores.net[mode, place]), first, second
                here = names.setdefault((classes.key_of(first, second), MODES[mode]), {})
                here[component] = max(here.get(component, name), name, key=lambda each: each[0])
        mine = self.classes(one.component).key_of(one.first, one.second), one.mode
        own = sorted((-net, c, first, second) for c, (net, first, second) in names.pop(mine, {}).items())
        others_net = [max(name[0] for name in here.values()) for here in names.values()]
        against = float(np.logaddexp.reduce([self.settings.margin, *others_net]))
        net = -own[0][0] if own else NEVER
        return Posterior(
            net=max(net, 0.0),
            confidence=confidence_of(net - against),
            names=tuple((c, first, second) for _, c, first, second in own),
        )


def _candidate(component: int, scores: ClassScores, mode: int, place: int) -> SelectiveCandidate:
    return SelectiveCandidate(
        float(scores.net[mode, place]),
        component,
        int(scores.first[place]),
        int(scores.second[place]),
        MODES[mode],
        float(scores.size[mode, place]),
    )
