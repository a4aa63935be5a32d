"""Plays a fleet: every planned probe passes what is broken at its moment, and agents report with a delay.

Rules: one seed decides everything. A probe is decided part by part along the legs of its check, out and then
back. A report arrives some time after its window's end, because it waits for the last timeout.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random  # noqa: TID253 - the caller passes the seed

from netprobe.analysis.diagnosis.traffic_rows import describe_crossing
from netprobe.analysis.intervals.assembler import QuietWindows
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.component import Component, ComponentKind
from netprobe.model.names import AgentId, CheckId, NodeId, Plane
from netprobe.model.outcome import OutcomeKind, Rejected
from netprobe.model.prose import Prose
from netprobe.model.traffic import Attribute
from netprobe.model.window import AgentHealth, Histogram, ReceivedCount, Report, Window
from netprobe.simulate.effect_scope import (
    find_lag_ns,
    is_lagged_away,
    is_too_new,
    leaves_by,
    makes_busy,
)
from netprobe.simulate.effects import (
    AgentFrozen,
    AgentKilled,
    Delay,
    DnsDown,
    Effect,
    Impostor,
    Lose,
    Masquerade,
    NodeDown,
    NoEndpoints,
    Reject,
    SimulatedFault,
    StaleProxy,
    ZoneMissing,
)

PUBLISH_AFTER_NS = (550_000_000, 1_200_000_000)
_START_SPREAD_NS = 4_000_000_000
_RTT_NS = (300_000, 3_000_000)
HEALTHY_LOSS = 1e-5
"""Per part crossed: about 1e-4 per round trip."""


@dataclass(frozen=True, slots=True)
class ArrivingReport:
    """A report, or quiet windows of many agents, and when it arrives."""

    at_ns: int
    report: Report | QuietWindows

    @property
    def place(self) -> tuple[int, str]:
        """The order in which what arrives is taken in."""
        return self.at_ns, str(self.report.agent) if isinstance(self.report, Report) else ""


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """What became of one probe."""

    kind: OutcomeKind
    heard: bool = False
    seen_as: str = ""
    answered_by: str = ""
    detail: str = ""
    rejection: Rejected | None = None


@dataclass(slots=True)
class ProbeCounts:
    """What became of all probes of one check in one interval."""

    outcomes: Counter[OutcomeKind] = field(default_factory=Counter)
    heard: int = 0
    last: ProbeOutcome = ProbeOutcome(OutcomeKind.REACHED)


_SERVED = {ComponentKind.SERVICE_PROXY, ComponentKind.SERVICE, ComponentKind.DNS}


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
        self._hash_seed = seed
        """Routers' hash functions differ, so flows that share a way here part elsewhere."""
        self._dns_node = {node.cluster: node for node in dns_nodes}
        spread = min(_START_SPREAD_NS, 4 * index.interval_ns)
        self._starts = {
            agent: start_ns if agent in running else start_ns + self._random.randrange(spread)
            for agent in index.agents
        }
        self._phase = {check.number: self._random.random() for check in index.checks}
        self._sequence: Counter[AgentId] = Counter()
        self._held: dict[AgentId, list[Report]] = {agent: [] for agent in index.agents}
        self._sticky: dict[int, AgentId] = {}

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
        for check in (self._index.checks[number] for number in numbers):
            count = check.check.count
            for turn in range(count):
                at_ns = start_ns + int((turn + self._phase[check.number]) * self._index.interval_ns / count)
                effects = self._effects_at(at_ns)
                if not self._is_awake(check.source, at_ns, effects):
                    continue
                fate = self._send(check, at_ns, effects)
                tally = tallies.setdefault(check.number, ProbeCounts())
                tally.outcomes[fate.kind] += 1
                tally.heard += fate.heard
                tally.last = fate if fate.kind is not OutcomeKind.REACHED or fate.seen_as else tally.last
        return tallies

    def _effects_at(self, at_ns: int) -> tuple[Effect, ...]:
        return tuple(
            effect
            for fault in self._active
            if fault.start_ns <= at_ns < fault.end_ns
            for effect in fault.effects
        )

    def _is_awake(self, agent: AgentId, at_ns: int, effects: Sequence[Effect]) -> bool:
        return self._starts[agent] <= at_ns and not any(
            isinstance(effect, AgentKilled | AgentFrozen) and effect.agent == agent for effect in effects
        )

    # --- one probe ----------------------------------------------------------------------------

    def _send(self, check: CheckFacts, at_ns: int, effects: Sequence[Effect]) -> ProbeOutcome:
        match check.aspect:
            case _ if is_lagged_away(check, effects) or is_too_new(check, effects):
                return ProbeOutcome(OutcomeKind.TIMED_OUT)
            case Aspect.SERVICE:
                return self._ask_service(check, at_ns, effects)
            case Aspect.DNS:
                return self._ask_dns(check, at_ns, effects)
            case _ if check.asked is not None:
                return self._ask_agent(check, check.asked, at_ns, effects)
            case _:
                passed = self._crosses(
                    check, self._way(check.legs.ways_out, check), 0, effects
                ) and self._crosses(check, self._way(check.legs.ways_back, check), 0, effects, is_answer=True)
                return ProbeOutcome(OutcomeKind.REACHED if passed else OutcomeKind.TIMED_OUT)

    def _ask_agent(
        self, check: CheckFacts, asked: AgentId, at_ns: int, effects: Sequence[Effect]
    ) -> ProbeOutcome:
        for effect in effects:
            if isinstance(effect, Impostor) and (effect.cluster, effect.victim) == (
                check.source.cluster,
                asked,
            ):
                return self._meet_impostor(check, effect)
        size = check.check.probe.size
        way = self._way(check.legs.ways_out, check)
        if not self._crosses(check, way, size, effects):
            return ProbeOutcome(OutcomeKind.TIMED_OUT)
        rejects = [e for e in effects if isinstance(e, Reject) and e.component in way]
        if rejects:
            rejection = Rejected(rejects[0].sender, *rejects[0].told)
            return ProbeOutcome(
                OutcomeKind.REJECTED, detail=f"rejected by {rejection.sender}", rejection=rejection
            )
        awake = self._is_awake(asked, at_ns, effects)
        if not awake and check.aspect is not Aspect.ICMP:
            frozen = any(isinstance(e, AgentFrozen) and e.agent == asked for e in effects)
            if not (frozen and check.check.probe.kind == "tcp"):
                return self._come_back(
                    check, effects, ProbeOutcome(OutcomeKind.TIMED_OUT if frozen else OutcomeKind.REFUSED)
                )
        fate = ProbeOutcome(
            OutcomeKind.REACHED,
            heard=check.check.probe.kind == "udp",
            seen_as=self._seen_as(check, effects),
            answered_by=str(asked),
        )
        return self._come_back(check, effects, fate)

    def _come_back(self, check: CheckFacts, effects: Sequence[Effect], fate: ProbeOutcome) -> ProbeOutcome:
        way, size = self._way(check.legs.ways_back, check), check.check.probe.size
        if self._crosses(check, way, size, effects, is_answer=True):
            return fate
        return ProbeOutcome(OutcomeKind.TIMED_OUT, heard=fate.heard)

    def _meet_impostor(self, check: CheckFacts, effect: Impostor) -> ProbeOutcome:
        if check.check.probe.kind != "udp" or ":" in check.check.target.address:
            return ProbeOutcome(OutcomeKind.REACHED)
        return ProbeOutcome(OutcomeKind.WRONG_PEER, answered_by=str(effect.impostor))

    def _is_question_lost(self, check: CheckFacts, effects: Sequence[Effect]) -> bool:
        """Whether a service proxy, a service, a DNS server or one of its zones loses this question."""
        lost = (e for e in effects if isinstance(e, Lose) and e.component in check.legs.forward)
        return any(one.component.kind in _SERVED and self._is_lost(check, one) for one in lost)

    @staticmethod
    def _reject_question(check: CheckFacts, effects: Sequence[Effect]) -> ProbeOutcome | None:
        """The answer of a proxy that has no endpoint for the question's service; None where it has some."""
        rejects = (e for e in effects if isinstance(e, Reject) and e.component.kind in _SERVED)
        effect = next((e for e in rejects if e.component in check.legs.forward), None)
        if effect is None:
            return None
        return ProbeOutcome(OutcomeKind.REJECTED, rejection=Rejected(effect.sender, *effect.told))

    def _ask_service(self, check: CheckFacts, at_ns: int, effects: Sequence[Effect]) -> ProbeOutcome:
        if (rejected := self._reject_question(check, effects)) is not None:
            return rejected
        if self._is_question_lost(check, effects):
            return ProbeOutcome(OutcomeKind.TIMED_OUT)
        for effect in effects:
            if isinstance(effect, StaleProxy) and effect.node == check.source.node_id:
                return ProbeOutcome(OutcomeKind.TIMED_OUT)
            if (
                isinstance(effect, NoEndpoints)
                and check.check.target.name == f"{effect.cluster}/{effect.service}"
            ):
                return ProbeOutcome(OutcomeKind.REFUSED, detail="refused")
        endpoint = self._endpoint(check)
        twin = self._twin(check.source, endpoint, "udp" if check.check.probe.kind == "udp" else "tcp")
        awake = self._is_awake(endpoint, at_ns, effects)
        if twin is not None:
            fate = self._ask_agent(twin, endpoint, at_ns, effects)
            if awake or fate.kind is not OutcomeKind.REACHED:
                return ProbeOutcome(fate.kind, rejection=fate.rejection)
        return ProbeOutcome(OutcomeKind.REACHED if awake else OutcomeKind.TIMED_OUT)

    def _endpoint(self, check: CheckFacts) -> AgentId:
        """Each TCP connection is balanced again; one UDP flow stays where connection tracking put it."""
        behind = self._index.pods_in[check.source.cluster]
        if check.check.probe.kind in {"http", "tcp"}:
            return self._random.choice(behind)
        return self._sticky.setdefault(check.number, self._random.choice(behind))

    def _twin(self, source: AgentId, target: AgentId, kind: str) -> CheckFacts | None:
        pair = self._index.of_pair.get((source, target), ())
        return next((c for c in pair if c.check.probe.kind == kind and c.aspect is not Aspect.LARGE), None)

    def _ask_dns(self, check: CheckFacts, at_ns: int, effects: Sequence[Effect]) -> ProbeOutcome:
        cluster = check.source.cluster
        if (rejected := self._reject_question(check, effects)) is not None:
            return rejected
        if self._is_question_lost(check, effects):
            return ProbeOutcome(OutcomeKind.NOT_RESOLVED, detail=f"{check.check.probe.name}: timeout")
        for effect in effects:
            if isinstance(effect, DnsDown) and effect.cluster == cluster:
                return ProbeOutcome(OutcomeKind.NOT_RESOLVED, detail=f"{check.check.probe.name}: timeout")
            if (
                isinstance(effect, ZoneMissing)
                and effect.cluster == cluster
                and check.check.probe.name.endswith(effect.zone)
            ):
                return ProbeOutcome(OutcomeKind.NOT_RESOLVED, detail=f"{check.check.probe.name}: NXDOMAIN")
        node = self._dns_node.get(cluster)
        if node is not None:
            twin = self._twin(check.source, AgentId(node.cluster, node.node, Plane.POD), "icmp")
            if any(isinstance(e, NodeDown) and e.node == node for e in effects) or (
                twin is not None
                and self._ask_agent(twin, check.source, at_ns, effects).kind is not OutcomeKind.REACHED
            ):
                return ProbeOutcome(OutcomeKind.NOT_RESOLVED, detail=f"{check.check.probe.name}: timeout")
        return ProbeOutcome(OutcomeKind.REACHED)

    def _way(self, ways: tuple[tuple[Component, ...], ...], check: CheckFacts) -> tuple[Component, ...]:
        """Routers hash addresses and ports: a flow keeps its way, and each TCP connection is a new flow."""
        if len(ways) == 1:
            return ways[0]
        if check.aspect in {Aspect.TCP, Aspect.NEW_FLOW}:
            return self._random.choice(ways)
        digest = hashlib.blake2b(f"{self._hash_seed} {check.check.id} {ways}".encode(), digest_size=8)
        return ways[int.from_bytes(digest.digest(), "big") % len(ways)]

    def _crosses(
        self,
        check: CheckFacts,
        route: tuple[Component, ...],
        size: int,
        effects: Sequence[Effect],
        *,
        is_answer: bool = False,
    ) -> bool:
        if self._random.random() < HEALTHY_LOSS * len(route):
            return False
        for effect in effects:
            if isinstance(effect, NodeDown) and any(part.is_at(effect.node) for part in route):
                return False
            if (
                isinstance(effect, Lose)
                and effect.component in route
                and size >= effect.min_size
                and self._meets(check, effect, is_answer=is_answer)
                and self._is_lost(check, effect)
            ):
                return False
        return True

    def _meets(self, check: CheckFacts, effect: Lose, *, is_answer: bool) -> bool:
        """Whether the packets of a check are those that a part loses."""
        if not effect.traffic:
            return True
        values = describe_crossing(check, self._index.gateways, is_answer=is_answer)
        known = dict(zip(Attribute, values, strict=True))
        return all((known[Attribute(one.attribute)] == one.value) == one.is_equal for one in effect.traffic)

    def _is_lost(self, check: CheckFacts, effect: Lose) -> bool:
        """Whether this packet is; a hash decides for a whole flow, and each TCP connection is a new one."""
        if not effect.is_hash or check.aspect in {Aspect.TCP, Aspect.NEW_FLOW}:
            return self._random.random() < effect.share
        text = f"{self._hash_seed} {check.check.id} {effect.component}"
        digest = hashlib.blake2b(text.encode(), digest_size=8)
        return int.from_bytes(digest.digest(), "big") < effect.share * 2**64

    def _seen_as(self, check: CheckFacts, effects: Sequence[Effect]) -> str:
        if check.check.probe.kind != "udp":
            return ""
        for effect in effects:
            is_pod = check.source.plane is Plane.POD
            if isinstance(effect, Masquerade) and is_pod and leaves_by(check, effect.gateway):
                return effect.seen_as
        family = ":" in check.check.target.address
        return next(a for a in sorted(self._index.addresses_of[check.source]) if (":" in a) is family)

    # --- reports ------------------------------------------------------------------------------

    def _find_delay_ns(self, check: CheckFacts, at_ns: int) -> int:
        """By how much the answers of a window come late; what begins within a window shows in the next."""
        crossed = (*self._way(check.legs.ways_out, check), *self._way(check.legs.ways_back, check))
        return sum(
            effect.extra_ns
            for effect in self._effects_at(at_ns)
            if isinstance(effect, Delay) and effect.component in crossed
        )

    def _find_waking_ns(self, check: CheckFacts, at_ns: int) -> int:
        """By how much its own lag keeps an agent from seeing that it is connected."""
        effects = self._effects_at(at_ns) if check.check.probe.kind == "tcp" else ()
        return max((e.waking_ns for e in effects if makes_busy(e, check.source)), default=0)

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
        )

    def _deliver(
        self, agent: AgentId, start_ns: int, windows: tuple[Window, ...], heard: tuple[ReceivedCount, ...]
    ) -> list[ArrivingReport]:
        """A frozen or killed agent publishes nothing; one that is cut off keeps its reports for later."""
        end_ns = start_ns + self._index.interval_ns
        at_ns = end_ns + self._random.randint(*PUBLISH_AFTER_NS)
        effects = self._effects_at(at_ns)
        if not self._is_awake(agent, at_ns, effects) or self._starts[agent] > end_ns:
            return []
        self._sequence[agent] += 1
        health = AgentHealth(agent, end_ns, 1, find_lag_ns(agent, effects), version="simulated")
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
        if any(isinstance(e, NodeDown) and e.node == agent.node_id for e in effects):
            return []
        held, self._held[agent] = self._held[agent], []
        return [ArrivingReport(at_ns, each) for each in held]
