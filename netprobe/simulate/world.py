"""Plays a fleet: every planned probe passes what is broken at its moment, and agents report with a delay.

Rules: one seed decides everything. A report arrives some time after its window's end, because it waits for
the last timeout.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random  # noqa: TID253 - the caller passes the seed

from netprobe.analysis.intervals.assembler import QuietWindows
from netprobe.analysis.plan.index import CheckFacts, PlanIndex
from netprobe.model.names import AgentId, CheckId, NodeId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.prose import Prose
from netprobe.model.window import AgentHealth, Histogram, ReceivedCount, Report, Window
from netprobe.simulate.effect_scope import find_lag_ns, makes_busy
from netprobe.simulate.effects import Busy, Delay, SimulatedFault
from netprobe.simulate.moment import Moment
from netprobe.simulate.probe_simulator import REACHED, ProbeOutcome, ProbeSimulator

PUBLISH_AFTER_NS = (550_000_000, 1_200_000_000)
_START_SPREAD_NS = 4_000_000_000
_RTT_NS = (300_000, 3_000_000)


@dataclass(frozen=True, slots=True)
class ArrivingReport:
    """A report, or quiet windows of many agents, and when it arrives."""

    at_ns: int
    report: Report | QuietWindows

    @property
    def place(self) -> tuple[int, str]:
        """The order in which what arrives is taken in."""
        return self.at_ns, str(self.report.agent) if isinstance(self.report, Report) else ""


@dataclass(slots=True)
class ProbeCounts:
    """What became of all probes of one check in one interval."""

    outcomes: Counter[OutcomeKind] = field(default_factory=Counter)
    heard: int = 0
    repeats: int = 0
    last: ProbeOutcome = REACHED


class World:
    """One simulated run of one plan."""

    def __init__(
        self,
        index: PlanIndex,
        faults: Sequence[SimulatedFault],
        *,
        seed: int,
        start_ns: int,
        dns_nodes: frozenset[NodeId] = frozenset(),
        boot: str = "simulated",
        running: frozenset[AgentId] = frozenset(),
    ) -> None:
        """DNS servers stand on *dns_nodes*; in clusters without one, outside of everything.

        Agents start one after the other, but for those that are *running* before; *boot* names the run.
        """
        self._index = index
        self._faults = tuple(sorted(faults, key=lambda fault: fault.start_ns))
        self._active = self._faults
        """Those that may touch the interval that is played."""
        self._boot = boot
        self._random = Random(seed)  # noqa: S311 - a simulation, seeded by its caller
        spread = min(_START_SPREAD_NS, 4 * index.interval_ns)
        self._starts = {
            agent: start_ns if agent in running else start_ns + self._random.randrange(spread)
            for agent in index.agents
        }
        self._phase = {check.number: self._random.random() for check in index.checks}
        self._sequence: Counter[AgentId] = Counter()
        self._held: dict[AgentId, list[Report]] = {agent: [] for agent in index.agents}
        self._sticky: dict[int, AgentId] = {}
        self._moments: dict[int, Moment] = {}
        self._probes = ProbeSimulator(
            index,
            self._random,
            hash_seed=seed,
            starts=self._starts,
            dns_node={node.cluster: node for node in dns_nodes},
            choose_endpoint=self._endpoint,
        )
        self._changes = sorted({at_ns for fault in faults for at_ns in (fault.start_ns, fault.end_ns)})
        """When what is broken changes."""

    def play(self, *, start_ns: int, intervals: int) -> Iterator[ArrivingReport]:
        """Every report of *intervals* intervals from *start_ns* on, in order of arrival."""
        waiting: list[ArrivingReport] = []
        for number in range(intervals):
            at_ns = start_ns + number * self._index.interval_ns
            end_ns = at_ns + self._index.interval_ns + PUBLISH_AFTER_NS[1]
            self._active = tuple(f for f in self._faults if f.start_ns <= end_ns and at_ns < f.end_ns)
            waiting += self._play_interval(at_ns)
            waiting.sort(key=lambda delivery: delivery.place)
            while waiting and waiting[0].at_ns <= at_ns + self._index.interval_ns:
                yield waiting.pop(0)
        yield from waiting

    def _play_interval(self, start_ns: int) -> list[ArrivingReport]:
        return self._report(start_ns, range(len(self._index.checks)), self._index.agents)

    def _report(
        self, start_ns: int, numbers: Iterable[int], agents: Iterable[AgentId]
    ) -> list[ArrivingReport]:
        """Ask the checks of those *numbers*; reports of *agents*, and of others that received something."""
        heard: dict[AgentId, list[ReceivedCount]] = defaultdict(list)
        windows: dict[AgentId, list[Window]] = defaultdict(list)
        for number, tally in self._ask(numbers, start_ns).items():
            check = self._index.checks[number]
            windows[check.source].append(self._window(check, tally, start_ns))
            if check.asked is not None and tally.heard:
                heard[check.asked].append(ReceivedCount(check.check.id, start_ns, tally.heard))
        found = []
        for agent in dict.fromkeys((*agents, *windows, *heard)):
            found += self._deliver(agent, start_ns, tuple(windows[agent]), tuple(heard[agent]))
        return found

    def _ask(self, numbers: Iterable[int], start_ns: int) -> dict[int, ProbeCounts]:
        tallies: dict[int, ProbeCounts] = {}
        send, is_awake = self._probes.send, self._probes.is_awake
        for check in (self._index.checks[number] for number in numbers):
            count = check.check.count
            for turn in range(count):
                at_ns = start_ns + int((turn + self._phase[check.number]) * self._index.interval_ns / count)
                moment = self._moment(at_ns)
                if not is_awake(check.source, at_ns, moment):
                    continue
                fate = send(check, at_ns, moment)
                tally = tallies.get(check.number)
                if tally is None:
                    tally = tallies[check.number] = ProbeCounts()
                tally.outcomes[fate.kind] += 1
                tally.heard += fate.heard
                tally.repeats += fate.repeats
                if fate.kind is not OutcomeKind.REACHED or fate.seen_as:
                    tally.last = fate
        return tallies

    def _moment(self, at_ns: int) -> Moment:
        """What is broken then."""
        number = bisect_right(self._changes, at_ns)
        found = self._moments.get(number)
        if found is None:
            active = (f for f in self._faults if f.start_ns <= at_ns < f.end_ns)
            found = self._moments[number] = Moment([effect for fault in active for effect in fault.effects])
        return found

    def _endpoint(self, check: CheckFacts) -> AgentId:
        """Each TCP connection is balanced again; one UDP flow stays where connection tracking put it."""
        behind = self._index.pods_in[check.source.cluster]
        if check.check.probe.kind in {"http", "tcp"}:
            return self._random.choice(behind)
        return self._sticky.setdefault(check.number, self._random.choice(behind))

    # --- reports ------------------------------------------------------------------------------

    def _find_delay_ns(self, check: CheckFacts, at_ns: int) -> int:
        """By how much the answers of a window come late; what begins within a window shows in the next."""
        delays = self._moment(at_ns).all(Delay)
        if not delays:
            return 0
        way = self._probes.way
        crossed = (*way(check.legs.ways_out, check), *way(check.legs.ways_back, check))
        return sum(effect.extra_ns for effect in delays if effect.component in crossed)

    def _find_waking_ns(self, check: CheckFacts, at_ns: int) -> int:
        """By how much its own lag keeps an agent from seeing that it is connected."""
        busy = self._moment(at_ns).all(Busy) if check.check.probe.kind == "tcp" else ()
        return max((e.waking_ns for e in busy if makes_busy(e, check.source)), default=0)

    def _window(self, check: CheckFacts, tally: ProbeCounts, start_ns: int) -> Window:
        reached = tally.outcomes[OutcomeKind.REACHED]
        late_ns = self._find_delay_ns(check, start_ns)
        waking_ns = self._find_waking_ns(check, start_ns)
        rtts = [late_ns + self._random.randint(*_RTT_NS) + waking_ns for _ in range(reached)]
        return Window(
            check=CheckId(check.check.id),
            start_ns=start_ns,
            length_ns=self._index.interval_ns,
            sent=sum(tally.outcomes.values()),
            answered=reached,
            outcomes=tuple(sorted(tally.outcomes.items())),
            rtt=Histogram.of(rtts),
            observed_source=tally.last.seen_as,
            answered_by=tally.last.answered_by,
            detail=Prose(tally.last.detail),
            rejection=tally.last.rejection,
            repeated=tally.repeats,
        )

    def _deliver(
        self, agent: AgentId, start_ns: int, windows: tuple[Window, ...], heard: tuple[ReceivedCount, ...]
    ) -> list[ArrivingReport]:
        """A frozen or killed agent publishes nothing; one that is cut off keeps its reports for later."""
        end_ns = start_ns + self._index.interval_ns
        at_ns = end_ns + self._random.randint(*PUBLISH_AFTER_NS)
        moment = self._moment(at_ns)
        if not self._probes.is_awake(agent, at_ns, moment) or self._starts[agent] > end_ns:
            return []
        self._sequence[agent] += 1
        health = AgentHealth(agent, end_ns, 1, find_lag_ns(agent, moment), version="simulated")
        report = Report(
            agent,
            1,
            self._sequence[agent],
            self._boot,
            start_ns,
            self._index.interval_ns,
            windows,
            heard,
            health,
        )
        self._held[agent].append(report)
        if agent.node_id in moment.down:
            return []
        held, self._held[agent] = self._held[agent], []
        return [ArrivingReport(at_ns, each) for each in held]
