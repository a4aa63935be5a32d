"""Localises packet loss: dead parts by set cover, lossy ones by likelihood, grouped into hypotheses.

Rules: a dead part is localised within one interval; one good row acquits everything it crossed. A lossy part
needs several intervals, because a part that has just died looks lossy in the interval in which it dies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, build_hypothesis
from netprobe.analysis.diagnosis.loss_rows import TRAFFIC_OF, LossRows, without_plane
from netprobe.analysis.diagnosis.overlay_twins import find_overlay_twins
from netprobe.analysis.diagnosis.symptom import (
    Answer,
    Symptom,
    TrafficClass,
    count_directions,
)
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.localise.evidence import Observations
from netprobe.analysis.localise.greedy_lr import GreedyLikelihood
from netprobe.analysis.localise.interface import Suspect
from netprobe.analysis.localise.set_cover import SetCover
from netprobe.analysis.localise.verdict import too_few
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.arrays import BoolArray, IntArray
from netprobe.model.component import Component, ComponentKind
from netprobe.model.finding import Evidence
from netprobe.model.prose import Prose

SET_COVER = SetCover(bad_share=0.999, good_share=0.0)
_LOSSY = GreedyLikelihood(threshold=10.0, healthy_bound=1e-3, background=1e-4)
_LOSSY_INTERVALS = 2
_LOSSY_PATIENCE = 6
"""Intervals that loss outside tunnels must last: busy hosts drop packets now and then."""
_MIRROR_SHARE = 0.2
_DOUBTFUL = 0.5
"""The most that is believed of a lossy part beside an equal one, or against rows that lost too little."""
_CONTRADICTED, _BY_CHANCE = 2, 0.05
"""So many rows, and this share of them, may lose too little by chance."""
_STEADY_SHARE = 0.5
_LEAST_CHECKS = 4
_LEAST_LOSS = 0.02
_MIXTURE_Z = 3.0
"""Standard deviations; reached by none of 94 plain losses, and by each of 191 dead classes."""
_PREFERRED = (
    ComponentKind.TUNNEL,
    ComponentKind.OVERLAY,
    ComponentKind.FIREWALL_RULE,
    ComponentKind.GATEWAY_OUT,
    ComponentKind.GATEWAY_IN,
    ComponentKind.NODE_OUT,
    ComponentKind.NODE_IN,
    ComponentKind.POD_OUT,
    ComponentKind.POD_IN,
    ComponentKind.UNDERLAY,
)


@dataclass(frozen=True, slots=True)
class LossSuspect:
    """A suspected component, as the plan names it."""

    part: Component
    alike: tuple[Component, ...]
    checks: frozenset[int]
    loss: float
    is_solid: bool
    crossing: frozenset[int] = frozenset()
    """The checks that surely cross it and were measured."""
    rivals: tuple[Component, ...] = ()
    """Other parts that explain the loss nearly as well."""
    share: float = 1.0
    """Its weight among them, 0–1."""
    is_contradicted: bool = False
    """Whether more rows that cross it lost too little than chance explains."""


class PacketLossDetector:
    """The matrices of one plan, built once."""

    def __init__(self, index: PlanIndex) -> None:
        self.index = index
        self.rows = {traffic: LossRows(index, (traffic,)) for traffic in TrafficClass}

    def find_dead(
        self, observation: IntervalObservation, traffic: TrafficClass, *, without: Collection[int]
    ) -> tuple[LossSuspect, ...]:
        """The parts that no packet passed in this interval."""
        rows = self.rows[traffic]
        return self.cover(rows, rows.observe((observation,), without=without))

    def cover(self, rows: LossRows, every: Observations[Component]) -> tuple[LossSuspect, ...]:
        """The fewest parts that only rows cross which lost everything, and that explain all of these."""
        candidates = find_unacquitted(every)
        if not len(candidates):
            return ()
        near, number = every.around(candidates, alone=True)
        suspects = SET_COVER.localise(near).suspects
        return tuple(self._blame(rows, suspect, every, number) for suspect in suspects)

    def find_lossy(
        self,
        observations: Collection[IntervalObservation],
        traffic: TrafficClass,
        *,
        without: Collection[int],
    ) -> tuple[LossSuspect, ...]:
        """The parts that lost some of what crossed them, over several intervals."""
        rows = self.rows[traffic]
        every = rows.observe(observations, without=without)
        candidates = every.matrix.components_on(np.flatnonzero(every.lost))
        if not _is_any_lossy(every, candidates):
            return ()
        near, number = every.around(candidates)
        suspects = _LOSSY.localise(near).suspects
        return tuple(
            self._beside_twins(rows, self._blame(rows, suspect, every, number), every) for suspect in suspects
        )

    def _beside_twins(
        self, rows: LossRows, blamed: LossSuspect, every: Observations[Component]
    ) -> LossSuspect:
        twins = find_overlay_twins(rows, blamed.part, every)
        return replace(
            blamed,
            is_solid=not self._is_mirrored(rows, blamed, every),
            rivals=tuple(dict.fromkeys((*blamed.rivals, *twins))),
            share=min(blamed.share, _DOUBTFUL) if twins or blamed.is_contradicted else blamed.share,
        )

    def decide(
        self,
        suspects: Iterable[LossSuspect],
        longer: Collection[IntervalObservation],
        *,
        without: Collection[int],
    ) -> tuple[LossSuspect, ...]:
        """For each of *suspects* what more intervals speak for: it, or a rival of it."""
        again = {one.part: one for one in self.find_lossy(longer, TrafficClass.MAIN, without=without)}

        def better(one: LossSuspect) -> LossSuspect:
            found = [again[part] for part in (one.part, *one.rivals) if part in again]
            return max(found, key=lambda each: each.share) if found else one

        return tuple(dict.fromkeys(map(better, suspects)))

    @staticmethod
    def _is_mirrored(rows: LossRows, blamed: LossSuspect, every: Observations[Component]) -> bool:
        """Whether the other direction loses too, though too little yet to accuse it."""
        part = blamed.part
        other = rows.matrix.number_of.get(part.reverse())
        if other is None:
            return False
        crossed, _ = rows.matrix.rows_crossing(np.array([other]), surely=True)
        told = crossed[rows.is_one_way(crossed)]
        lost, sent = int(every.lost[told].sum()), int(every.sent[told].sum())
        return lost > _MIRROR_SHARE * blamed.loss * max(1, sent)

    @staticmethod
    def _blame(
        rows: LossRows, suspect: Suspect[Component], every: Observations[Component], number: IntArray
    ) -> LossSuspect:
        """A suspect found in the rows whose *number* is given."""
        ranked = sorted(suspect.components, key=rank)
        crossed, _ = rows.matrix.rows_crossing(np.array([rows.matrix.number_of[ranked[0]]]))
        sure, _ = rows.matrix.rows_crossing(np.array([rows.matrix.number_of[ranked[0]]]), surely=True)
        used = crossed[(every.sent[crossed] > 0) & ((every.lost[crossed] > 0) | np.isin(crossed, sure))]
        dead = int(np.count_nonzero(every.lost[used] == every.sent[used]))
        checks = frozenset(rows.check_of(row) for row in number[list(suspect.supporting)].tolist())
        alike = tuple(dict.fromkeys(map(without_plane, ranked[1:])))
        crossing = frozenset(rows.check_of(row) for row in sure[every.sent[sure] > 0].tolist())
        return LossSuspect(
            without_plane(ranked[0]), alike, checks, suspect.loss, dead >= 0.9 * len(used), crossing,
            tuple(dict.fromkeys(map(without_plane, suspect.rivals))), suspect.share,
            len(suspect.contradicting) > _CONTRADICTED + _BY_CHANCE * len(used),
        )  # fmt: skip


def find_unacquitted(every: Observations[Component]) -> IntArray:
    """What a dead row crosses and no good one."""
    dead = np.flatnonzero((every.sent > 0) & (every.lost >= SET_COVER.bad_share * every.sent))
    candidates = every.matrix.components_on(dead)
    rows, crossed = every.matrix.rows_crossing(candidates, surely=True)
    acquitted = crossed[(every.sent[rows] > 0) & (every.lost[rows] == 0)]
    left = candidates[~np.isin(candidates, acquitted)]
    return left[~_would_kill_more(every, left)] if every.matrix.has_path_sets else left


def _would_kill_more(every: Observations[Component], candidates: IntArray) -> BoolArray:
    """Which of *candidates* too few flows died for: each that may cross a dead part does so by its share."""
    matrix = every.matrix
    size = len(matrix.components)
    rows, crossed, share = matrix.rows_that_may_cross(candidates)
    told = (share < 1) & (every.sent[rows] > 0)
    crossed, rows, share = crossed[told], rows[told], share[told]
    flows = np.bincount(crossed, minlength=size)
    dead = np.bincount(crossed, every.lost[rows] == every.sent[rows], minlength=size).astype(np.int64)
    expected = np.bincount(crossed, share, minlength=size) / np.maximum(flows, 1)
    return too_few(flows, dead, expected)[candidates] & (flows[candidates] > 0)


def _is_any_lossy(every: Observations[Component], candidates: IntArray) -> bool:
    """Whether a component may pass `_is_lossy` at all; most intervals end here.

    Its estimated loss is at most what would be blamed on it if nothing else lost a packet.
    """
    rows, crossed = every.matrix.rows_crossing(candidates)
    size = len(every.matrix.components)
    lost = np.bincount(crossed, weights=every.lost[rows], minlength=size)
    sure, surely_crossed = every.matrix.rows_crossing(candidates, surely=True)
    sent = np.bincount(surely_crossed, weights=every.sent[sure], minlength=size)
    lossy = every.lost[rows] > 0
    pairs = np.unique(crossed[lossy] * every.matrix.rows + rows[lossy] // 3) // every.matrix.rows
    checks = np.bincount(pairs, minlength=size)
    return bool(np.any((checks >= _LEAST_CHECKS) & (lost >= 0.9 * _LEAST_LOSS * sent)))


def rank(part: Component) -> tuple[int, Component]:
    """Which of parts that nothing tells apart is named first."""
    return (_PREFERRED.index(part.kind) if part.kind in _PREFERRED else len(_PREFERRED), part)


def without_explained(blamed: list[LossSuspect]) -> list[LossSuspect]:
    """Without those that another one explains."""
    behind = find_behind({one.part for one in blamed})
    return [one for one in blamed if one.part not in behind]


def find_behind(parts: Collection[Component]) -> frozenset[Component]:
    """Of dead *parts* those that others explain: routes over a dead overlay, ways beneath a dead link."""
    tunnels = {p.ends for p in parts if p.kind is ComponentKind.TUNNEL}
    cut_off = {p.cluster for p in parts if p.kind in {ComponentKind.GATEWAY_OUT, ComponentKind.GATEWAY_IN}}

    def is_behind(part: Component) -> bool:
        if part.kind is ComponentKind.OVERLAY and part.detail:
            return part.without_detail() in parts
        is_beneath = part.ends in tunnels or not cut_off.isdisjoint(part.clusters)
        return part.kind is ComponentKind.UNDERLAY and is_beneath

    return frozenset(filter(is_behind, parts))


def group_key(part: Component) -> tuple[object, ...]:
    """What both directions of one part, or both planes of one port, have in common."""
    match part.kind:
        case ComponentKind.TUNNEL | ComponentKind.UNDERLAY:
            return (part.kind, part.ends, part.detail)
        case ComponentKind.OVERLAY if not part.detail:
            return (part.kind, part.ends)
        case ComponentKind.NODE_IN | ComponentKind.NODE_OUT:
            return ("node", part.source)
        case ComponentKind.POD_IN | ComponentKind.POD_OUT:
            return ("pod", part.source)
        case ComponentKind.GATEWAY_IN | ComponentKind.GATEWAY_OUT:
            return ("gateway", part.source)
        case _:
            return (part,)


def crossing_of(
    index: PlanIndex, parts: Iterable[Component], traffic: TrafficClass = TrafficClass.MAIN
) -> frozenset[int]:
    """The checks whose packets of this class cross one of *parts*."""
    crossing: set[int] = set()
    for part in parts:
        crossing |= index.crossing.get(part, frozenset())
    if traffic is not TrafficClass.MAIN:
        crossing = {number for number in crossing if TRAFFIC_OF.get(index.checks[number].aspect) is traffic}
    return frozenset(crossing)


def group_lossy(
    observations: Sequence[IntervalObservation], index: PlanIndex, blamed: Iterable[LossSuspect]
) -> tuple[Hypothesis, ...]:
    """Lossy suspects, both directions of one thing together."""
    groups: dict[tuple[object, ...], list[LossSuspect]] = defaultdict(list)
    for one in blamed:
        if _is_lossy(observations, one):
            groups[group_key(one.part)].append(one)
    return tuple(_build_lossy_hypothesis(observations, index, group) for group in groups.values())


def _is_lossy(observations: Sequence[IntervalObservation], one: LossSuspect) -> bool:
    """Enough checks, in every interval, and neither next to nothing nor next to everything."""
    in_every = all(
        sum(observation.is_troubled(number) for number in one.checks) >= 2 for observation in observations
    )
    is_rate = len(one.checks) >= _LEAST_CHECKS and _LEAST_LOSS <= one.loss <= 0.8
    return in_every and is_rate and not _is_mixture(observations, one)


def _is_mixture(observations: Sequence[IntervalObservation], one: LossSuspect) -> bool:
    """Whether checks lose all or nothing, where one rate would spread its losses over all of them."""
    asked = np.sum([each.seen.asked for each in observations], axis=0)
    reached = np.sum([each.seen.reached for each in observations], axis=0)
    numbers = np.array(sorted(one.crossing), np.int64)
    return is_overdispersed(asked[numbers], (asked - reached)[numbers])


def is_overdispersed(sent: IntArray, lost: IntArray) -> bool:
    """Whether losses spread wider over checks than one rate explains: flows live or die, or classes do.

    Tarone's Z against a binomial (Tarone, Biometrika 66, 1979); *sent* and *lost* by check or row.
    """
    told = sent > 1
    tried, missed = sent[told].astype(float), lost[told].astype(float)
    rate = missed.sum() / max(tried.sum(), 1)
    if not 0 < rate < 1:
        return False
    spread = float(((missed - tried * rate) ** 2).sum() / (rate * (1 - rate)) - tried.sum())
    return spread > _MIXTURE_Z * float(np.sqrt(2 * (tried * (tried - 1)).sum()))


def _is_steady(observations: Sequence[IntervalObservation], core: Iterable[int]) -> bool:
    """Whether the share lost is steady: a part that dies for good loses little at first, then all."""
    shares = []
    for observation in observations:
        seen = [observation.seen[number] for number in core if number in observation.seen]
        asked = sum(one.asked for one in seen)
        shares.append((asked - sum(one.reached for one in seen)) / max(1, asked))
    return min(shares) >= _STEADY_SHARE * max(shares)


def _build_lossy_hypothesis(
    observations: Sequence[IntervalObservation], index: PlanIndex, group: list[LossSuspect]
) -> Hypothesis:
    parts = sorted({one.part for one in group})
    core = frozenset[int]().union(*(one.checks for one in group))
    loss = sum(one.loss for one in group) / len(group)
    ids = index.ids(core)
    is_link = parts[0].kind is ComponentKind.TUNNEL
    return build_hypothesis(
        Symptom(parts[0].kind, directions=count_directions(len(parts)), answer=Answer.LOSSY),
        parts,
        core=core,
        explained=crossing_of(index, parts),
        words={"loss": f"{100 * loss:.0f} %"},
        evidence=(
            Evidence(Prose(f"{len(core)} checks that cross it lose some of their probes, others none"), ids),
        ),
        loss=loss,
        is_solid=_is_steady(observations, core) and (len(group) > 1 or group[0].is_solid),
        indistinguishable=tuple(dict.fromkeys(part for one in group for part in (*one.alike, *one.rivals))),
        patience=_LOSSY_INTERVALS if is_link else _LOSSY_PATIENCE,
        certainty=min(one.share for one in group),
    )
