"""Per-check counters of one closed interval, and the agents that sent no report.

Rule: the counters are arrays indexed by check number, so a quiet interval of a large fleet costs a few array
operations; the `CheckObservation` of one check is built when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from netprobe.analysis.intervals.assembler import Interval
from netprobe.analysis.plan.index import Aspect, PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.model.arrays import BoolArray, FloatArray, IntArray
from netprobe.model.check import TargetKind
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import AgentHealth, Histogram, Window

_STRAIN_SHARE = 0.5
"""An event loop that lagged this share of a probe's time-out answers too late."""
UNTOLD = -1
"""Stands for what a responder heard where it told nothing."""


@dataclass(frozen=True, slots=True)
class CheckObservation:
    """One check in one interval. *heard* is None where the responder told nothing."""

    asked: int
    reached: int
    heard: int | None
    wrong: int
    window: Window

    @property
    def is_good(self) -> bool:
        """Everything asked was answered by the right one."""
        return 0 < self.asked == self.reached

    @property
    def is_dead(self) -> bool:
        """Nothing that was asked was answered by the right one."""
        return self.asked > 0 == self.reached

    @property
    def is_troubled(self) -> bool:
        """Something asked was not answered by the right one."""
        return self.reached < self.asked

    @property
    def arrived(self) -> int | None:
        """Requests that reached the responder; None where it did not count them."""
        if self.heard is None:
            return None
        return min(self.asked, max(self.heard, self.reached))

    @property
    def lost_out(self) -> int | None:
        """Probes that certainly vanished on the way out; None where it is unknown which way they went.

        What another one answered was not lost.
        """
        if self.arrived is None or self.wrong:
            return self.window.lost_out if self._is_told else None
        return self.asked - self.arrived

    @property
    def lost_back(self) -> int | None:
        """Probes that certainly arrived, and whose answers vanished; None where the way is unknown."""
        if self.arrived is None or self.wrong:
            return self.window.lost_back if self._is_told else None
        return self.arrived - self.reached

    @property
    def _is_told(self) -> bool:
        """Whether the asker knows where its losses were, or had none."""
        told = self.window.lost_out + self.window.lost_back
        return told > 0 or not self.window.count(OutcomeKind.TIMED_OUT)

    @property
    def refused(self) -> int:
        """Resets and port-unreachables: the host lives."""
        return self.window.count(OutcomeKind.REFUSED)


class ObservationTable(Mapping[int, CheckObservation]):
    """What the checks of one interval saw, by number; a check that was not measured is not in it."""

    def __init__(self, index: PlanIndex, interval: Interval) -> None:
        """Nothing measured yet; windows filed one by one stay at hand in *windows*."""
        size = len(index.checks)
        self._index = index
        self._span = interval.start_ns, interval.length_ns
        self.windows: dict[int, Window] = interval.windows
        self.asked: IntArray = np.zeros(size, np.int64)
        """0 where it was not measured."""
        self.reached: IntArray = np.zeros(size, np.int64)
        self.wrong: IntArray = np.zeros(size, np.int64)
        self.repeated: IntArray = np.zeros(size, np.int64)
        """Answers that came more than once."""
        self.heard: IntArray = np.full(size, UNTOLD, np.int64)
        self.log_rtt: FloatArray = np.full(size, np.nan)
        """log2 of the p50 in nanoseconds; NaN where nothing answered."""

    def __getitem__(self, number: int) -> CheckObservation:
        if not self.asked[number]:
            raise KeyError(number)
        heard = int(self.heard[number])
        return CheckObservation(
            int(self.asked[number]),
            int(self.reached[number]),
            None if heard == UNTOLD else heard,
            int(self.wrong[number]),
            self.windows.get(number) or self._make_window(number),
        )

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and bool(self.asked[number])

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers.tolist())

    def __len__(self) -> int:
        return int(np.count_nonzero(self.asked))

    @property
    def numbers(self) -> IntArray:
        """The checks that were measured, ascending."""
        return np.flatnonzero(self.asked)

    @property
    def is_good(self) -> BoolArray:
        """Per check: everything asked was answered by the right one."""
        is_good: BoolArray = (self.asked > 0) & (self.reached == self.asked)
        return is_good

    @property
    def is_dead(self) -> BoolArray:
        """Per check: nothing asked was answered by the right one."""
        is_dead: BoolArray = (self.asked > 0) & (self.reached == 0)
        return is_dead

    @property
    def is_troubled(self) -> BoolArray:
        """Per check: something asked was not answered by the right one."""
        is_troubled: BoolArray = self.reached < self.asked
        return is_troubled

    @property
    def arrived(self) -> IntArray:
        """Per check: requests that reached the responder; `UNTOLD` where it did not count them."""
        told = np.minimum(self.asked, np.maximum(self.heard, self.reached))
        return np.where(self.heard == UNTOLD, UNTOLD, told)

    def carried(self, migration: PlanMigration) -> ObservationTable:
        """The same, under the numbers of the next plan."""
        after = ObservationTable(migration.after, Interval(*self._span, windows=migration.keys(self.windows)))
        migration.array(self.asked, fresh=after.asked)
        migration.array(self.reached, fresh=after.reached)
        migration.array(self.wrong, fresh=after.wrong)
        migration.array(self.repeated, fresh=after.repeated)
        migration.array(self.heard, fresh=after.heard)
        migration.array(self.log_rtt, fresh=after.log_rtt)
        return after

    def _make_window(self, number: int) -> Window:
        """The window of a check that came in columns (`intervals.QuietWindows`)."""
        asked, reached = int(self.asked[number]), int(self.reached[number])
        outcomes = ((OutcomeKind.REACHED, reached), (OutcomeKind.TIMED_OUT, asked - reached))
        rtt = Histogram((int(8 * self.log_rtt[number]),), (reached,)) if reached else Histogram()
        check = self._index.checks[number].check.id
        return Window(
            check, *self._span, asked, reached, tuple(pair for pair in outcomes if pair[1]), rtt=rtt
        )


@dataclass(frozen=True, slots=True, eq=False)
class IntervalObservation:
    """A closed interval. Checks are numbered as in the facts."""

    start_ns: int
    end_ns: int
    seen: ObservationTable
    delivered: frozenset[AgentId]
    missing: frozenset[AgentId]
    """Agents that delivered in the past, and nothing for this interval."""
    strained: frozenset[AgentId]
    """Agents whose own health says that what they measured, or failed to answer, is not the network's
    fault.
    """
    health: Mapping[AgentId, AgentHealth] = field(default_factory=dict)
    """How everybody who delivered felt."""
    troubled: frozenset[int] = field(default=frozenset())
    slow: frozenset[int] = field(default=frozenset())
    """Checks far beyond their usual latency, for several intervals by now."""
    lossy: frozenset[int] = field(default=frozenset())
    """Checks that have lost more than they usually do over some minutes."""

    def is_troubled(self, number: int) -> bool:
        """Whether a check was measured and lost something."""
        return number in self.troubled

    def carried(self, migration: PlanMigration) -> IntervalObservation:
        """The same interval, as the next plan would have seen it."""
        agents = frozenset(migration.after.agents)
        return replace(
            self,
            seen=self.seen.carried(migration),
            troubled=migration.numbers(self.troubled),
            slow=migration.numbers(self.slow),
            lossy=migration.numbers(self.lossy),
            delivered=self.delivered & agents,
            missing=self.missing & agents,
            strained=self.strained & agents,
            health={agent: health for agent, health in self.health.items() if agent in agents},
        )


def observe_interval(
    interval: Interval, index: PlanIndex, *, known: frozenset[AgentId]
) -> IntervalObservation:
    """See a closed interval; *known* are the agents that have delivered before."""
    delivered = frozenset(interval.health)
    strained = frozenset(agent for agent, health in interval.health.items() if _is_strained(health, index))
    seen = ObservationTable(index, interval)
    _fill_quiet(seen, interval)
    _fill_windows(seen, interval, index)
    _hear(seen, interval, index)
    if strained:
        deaf = frozenset(agent for agent in strained if interval.health[agent].packets_dropped > 0)
        _take_out_spoiled(seen, index, strained, deaf)
    return IntervalObservation(
        interval.start_ns,
        interval.start_ns + interval.length_ns,
        seen,
        delivered,
        known - delivered,
        strained,
        interval.health,
        frozenset(np.flatnonzero(seen.is_troubled).tolist()),
    )


def _is_strained(health: AgentHealth, index: PlanIndex) -> bool:
    return health.packets_dropped > 0 or health.loop_lag_ns > _STRAIN_SHARE * max(1, index.patience_ns)


def _fill_quiet(seen: ObservationTable, interval: Interval) -> None:
    for batch in interval.quiet:
        at = batch.number
        seen.asked[at], seen.reached[at] = batch.sent, batch.answered
        seen.log_rtt[at] = np.where(batch.answered > 0, (batch.bucket + 0.5) / 8, np.nan)


def _fill_windows(seen: ObservationTable, interval: Interval, index: PlanIndex) -> None:
    for number, window in interval.windows.items():
        outcomes = dict(window.outcomes)
        wrong, reached = outcomes.get(OutcomeKind.WRONG_PEER, 0), outcomes.get(OutcomeKind.REACHED, 0)
        if index.checks[number].check.target.kind is TargetKind.SERVICE:
            reached, wrong = reached + wrong, 0  # any endpoint of a service is a right one
        asked = max(0, window.sent - outcomes.get(OutcomeKind.NOT_MEASURED, 0))
        middle_ns = window.rtt.quantile_ns(0.5)
        seen.asked[number], seen.reached[number], seen.wrong[number] = asked, min(asked, reached), wrong
        seen.repeated[number] = window.repeated
        seen.log_rtt[number] = np.nan if middle_ns is None else np.log2(max(1.0, middle_ns))


def _hear(seen: ObservationTable, interval: Interval, index: PlanIndex) -> None:
    """What responders that delivered have counted; one that counted nothing heard nothing."""
    counted = index.is_counted
    absent = index.places_of(index.agent_set.difference(interval.health))
    if len(absent):
        counted = counted & np.isin(index.asked_place, absent, invert=True)
    heard = np.zeros(len(counted), np.int64)
    for batch in interval.quiet:
        heard[batch.number] += batch.heard
    if interval.heard:
        np.add.at(
            heard, np.fromiter(interval.heard, np.int64), np.fromiter(interval.heard.values(), np.int64)
        )
    seen.heard = np.where(counted & (seen.asked > 0), heard, UNTOLD)


def _take_out_spoiled(
    seen: ObservationTable, index: PlanIndex, strained: frozenset[AgentId], deaf: frozenset[AgentId]
) -> None:
    """Forget what may be an agent's own doing.

    An asker says itself which losses it does not believe (they are not measured), except where its kernel
    dropped answers. Who is asked answers late when it lags, though its kernel pings back all the same.
    """
    for agent in deaf:
        seen.asked[[check.number for check in index.from_agent.get(agent, ())]] = 0
    for agent in strained:
        late = [c.number for c in index.to_agent.get(agent, ()) if c.aspect is not Aspect.ICMP]
        seen.asked[late] = 0
    for counts in (seen.reached, seen.wrong):
        counts[seen.asked == 0] = 0
