"""What the detectors of one interval share (`IntervalContext`), and what is claimed already (`Claimed`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from netprobe.analysis.diagnosis.agent_lag import LagTolerance
from netprobe.analysis.diagnosis.dead_parts import OuterAddresses
from netprobe.analysis.diagnosis.hypothesis import Hypothesis
from netprobe.analysis.diagnosis.loss_rows import TRAFFIC_OF
from netprobe.analysis.diagnosis.packet_loss import PacketLossDetector
from netprobe.analysis.diagnosis.selective_loss import SelectiveLossDetector
from netprobe.analysis.diagnosis.services import ServiceBackends
from netprobe.analysis.diagnosis.symptom import TrafficClass
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.analysis.state.latency_baseline import LatencyBaselines
from netprobe.analysis.state.service_losses import ServiceLosses
from netprobe.model.component import Component, ComponentKind
from netprobe.model.names import AgentId, NodeId

_ANSWERED_BY_PROCESS = {Aspect.UDP, Aspect.V6, Aspect.LARGE}
"""The kernel answers pings and accepts connections for a process that is stopped."""
_ORDINARY = {Aspect.ICMP, Aspect.UDP}


@dataclass(frozen=True, slots=True)
class Detection:
    """What one detector found."""

    hypotheses: tuple[Hypothesis, ...] = ()
    excused: frozenset[int] = frozenset()
    """Troubled checks behind which something else is broken: no evidence, and no news."""
    dead_nodes: frozenset[NodeId] = frozenset()
    without_udp: frozenset[NodeId] = frozenset()
    """Nodes that no UDP reaches, or none of a class of it: names are not answered from there."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Checks of one interval whose trouble is accounted for, by why; a detector looks at the others."""

    ignored: frozenset[int]
    """They never worked yet, are recovering, or an open finding explains them."""
    behind_missing: frozenset[int]
    """They need an agent that delivered nothing: its silence may be its own."""
    gated: frozenset[int]
    """Special packets between two agents where ordinary ones fail as well."""
    explained: frozenset[int] = frozenset()
    """What was found in this interval explains them."""
    excused: frozenset[int] = frozenset()
    """Something behind them is broken."""
    dead_nodes: frozenset[NodeId] = frozenset()
    without_udp: frozenset[NodeId] = frozenset()
    """Nodes that no UDP reaches, or none of a class of it."""

    @property
    def all(self) -> frozenset[int]:
        """Every claimed check."""
        return self.ignored.union(self.behind_missing, self.gated, self.explained, self.excused)

    def explaining(self, found: Iterable[Hypothesis]) -> Claimed:
        """With the checks that *found* explains."""
        return replace(self, explained=self.explained.union(*(one.explained for one in found)))

    def excusing(self, detection: Detection) -> Claimed:
        """With the checks and nodes that a detection sets aside beside its hypotheses."""
        return replace(
            self,
            excused=self.excused | detection.excused,
            dead_nodes=self.dead_nodes | detection.dead_nodes,
            without_udp=self.without_udp | detection.without_udp,
        )


class IntervalContext:
    """One interval and everything that detectors need to know about it; each part is computed once."""

    def __init__(
        self,
        index: PlanIndex,
        observation: IntervalObservation,
        before: Sequence[IntervalObservation],
        network: PacketLossDetector,
        selective: SelectiveLossDetector,
        backends: ServiceBackends,
        service_losses: ServiceLosses,
        baselines: LatencyBaselines,
    ) -> None:
        self.index = index
        self.observation = observation
        self.before = before
        """The intervals before it, oldest first."""
        self.network = network
        self.selective = selective
        self.backends = backends
        self.service_losses = service_losses
        self.baselines = baselines
        self._found: dict[Callable[[IntervalContext, Claimed], Detection], Detection] = {}

    def run(
        self, detect: Callable[[IntervalContext, Claimed], Detection], claimed: Claimed, *, once: bool
    ) -> Detection:
        """What *detect* finds; with *once* the first answer is kept for the whole interval."""
        if not once:
            return detect(self, claimed)
        if detect not in self._found:
            self._found[detect] = detect(self, claimed)
        return self._found[detect]

    @cached_property
    def lag(self) -> LagTolerance:
        """What lagging agents may have spoiled in this interval and the one before."""
        return LagTolerance((*self.before[-1:], self.observation), self.index)

    @cached_property
    def behind_missing(self) -> frozenset[int]:
        """Checks that need an agent which delivered nothing: its silence may be its own.

        One that answered a peer's UDP question lives: then its reports are lost, and its checks are evidence.
        """
        aside: set[int] = set()
        missing = self.observation.missing - self.answering
        for agent in missing:
            aside |= {c.number for c in self.index.to_agent.get(agent, ()) if c.aspect is not Aspect.ICMP}
            if all(other in missing for other in self.index.agents_on[agent.node_id]):
                aside |= self.index.at_node[agent.node_id]
        return frozenset(aside)

    @cached_property
    def answering(self) -> frozenset[AgentId]:
        """Agents that delivered nothing and whose process answered others all the same.

        In the interval before, too: one that is killed has answered until then.
        """
        if not self.before:
            return frozenset()
        return self._answering_in(self.observation) & self._answering_in(self.before[-1])

    def _answering_in(self, observation: IntervalObservation) -> frozenset[AgentId]:
        return frozenset(
            agent
            for agent in observation.missing
            if any(
                check.aspect in _ANSWERED_BY_PROCESS and observation.seen.reached[check.number] > 0
                for check in self.index.to_agent.get(agent, ())
            )
        )

    @cached_property
    def gated(self) -> frozenset[int]:
        """Checks of special packets between two agents where ordinary ones fail as well."""
        special = {TrafficClass.V6, TrafficClass.LARGE}
        checks = (self.index.checks[number] for number in self.observation.troubled)
        return frozenset(
            check.number
            for check in checks
            if TRAFFIC_OF.get(check.aspect) in special and not self._do_ordinary_pass(check)
        )

    def _do_ordinary_pass(self, check: CheckFacts) -> bool:
        asked = check.asked or check.source
        twins = [c for c in self.index.of_pair.get((check.source, asked), ()) if c.aspect in _ORDINARY]
        seen = [self.observation.seen[twin.number] for twin in twins if twin.number in self.observation.seen]
        return bool(seen) and all(one.is_good for one in seen)

    def find_outer(self, part: Component) -> OuterAddresses:
        """What the outer addresses at both ends of a link, or of a gateway and its peers, answered."""
        checks = [c.number for c in self.index.checks if c.aspect is Aspect.OUTER and _is_beneath(c, part)]
        seen = [self.observation.seen[number] for number in checks if number in self.observation.seen]
        return OuterAddresses(
            frozenset(checks),
            is_fine=bool(seen) and all(one.is_good for one in seen),
            is_silent=bool(seen) and all(one.is_dead for one in seen),
        )


def _is_beneath(check: CheckFacts, part: Component) -> bool:
    target = check.check.target.node
    if target is None:
        return False
    if part.kind is ComponentKind.TUNNEL:
        return {check.source.cluster, target.cluster} == part.clusters
    return part.node in (check.source.node_id, target)
