"""What one frame suggests: agents and nodes are cleared first, then the network, then services and names.

Rule: pure over frames; what was concluded before reaches this module only as the checks to leave aside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netprobe.analysis.diagnosis.agent_lag import LagTolerance
from netprobe.analysis.diagnosis.conntrack import find_full_tables
from netprobe.analysis.diagnosis.hypothesis import Explanation, Hypothesis
from netprobe.analysis.diagnosis.latency import find_slow
from netprobe.analysis.diagnosis.loss_rows import TRAFFIC_OF
from netprobe.analysis.diagnosis.nodes import find_dead_nodes, find_sick_agents
from netprobe.analysis.diagnosis.packet_loss import PacketLossDetector, group_dead, group_lossy
from netprobe.analysis.diagnosis.peer_identity import find_translated, find_wrong_peers
from netprobe.analysis.diagnosis.services import ServiceBackends, find_excused, find_failing
from netprobe.analysis.diagnosis.symptom import TrafficClass
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.analysis.state.latency_baseline import LatencyBaselines
from netprobe.analysis.state.loss_baseline import LossBaselines
from netprobe.model.component import Component
from netprobe.model.finding import Cause
from netprobe.model.names import NodeId

_TWINS = {Aspect.ICMP, Aspect.UDP}
_LOSSY_LOOKS = 2
_LOSSY_CHECKS = 4


class DiagnosisPipeline:
    """Everything that is built once per plan in order to explain its frames."""

    def __init__(self, facts: PlanIndex) -> None:
        self.facts = facts
        self.network = PacketLossDetector(facts)
        self.servants = ServiceBackends(facts)
        self.baselines = LatencyBaselines(len(facts.checks))
        self.losses = LossBaselines(len(facts.checks))

    def replan(self, carry: PlanMigration) -> None:
        """Go on with the next plan, knowing what was learnt of DNS servers."""
        learnt = self.servants.not_dns & carry.after.agents_on.keys()
        self.facts = carry.after
        self.network = PacketLossDetector(carry.after)
        self.servants = ServiceBackends(carry.after, learnt)
        self.baselines.replan(carry)
        self.losses.replan(carry)

    def explain(
        self, look: IntervalObservation, before: Sequence[IntervalObservation], *, ignored: frozenset[int]
    ) -> Explanation:
        """Explain the newest frame; *before* are the frames before it, oldest first.

        *ignored* checks are left aside where they fail: they never worked yet, or are explained already.
        """
        found = [*find_translated(look, self.facts), *find_slow(look, self.facts, self.baselines)]
        if not look.troubled and not look.missing:
            return Explanation(tuple(found))
        found += find_wrong_peers(look, self.facts)
        dead = find_dead_nodes(look, self.facts, ignored=ignored)
        down = _nodes_of(dead)
        found += dead
        found += find_sick_agents(look, self.facts, dead=down, ignored=ignored)
        found += find_full_tables(look, self.facts, ignored=ignored | _explained(found))
        self.servants.learn(look, down)
        aside = ignored | _explained(found) | self._behind_missing(look)
        network = self._find_broken(look, aside)
        found += network
        gated = self._gated(look)
        doubt = LagTolerance((*before[-1:], look), self.facts)
        services, excused = self._find_failing(look, doubt, aside | _explained(network))
        found += services
        done = aside | _explained(found) | gated | excused
        lossy = self._find_lossy(look, before, done)
        found += lossy
        done |= _explained(lossy)
        return Explanation(tuple(found), excused | gated, look.troubled - done)

    def _behind_missing(self, look: IntervalObservation) -> frozenset[int]:
        """Checks that need an agent which delivered nothing: its silence may be its own."""
        aside: set[int] = set()
        for agent in look.missing:
            aside |= {c.number for c in self.facts.to_agent.get(agent, ()) if c.aspect is not Aspect.ICMP}
            if all(other in look.missing for other in self.facts.agents_on[agent.node_id]):
                aside |= self.facts.at_node[agent.node_id]
        return frozenset(aside)

    def _find_broken(self, look: IntervalObservation, aside: frozenset[int]) -> list[Hypothesis]:
        main = self.network.find_dead(look, TrafficClass.MAIN, without=aside)
        found = list(
            group_dead(look, self.facts, main, traffic=TrafficClass.MAIN, outer=self._outer_words(look))
        )
        aside = aside | _explained(found) | self._gated(look)
        for traffic in (TrafficClass.V6, TrafficClass.LARGE):
            blamed = self.network.find_dead(look, traffic, without=aside)
            found += group_dead(look, self.facts, blamed, traffic=traffic, outer=self._outer_words(look))
        return found

    def _gated(self, look: IntervalObservation) -> frozenset[int]:
        """Checks of special packets between two agents where ordinary ones fail as well."""
        return frozenset(
            number
            for number in look.troubled
            if TRAFFIC_OF.get(self.facts.checks[number].aspect) in {TrafficClass.V6, TrafficClass.LARGE}
            and not self._is_plain_fine(look, self.facts.checks[number])
        )

    def _is_plain_fine(self, look: IntervalObservation, check: CheckFacts) -> bool:
        asked = check.asked or check.source
        twins = [c for c in self.facts.of_pair.get((check.source, asked), ()) if c.aspect in _TWINS]
        seen = [look.seen[twin.number] for twin in twins if twin.number in look.seen]
        return bool(seen) and all(one.is_good for one in seen)

    def _find_failing(
        self, look: IntervalObservation, doubt: LagTolerance, aside: frozenset[int]
    ) -> tuple[tuple[Hypothesis, ...], frozenset[int]]:
        shaky = look.missing | look.strained
        excused = find_excused(look, self.servants, shaky=shaky, troubled=look.troubled)
        return find_failing(look, self.servants, doubt, without=aside | excused), excused

    def _find_lossy(
        self, look: IntervalObservation, before: Sequence[IntervalObservation], done: frozenset[int]
    ) -> tuple[Hypothesis, ...]:
        looks = [*before[-_LOSSY_LOOKS + 1 :], look]
        if len(looks) < _LOSSY_LOOKS or any(
            len([n for n in one.troubled - done if self.facts.checks[n].asked]) < _LOSSY_CHECKS
            for one in looks
        ):
            return ()
        blamed = self.network.find_lossy(looks, TrafficClass.MAIN, without=done & look.troubled)
        return group_lossy(looks, self.facts, blamed)

    def _outer_words(self, look: IntervalObservation) -> Callable[[Component], str]:
        def words(part: Component) -> str:
            ends = {part.source, part.target}
            outer = [
                look.seen[check.number]
                for check in self.facts.checks
                if check.aspect is Aspect.OUTER and check.number in look.seen and _joins(check, ends)
            ]
            fine = bool(outer) and all(seen.is_good for seen in outer)
            return ", though the gateways' outer addresses answer" if fine else ""

        return words


def _joins(check: CheckFacts, ends: set[str]) -> bool:
    target = check.check.target.node
    return target is not None and {check.source.cluster, target.cluster} == ends


def _explained(found: Sequence[Hypothesis]) -> frozenset[int]:
    return frozenset[int]().union(
        *(hypothesis.explained for hypothesis in found if not _is_passing(hypothesis))
    )


def _is_passing(hypothesis: Hypothesis) -> bool:
    """Translated sources and late answers are seen on packets that arrive: they explain no loss."""
    return hypothesis.cause in {Cause.SNAT, Cause.TUNNEL_SLOW}


def _nodes_of(dead: Sequence[Hypothesis]) -> frozenset[NodeId]:
    return frozenset(NodeId.parse(hypothesis.components[0].source) for hypothesis in dead)
