"""The state machine of each path, with hysteresis; a path that was not measured is ``unknown``.

Rules: two bad intervals in a row make a path down, two good ones make it up again; loss is judged over a
sliding handful of intervals. A path without windows for two and a half intervals is unknown, never down. A
path far above its usual latency or loss is degraded, and so is one that keeps changing between up and down:
it is flapping until it has been quiet for a while.

All paths are arrays indexed by check number, and an interval is a few operations over them; the text of one
path is written when it is read (`PathStates`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from netprobe.analysis.intervals.observation import CheckObservation, IntervalObservation, ObservationTable
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.model.arrays import BoolArray, IntArray
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.prose import NO_PROSE, Prose
from netprobe.model.status import PathState, PathStatus

_MEMORY = 6
_STREAK = 2
_LOSSY_SHARE = 0.1
_STALE_INTERVALS = 2.5
_FLAPS = 4
_FLAP_INTERVALS = 30
"""So many changes between up and down within so many intervals are flapping."""
_STATES = (PathState.UNKNOWN, PathState.UP, PathState.DEGRADED, PathState.DOWN)
_UNKNOWN, _UP, _DEGRADED, _DOWN = range(4)
_STALE = "not measured lately"
_STEPPED = "the collector's clock was set; not measured since"

Codes = npt.NDArray[np.int8]


@dataclass(slots=True)
class _Paths:
    """One row per check."""

    state: Codes
    since_ns: IntArray
    raw: Codes
    """The state before slowness and flapping are considered."""
    measured_ns: IntArray
    """End of the last interval in which it was measured."""
    intervals: IntArray
    """Intervals remembered since the path was last stale."""
    asked: IntArray
    reached: IntArray
    """Counts of the last intervals, written round and round: rows × `_MEMORY`."""
    turns_ns: IntArray
    """When it last went down, or was down no longer: rows × `_FLAPS`, newest last, −1 for never."""
    is_slow: BoolArray
    is_lossy: BoolArray
    is_flapping: BoolArray

    @classmethod
    def of(cls, size: int) -> _Paths:
        none, never = np.zeros(size, np.int64), np.zeros(size, np.bool_)
        counts = np.zeros((size, _MEMORY), np.int64)
        return cls(
            state=np.zeros(size, np.int8),
            since_ns=none,
            raw=np.zeros(size, np.int8),
            measured_ns=none.copy(),
            intervals=none.copy(),
            asked=counts,
            reached=counts.copy(),
            turns_ns=np.full((size, _FLAPS), -1, np.int64),
            is_slow=never,
            is_lossy=never.copy(),
            is_flapping=never.copy(),
        )

    def carried(self, migration: PlanMigration) -> _Paths:
        after = _Paths.of(len(migration.after.checks))
        for name in self.__slots__:
            migration.array(getattr(self, name), fresh=getattr(after, name))
        return after


@dataclass(frozen=True, slots=True, eq=False)
class PathStates:
    """Every path at one moment; words are made when they are asked for."""

    index: PlanIndex
    state: Codes
    since_ns: IntArray
    is_slow: BoolArray
    is_lossy: BoolArray
    is_flapping: BoolArray
    interval: IntArray
    """By number of the check the place in *tables* of the interval it was last measured in; 0 for never."""
    tables: dict[int, ObservationTable]
    unknown: dict[int, str]
    """Why a path that was known is not any more."""

    def all(self) -> tuple[PathStatus, ...]:
        """The status of every path, by number of its check."""
        return tuple(map(self.of, range(len(self.index.checks))))

    def of(self, number: int) -> PathStatus:
        """The status of one path."""
        state, since_ns = _STATES[self.state[number]], int(self.since_ns[number])
        check = self.index.checks[number].check.id
        if number in self.unknown or not self.interval[number]:
            return PathStatus(check, state, since_ns, Prose(self.unknown.get(number, "")))
        seen = self.tables[int(self.interval[number])][number]
        window = seen.window
        return PathStatus(
            check=check,
            state=state,
            since_ns=since_ns,
            reason=NO_PROSE if state is PathState.UP else self._reason(number, seen),
            sent=seen.asked,
            answered=seen.reached,
            lost_out=seen.lost_out,
            lost_back=seen.lost_back,
            rtt_p50_ns=window.rtt.quantile_ns(0.5),
            rtt_p99_ns=window.rtt.quantile_ns(0.99),
            observed_source=window.observed_source,
        )

    def _reason(self, number: int, seen: CheckObservation) -> Prose:
        if self.is_flapping[number]:
            return Prose("flapping between up and down")
        if self.is_slow[number] and seen.is_good:
            return Prose("far slower than usual")
        if seen.wrong:
            return Prose(f"{seen.window.answered_by or 'somebody else'} answers")
        if seen.window.detail:
            return seen.window.detail
        if seen.window.count(OutcomeKind.TIMED_OUT):
            return Prose(f"{seen.asked - seen.reached} of {seen.asked} unanswered")
        return Prose("loses more than it usually does") if self.is_lossy[number] else NO_PROSE


@dataclass(slots=True)
class PathStateMachine:
    """Keeps the state of every path."""

    _index: PlanIndex
    _paths: _Paths = field(init=False)
    _interval: IntArray = field(init=False)
    _tables: dict[int, ObservationTable] = field(default_factory=dict)
    _unknown: dict[int, str] = field(default_factory=dict)
    _observations: int = 0

    def __post_init__(self) -> None:
        self._paths = _Paths.of(len(self._index.checks))
        self._interval = np.zeros(len(self._index.checks), np.int64)

    def replan(self, migration: PlanMigration) -> None:
        """Go on with the next plan; paths it does not hold are gone, new ones are unknown."""
        self._index = migration.after
        self._paths = self._paths.carried(migration)
        self._interval = migration.array(
            self._interval, fresh=np.zeros(len(migration.after.checks), np.int64)
        )
        self._tables = {interval: table.carried(migration) for interval, table in self._tables.items()}
        self._unknown = migration.keys(self._unknown)

    def see(self, observation: IntervalObservation) -> None:
        """Take in one interval. Arrays that `PathStates` hold are replaced, never changed."""
        paths, seen = self._paths, observation.seen
        measured = seen.asked > 0
        rows = np.flatnonzero(measured)
        self._remember(observation, measured, rows)
        raw = paths.raw.copy()
        raw[rows] = _next_states(paths, seen, rows)
        self._count_turns(raw, observation.end_ns)
        paths.raw = raw
        flags = {name: _flags(getattr(observation, name), measured) for name in ("slow", "lossy")}
        paths.is_slow = np.where(measured, flags["slow"], paths.is_slow)
        paths.is_lossy = np.where(measured, flags["lossy"], paths.is_lossy)
        begun = observation.end_ns - paths.turns_ns[:, 0]
        flapping = (paths.turns_ns[:, 0] >= 0) & (begun <= _FLAP_INTERVALS * self._index.interval_ns)
        paths.is_flapping = np.where(measured, flapping, paths.is_flapping)
        is_less = paths.is_flapping | ((paths.is_slow | paths.is_lossy) & (raw == _UP))
        state = np.where(measured, np.where(is_less, _DEGRADED, raw), paths.state).astype(np.int8)
        paths.since_ns = np.where(state == paths.state, paths.since_ns, observation.end_ns)
        if self._unknown:
            self._unknown = {number: why for number, why in self._unknown.items() if not measured[number]}
        paths.state = state

    def _remember(self, observation: IntervalObservation, measured: BoolArray, rows: IntArray) -> None:
        paths, seen = self._paths, observation.seen
        place = paths.intervals[rows] % _MEMORY
        paths.asked[rows, place], paths.reached[rows, place] = seen.asked[rows], seen.reached[rows]
        paths.intervals[rows] += 1
        paths.measured_ns[rows] = observation.end_ns
        self._observations += 1
        self._interval = np.where(measured, self._observations, self._interval)
        self._tables = {**self._tables, self._observations: seen}
        if len(self._tables) > 2 * _MEMORY:
            used = set(np.unique(self._interval[self._paths.intervals > 0]).tolist())
            self._tables = {interval: table for interval, table in self._tables.items() if interval in used}

    def _count_turns(self, raw: Codes, at_ns: int) -> None:
        before = self._paths.raw
        turned = np.flatnonzero((before != _UNKNOWN) & ((raw == _DOWN) != (before == _DOWN)))
        turns = self._paths.turns_ns
        turns[turned] = np.column_stack((turns[turned, 1:], np.full(len(turned), at_ns)))

    def states(self, *, now_ns: int, sick: frozenset[AgentId]) -> PathStates:
        """Every path now; what fails and needs a *sick* agent to answer is unknown."""
        paths = self._paths
        patience = int(_STALE_INTERVALS * self._index.interval_ns) + self._index.patience_ns
        known = paths.state != _UNKNOWN
        stale = np.flatnonzero(known & (now_ns - paths.measured_ns > patience))
        paths.intervals[stale] = 0
        lost = dict.fromkeys(stale.tolist(), _STALE)
        if sick:
            lost = self._find_behind(sick, known) | lost
        self._lose(lost, now_ns)
        return PathStates(
            self._index,
            paths.state,
            paths.since_ns,
            paths.is_slow,
            paths.is_lossy,
            paths.is_flapping,
            self._interval,
            self._tables,
            self._unknown,
        )

    def forget(self, *, now_ns: int) -> None:
        """Our clock was set: every path is unknown until a whole interval was seen."""
        known = np.flatnonzero(self._paths.state != _UNKNOWN)
        self._paths.intervals[known] = 0
        self._lose(dict.fromkeys(known.tolist(), _STEPPED), now_ns)

    def _lose(self, lost: dict[int, str], now_ns: int) -> None:
        """These paths are unknown from now on, each for its reason."""
        if not lost:
            return
        paths, rows = self._paths, np.fromiter(lost, np.int64, len(lost))
        paths.state, paths.raw, paths.since_ns = paths.state.copy(), paths.raw.copy(), paths.since_ns.copy()
        paths.state[rows], paths.raw[rows], paths.since_ns[rows] = _UNKNOWN, _UNKNOWN, now_ns
        self._unknown = self._unknown | lost

    def _find_behind(self, sick: frozenset[AgentId], known: BoolArray) -> dict[int, str]:
        """What needs a sick agent: it alone, or whatever fails and may have asked it."""
        found = {}
        for number in sorted({number for agent in sick for number in self._index.answered_by.get(agent, ())}):
            answerers = self._index.answerers[number]
            if known[number] and (self._paths.state[number] != _UP or len(answerers) == 1):
                found[number] = next(f"the agent {agent} is sick" for agent in answerers if agent in sick)
        return found


def _flags(numbers: frozenset[int], like: BoolArray) -> BoolArray:
    flags = np.zeros_like(like)
    flags[list(numbers)] = True
    return flags


def _next_states(paths: _Paths, seen: ObservationTable, rows: IntArray) -> Codes:
    """The raw state of each of *rows*, which have just remembered an interval."""
    state = paths.raw[rows]
    before = (paths.intervals[rows] - 2) % _MEMORY
    had = paths.intervals[rows] >= _STREAK
    good, dead = seen.is_good[rows], seen.is_dead[rows]
    asked, reached = paths.asked[rows, before], paths.reached[rows, before]
    was_good, was_dead = had & (reached == asked), had & (reached == 0)
    new = np.where(had & good & was_good, _UP, state)
    new = np.where(had & dead & was_dead, _DOWN, new)
    mixed = np.flatnonzero(had & ~(good & was_good) & ~(dead & was_dead))
    new[mixed] = np.where(
        _is_lossy(paths, rows[mixed]), _lossy_states(state[mixed], dead[mixed]), state[mixed]
    )
    return np.where((state == _UNKNOWN) & good, _UP, new).astype(np.int8)


def _is_lossy(paths: _Paths, rows: IntArray) -> BoolArray:
    """Whether enough of the intervals remembered lost enough."""
    held = np.arange(_MEMORY) < paths.intervals[rows, None]
    asked, reached = np.where(held, paths.asked[rows], 0), np.where(held, paths.reached[rows], 0)
    troubled = (reached < asked).sum(axis=1)
    lost = (asked - reached).sum(axis=1)
    is_enough: BoolArray = (troubled >= _STREAK) & (lost >= _LOSSY_SHARE * asked.sum(axis=1))
    return is_enough


def _lossy_states(state: Codes, dead: BoolArray) -> Codes:
    return np.where((state == _DOWN) & dead, _DOWN, _DEGRADED).astype(np.int8)
