"""Opens, keeps and closes findings, from the explanations of single intervals.

Rules: a hypothesis becomes a finding when the interval before supports it (its trouble lies within what the
present explanations cover) and nothing else of its kind is unexplained. So the interval in which something
breaks or heals never decides alone. While a finding is open it owns the checks it explains.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace

from netprobe.analysis.diagnosis.hypothesis import (
    Explanation,
    Hypothesis,
    Key,
    rename,
)
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import Aspect, PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.model.component import Component
from netprobe.model.finding import Cause, Evidence, Finding
from netprobe.model.names import CheckId, NodeId
from netprobe.model.prose import Prose

_QUIET_INTERVALS = 2
"""Intervals without support after which a finding has ended."""
_MORPH_INTERVALS = 4
"""Intervals in which another explanation must fit better before it takes a finding's place."""
_PAST = 500
_STRAY = 2
"""Troubled checks that may stay unexplained in the interval before: a packet gets lost now and then."""
_STRAY_SHARE = 1e-3
"""The same in a large fleet, as a share of all checks that are looked at: what chance alone spoils."""
_BY_KEY = {Cause.SNAT, Cause.WRONG_PEER, Cause.TUNNEL_SLOW, Cause.AGENT_CUT_OFF}
"""Causes that show on packets that arrive: their support is the explanation itself."""
_OWN_NOTHING = {Cause.TUNNEL_SLOW, Cause.AGENT_CUT_OFF}
"""Causes under which packets arrive: what fails beside them fails for another reason."""
_LOSSY_QUIET = 3
_FLAPS = 2
_FLAP_INTERVALS = 60
"""A finding that ended so often within so many intervals and comes again is flapping."""
_FLAP_QUIET = 30
"""Intervals without support after which a flapping finding has ended."""


@dataclass(slots=True)
class OpenFinding:
    """An open finding and what it rests on."""

    hypothesis: Hypothesis
    finding: Finding
    quiet: int = 0
    outdone: int = 0
    is_flapping: bool = False
    """Whether it came and went before: then it stays open until it has been quiet for long."""
    failed: set[int] = field(default_factory=set)
    """Explained checks that failed at some time while it was open: whom it hit.

    More than those that led to it: a check with large packets or over IPv6 accuses no part where ordinary
    packets fail as well, and is hit all the same.
    """

    def note(self, observation: IntervalObservation, index: PlanIndex) -> None:
        """Take in whom it hits in one interval."""
        hit = self.hypothesis.core
        if self.hypothesis.cause is not Cause.TUNNEL_SLOW:  # what is late is not lost
            hit |= self.hypothesis.explained & observation.troubled
        if not self.failed.issuperset(hit):
            self.failed |= hit
            self.finding = replace(self.finding, affected=index.ids(self.failed))


@dataclass(frozen=True, slots=True)
class PreviousInterval:
    """What the interval before left over."""

    trouble: frozenset[int] = frozenset()
    """Failing checks that counted as evidence and did not fail only beside others."""


class FindingLifecycle:
    """Open and past findings."""

    def __init__(self, index: PlanIndex) -> None:
        self._index = index
        self._open: dict[Key, OpenFinding] = {}
        self._past: deque[Finding] = deque(maxlen=_PAST)
        self._streak: Counter[Key] = Counter()
        self._before = PreviousInterval()
        self._interval = 0
        self._ends: dict[Key, deque[int]] = {}
        """When findings ended lately, in intervals."""

    @property
    def open(self) -> tuple[Finding, ...]:
        """Most certain first."""
        found = (case.finding for case in self._open.values())
        return tuple(
            sorted(found, key=lambda finding: (-finding.confidence, finding.first_seen_ns, finding.id))
        )

    @property
    def past(self) -> tuple[Finding, ...]:
        """Ended findings, newest first."""
        return tuple(reversed(self._past))

    @property
    def owned(self) -> frozenset[int]:
        """The checks that open findings explain."""
        cases = (case for case in self._open.values() if case.hypothesis.cause not in _OWN_NOTHING)
        return frozenset[int]().union(*(case.hypothesis.explained for case in cases))

    def update(
        self,
        observation: IntervalObservation,
        fresh: Explanation,
        whole: Explanation,
        *,
        trouble: frozenset[int],
        now_ns: int,
    ) -> frozenset[int]:
        """Take in one interval; return the checks of findings that ended, which now deserve patience.

        *fresh* explains what open findings do not own, *whole* explains everything; *trouble* are the failing
        checks that count.
        """
        self._interval += 1
        healing = self._support(observation, whole, now_ns=now_ns)
        self._count(fresh)
        for hypothesis in fresh.hypotheses:
            if hypothesis.key not in self._open and self._may_open(hypothesis, observation, fresh):
                self._begin(hypothesis, observation, now_ns=now_ns)
        self._before = PreviousInterval(trouble - fresh.excused)
        return healing

    def _count(self, fresh: Explanation) -> None:
        self._streak = Counter({h.key: self._streak[h.key] + 1 for h in fresh.hypotheses if h.is_solid})

    def replan(self, migration: PlanMigration, *, now_ns: int) -> None:
        """Go on with the next plan: findings last while their parts exist, and own what now crosses them."""
        self._index = migration.after
        self._before = PreviousInterval(migration.numbers(self._before.trouble))
        for key, case in list(self._open.items()):
            if all(migration.exists(part) for part in case.hypothesis.components):
                _carry_case(case, migration)
            else:
                self._end(key, now_ns=now_ns)

    def narrow(self, identity: str, left: tuple[Component, ...], told: tuple[str, ...]) -> bool:
        """Further checks left only *left* of what a finding could not tell apart; *told* is what they said.

        False where there is no such finding any more.
        """
        case = next((case for case in self._open.values() if case.finding.id == identity), None)
        if case is None or not left:
            return False
        is_gateway = left[0].node in self._index.gateways
        named = rename(case.hypothesis, left[0], is_gateway=is_gateway)
        case.finding = replace(
            case.finding,
            components=named.components,
            cause=named.cause,
            confidence=named.row.confidence,
            summary=Prose(named.summary),
            next_step=Prose(named.row.next_step),
            indistinguishable=left[1:],
            evidence_for=(*case.finding.evidence_for, *(Evidence(Prose(each)) for each in told)),
        )
        return True

    # --- opening ------------------------------------------------------------------------------

    def _may_open(self, hypothesis: Hypothesis, observation: IntervalObservation, fresh: Explanation) -> bool:
        if not hypothesis.is_solid or not self._is_settled(hypothesis, observation, fresh):
            return False
        if self._streak[hypothesis.key] >= hypothesis.patience:
            return True
        return hypothesis.patience <= 2 and self._is_vouched_for(hypothesis, observation, fresh)

    def _is_settled(
        self, hypothesis: Hypothesis, observation: IntervalObservation, fresh: Explanation
    ) -> bool:
        """Nothing of the same kind that may have the same cause is left unexplained in this interval."""
        aspects = {self._index.checks[number].aspect for number in hypothesis.core}
        left = {number for number in fresh.unexplained if self._index.checks[number].aspect in aspects}
        if not left:
            return True
        beside = self._find_beside(hypothesis.core) & observation.seen.keys()
        left &= beside
        if aspects == {Aspect.SERVICE}:  # needs an agent's whole attention, so hosts under load fail it first
            return len(left) <= len(hypothesis.core) // 2
        return len(left) <= min(_STRAY, len(hypothesis.core) // 20) + int(_STRAY_SHARE * len(beside))

    def _find_beside(self, core: frozenset[int]) -> frozenset[int]:
        """Checks that share with most of *core* a part they cross or a node they start or end on.

        If *core* fails for another reason than is supposed, it lies in what its checks have in common.
        """
        crossed: Counter[Component] = Counter()
        places: Counter[NodeId] = Counter()
        for number in core:
            check = self._index.checks[number]
            crossed.update({*check.legs.crossed})
            target = check.check.target.node
            places.update({check.source.node_id, *((target,) if target else ())})
        common = (self._index.crossing[part] for part, times in crossed.items() if 2 * times >= len(core))
        near = (self._index.at_node[place] for place, times in places.items() if 2 * times >= len(core))
        return frozenset[int]().union(*common, *near)

    def _is_vouched_for(
        self, hypothesis: Hypothesis, observation: IntervalObservation, fresh: Explanation
    ) -> bool:
        """The interval before was troubled here, and nowhere that is not explained now."""
        trouble = self._before.trouble
        if not trouble & hypothesis.explained:
            return False
        explained = frozenset[int]().union(*(h.explained for h in fresh.hypotheses))
        left = trouble - explained - self.owned - fresh.excused
        return len(left) <= _STRAY + int(_STRAY_SHARE * len(observation.seen))

    def _begin(self, hypothesis: Hypothesis, observation: IntervalObservation, *, now_ns: int) -> None:
        is_flapping = self._is_flapping(hypothesis.key)
        finding = Finding(
            id=_identify(hypothesis),
            components=hypothesis.components,
            cause=hypothesis.cause,
            confidence=hypothesis.confidence,
            summary=Prose(f"{hypothesis.summary}{' It comes and goes.' if is_flapping else ''}"),
            evidence_for=hypothesis.evidence,
            evidence_against=hypothesis.against,
            indistinguishable=hypothesis.indistinguishable,
            hidden=self._find_hidden(hypothesis, observation),
            first_seen_ns=now_ns,
            last_seen_ns=now_ns,
            loss=hypothesis.loss,
            next_step=Prose(hypothesis.row.next_step),
            traffic=hypothesis.traffic,
        )
        case = self._open[hypothesis.key] = OpenFinding(hypothesis, finding, is_flapping=is_flapping)
        case.note(observation, self._index)

    def _is_flapping(self, key: Key) -> bool:
        """Whether it ended several times lately: from now on it is reported once."""
        ends = self._ends.get(key, ())
        return sum(self._interval - end <= _FLAP_INTERVALS for end in ends) >= _FLAPS

    def _find_hidden(self, hypothesis: Hypothesis, observation: IntervalObservation) -> tuple[Component, ...]:
        """Parts that only explained checks cross: they cannot be measured now."""
        if hypothesis.row.note or hypothesis.loss is not None:
            return ()
        parts = {part for number in hypothesis.explained for part in self._index.checks[number].legs.crossed}
        return tuple(
            sorted(
                part
                for part in parts - set(hypothesis.components)
                if not any(self._proves(observation, number, part) for number in self._index.crossing[part])
            )
        )

    def _proves(self, observation: IntervalObservation, number: int, part: Component) -> bool:
        """Whether packets of a check passed a part: by an answer, or by a request that was counted there."""
        seen = observation.seen.get(number)
        if seen is None:
            return False
        legs = self._index.checks[number].legs
        if legs.is_one_of_several and part not in legs.surely_out | legs.surely_back:
            return False  # it may have taken another way
        return bool(seen.reached or (seen.arrived and part in legs.surely_out))

    # --- lasting and ending -------------------------------------------------------------------

    def _support(
        self, observation: IntervalObservation, whole: Explanation, *, now_ns: int
    ) -> frozenset[int]:
        healing: set[int] = set()
        for key, case in list(self._open.items()):
            state = self._is_supported(case, observation, whole)
            if state is None:
                continue
            case.quiet = 0 if state else case.quiet + 1
            if state:
                case.finding = replace(case.finding, last_seen_ns=now_ns)
                _raise_confidence(case, whole)
                case.note(observation, self._index)
            self._compare(case, whole)
            if case.outdone >= _MORPH_INTERVALS:
                self._end(key, now_ns=now_ns)
            elif case.quiet >= _quiet_frames(case):
                self._end(key, now_ns=now_ns)
                healing |= case.hypothesis.explained & observation.troubled | (
                    case.hypothesis.explained - observation.seen.keys()
                )
        return frozenset(healing)

    def _is_supported(
        self, case: OpenFinding, observation: IntervalObservation, whole: Explanation
    ) -> bool | None:
        """Whether the interval still shows it; None where it was not measured."""
        hypothesis = case.hypothesis
        if hypothesis.key in whole.keys:
            return True
        measured = [number for number in hypothesis.core if number in observation.seen]
        if not measured:
            return None
        if hypothesis.cause in _BY_KEY:
            return False
        share = sum(observation.is_troubled(number) for number in measured) / len(measured)
        return share >= (0.2 if hypothesis.loss is not None else 0.5)

    def _compare(self, case: OpenFinding, whole: Explanation) -> None:
        """Whether something else explains the same checks better by now."""
        hypothesis = case.hypothesis
        better = hypothesis.key not in whole.keys and any(
            other.is_solid
            and other.loss is None
            and len(other.core & hypothesis.core) >= 0.8 * len(hypothesis.core)
            for other in whole.hypotheses
        )
        case.outdone = case.outdone + 1 if better else 0

    def _end(self, key: Key, *, now_ns: int) -> None:
        case = self._open.pop(key)
        self._ends = {
            each: ends for each, ends in self._ends.items() if self._interval - ends[-1] <= _FLAP_INTERVALS
        }
        self._ends.setdefault(key, deque(maxlen=_FLAPS)).append(self._interval)
        self._past.append(replace(case.finding, ended_ns=now_ns))


def _identify(hypothesis: Hypothesis) -> str:
    """The identifier of its finding."""
    parts = "+".join(map(str, hypothesis.components))
    signs = (f"{one.attribute}{'=' if one.is_equal else '!='}{one.value}" for one in hypothesis.traffic)
    return ":".join((hypothesis.cause, parts, *((",".join(signs),) if hypothesis.traffic else ())))


def _raise_confidence(case: OpenFinding, whole: Explanation) -> None:
    """A finding that opened on one node's word is worth more once a second node says the same."""
    if not case.hypothesis.is_reported_by_one_node:
        return
    now = next((one for one in whole.hypotheses if one.key == case.hypothesis.key), None)
    if now is not None and not now.is_reported_by_one_node:
        case.hypothesis = now
        case.finding = replace(
            case.finding,
            confidence=now.confidence,
            evidence_for=now.evidence,
            evidence_against=now.against,
        )


def _carry_case(case: OpenFinding, migration: PlanMigration) -> None:
    """Where none of the checks beyond doubt goes on, those that cross the parts now have to show it."""
    old = case.hypothesis
    new = migration.touching(old.components, like=old.explained)
    explained = migration.numbers(old.explained) | new
    core = migration.numbers(old.core) or migration.touching(old.components, like=old.core) or explained
    case.hypothesis = replace(old, core=core, explained=explained)
    case.failed = {*migration.numbers(frozenset(case.failed)), *core}
    case.finding = replace(
        case.finding,
        affected=migration.after.ids(case.failed),
        evidence_for=_without(case.finding.evidence_for, migration.departed),
        evidence_against=_without(case.finding.evidence_against, migration.departed),
    )


def _without(told: tuple[Evidence, ...], departed: frozenset[CheckId]) -> tuple[Evidence, ...]:
    return tuple(
        replace(each, checks=tuple(check for check in each.checks if check not in departed)) for each in told
    )


def _quiet_frames(case: OpenFinding) -> int:
    """Intervals without support after which a finding has ended."""
    if case.is_flapping:
        return _FLAP_QUIET
    return _LOSSY_QUIET if case.hypothesis.loss is not None else _QUIET_INTERVALS
