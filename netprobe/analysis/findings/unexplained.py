"""Trouble that lasts and that no finding explains: a finding of its own, with what acquits which part.

Rule: a check counts once it was troubled without an open finding in `_LEAST` of the last `_WINDOW` intervals.
Checks are grouped by the part that most of them cross; a group keeps its part while most of it stays.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from netprobe.analysis.diagnosis.hypothesis import build_hypothesis
from netprobe.analysis.diagnosis.packet_loss import rank
from netprobe.analysis.diagnosis.symptom import Note, Symptom, part_kind
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.model.arrays import IntArray
from netprobe.model.component import Component
from netprobe.model.finding import Evidence, Finding
from netprobe.model.prose import Prose

_WINDOW, _LEAST = 12, 10
_QUIET = 3
_MOST_FINDINGS = 5
_MOST_ACQUITTED = 4
_PAST = 100


@dataclass(frozen=True, slots=True)
class _UnsaidChecks:
    finding: Finding
    checks: frozenset[int]
    quiet: int = 0


class UnexplainedLoss:
    """What has failed for long without a finding, now and earlier."""

    def __init__(self, index: PlanIndex) -> None:
        self._history: IntArray = np.zeros(len(index.checks), np.int64)
        """By check one bit per interval, the newest lowest."""
        self._open: dict[Component, _UnsaidChecks] = {}
        self._past: deque[Finding] = deque(maxlen=_PAST)

    @property
    def open(self) -> tuple[Finding, ...]:
        """The open findings, in the order in which they were opened."""
        return tuple(case.finding for case in self._open.values())

    @property
    def past(self) -> tuple[Finding, ...]:
        """The findings that ended, newest first."""
        return tuple(reversed(self._past))

    def replan(self, migration: PlanMigration) -> None:
        """Go on with the next plan; checks that are new have no history."""
        self._history = migration.array(self._history, fresh=np.zeros(len(migration.after.checks), np.int64))
        self._open = {
            part: replace(case, checks=migration.numbers(case.checks))
            for part, case in self._open.items()
            if migration.exists(part)
        }

    def see(
        self, index: PlanIndex, observation: IntervalObservation, unsaid: Collection[int], *, now_ns: int
    ) -> None:
        """Take in one interval; *unsaid* checks are troubled, and no open finding explains them."""
        self._history = (self._history << 1) & ((1 << _WINDOW) - 1)
        self._history[list(unsaid)] |= 1
        left = set(np.flatnonzero(np.bitwise_count(self._history) >= _LEAST).tolist())
        for part, case in list(self._open.items()):
            still = case.checks & left
            if 2 * len(still) >= len(case.checks) and still:
                self._open[part] = self._renew(index, observation, part, case, frozenset(still), now_ns)
                left -= still
            elif case.quiet + 1 >= _QUIET:
                self._past.append(replace(case.finding, ended_ns=now_ns))
                del self._open[part]
            else:
                self._open[part] = replace(case, quiet=case.quiet + 1)
        for part, case in self._open.items():  # what joins later, before anything new is opened
            if more := left & index.crossing[part]:
                checks = case.checks | more
                self._open[part] = self._renew(index, observation, part, case, frozenset(checks), now_ns)
                left -= more
        while left and len(self._open) < _MOST_FINDINGS:
            part, group = _find_common(index, left)
            finding = _describe(index, observation, part, frozenset(group), now_ns=now_ns)
            self._open[part] = _UnsaidChecks(finding, frozenset(group))
            left -= group

    @staticmethod
    def _renew(
        index: PlanIndex,
        observation: IntervalObservation,
        part: Component,
        case: _UnsaidChecks,
        checks: frozenset[int],
        now_ns: int,
    ) -> _UnsaidChecks:
        if checks == case.checks:
            return replace(case, finding=replace(case.finding, last_seen_ns=now_ns), quiet=0)
        finding = _describe(index, observation, part, checks, now_ns=now_ns)
        return _UnsaidChecks(replace(finding, first_seen_ns=case.finding.first_seen_ns), checks)


def _find_common(index: PlanIndex, checks: set[int]) -> tuple[Component, set[int]]:
    """The part that most of *checks* cross, and those that cross it; of equal ones the most specific."""
    crossed = Counter(part for number in checks for part in dict.fromkeys(index.checks[number].legs.crossed))
    most = max(crossed.values())
    part = min((p for p, n in crossed.items() if n == most), key=lambda p: (len(index.crossing[p]), rank(p)))
    return part, checks & index.crossing[part]


def _describe(
    index: PlanIndex,
    observation: IntervalObservation,
    part: Component,
    checks: frozenset[int],
    *,
    now_ns: int,
) -> Finding:
    is_good = observation.seen.is_good
    passes = {
        each: good
        for each in _shared(index, checks)
        if (good := [number for number in sorted(index.crossing[each]) if is_good[number]])
    }
    suspects = tuple(sorted(set(_shared(index, checks)) - passes.keys(), key=rank))
    supposed = build_hypothesis(
        Symptom(part_kind(part), note=Note.UNSAID), (part,), core=checks, words={"detail": f"{len(checks)}"}
    )
    pairs = sorted({f"{index.checks[n].source} {index.checks[n].asked or ''}".strip() for n in checks})
    return Finding(
        id=f"{supposed.cause}:{part}",
        components=(part,),
        cause=supposed.cause,
        confidence=supposed.confidence,
        summary=supposed.summary,
        evidence_for=(Evidence(Prose(f"{len(checks)} checks fail, first {pairs[0]}"), index.ids(checks)),),
        evidence_against=tuple(
            Evidence(Prose(f"{len(good)} checks that cross {each} pass"), index.ids(good))
            for each, good in list(passes.items())[:_MOST_ACQUITTED]
        ),
        indistinguishable=tuple(each for each in suspects if each != part),
        affected=index.ids(checks),
        first_seen_ns=now_ns,
        last_seen_ns=now_ns,
        next_step=supposed.row.next_step,
    )


def _shared(index: PlanIndex, checks: frozenset[int]) -> list[Component]:
    """What all of *checks* cross."""
    ways = [set(index.checks[number].legs.crossed) for number in checks]
    return sorted(set.intersection(*ways), key=rank)
