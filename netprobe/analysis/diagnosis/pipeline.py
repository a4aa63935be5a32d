"""What one interval suggests: a table of detectors, run in order, each on what the others have left.

Rules: pure over intervals; what was concluded before reaches this module only as the checks to leave aside.
Agents and nodes are cleared first, then the network, then services and names, then partial loss. An interval
may be explained twice, with and without the checks of open findings; what does not depend on that is computed
once (`IntervalContext`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile

from netprobe.analysis.diagnosis.conntrack import find_full_tables
from netprobe.analysis.diagnosis.context import Claimed, Detection, IntervalContext
from netprobe.analysis.diagnosis.dead_parts import group_dead
from netprobe.analysis.diagnosis.duplicates import find_duplicating
from netprobe.analysis.diagnosis.hypothesis import Explanation, Hypothesis
from netprobe.analysis.diagnosis.latency import find_slow
from netprobe.analysis.diagnosis.loss_chance import is_share_of_packets
from netprobe.analysis.diagnosis.loss_rows import TRAFFIC_OF
from netprobe.analysis.diagnosis.nodes import find_cut_off_agents, find_dead_nodes, find_sick_agents
from netprobe.analysis.diagnosis.packet_loss import PacketLossDetector, group_lossy
from netprobe.analysis.diagnosis.peer_identity import find_source_nat, find_wrong_peers
from netprobe.analysis.diagnosis.reporting_nodes import weigh_reporting_nodes
from netprobe.analysis.diagnosis.selective_loss import (
    LEAST_RATE_CHECKS,
    SelectiveLossDetector,
    find_nodes_without_udp,
)
from netprobe.analysis.diagnosis.service_loss import find_partly_failing
from netprobe.analysis.diagnosis.services import (
    ServiceBackends,
    find_excused,
    find_failing,
    find_unsure,
)
from netprobe.analysis.diagnosis.symptom import TrafficClass
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.analysis.plan.migration import PlanMigration
from netprobe.analysis.state.latency_baseline import LatencyBaselines
from netprobe.analysis.state.loss_baseline import LossBaselines
from netprobe.analysis.state.service_losses import ServiceLosses

_LOSSY_INTERVALS = 2
"""Partial loss is localised over this many intervals."""
_SHAKY_INTERVALS = 2
"""A path to an endpoint that was troubled so lately may be why a service fails now."""
_CLASS_INTERVALS = 6
"""Loss of a class of traffic is localised over this many intervals."""
_CLASS_TIMES = 2
"""Checks of such a class lose something in so many of these intervals."""
_CLASS_CHECKS = 2
"""So many checks must lose something in each of them."""
_LOSSY_CHECKS = 4
"""So many checks between agents must lose something in each of them."""


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of fault that is looked for."""

    detect: Callable[[IntervalContext, Claimed], Detection]
    needs_trouble: bool = True
    """Whether it finds nothing where every probe was answered and every agent has reported."""
    needs_claims: bool = True
    """Whether it depends on what is claimed already; if not, it runs once per interval."""
    explains_loss: bool = True
    """Whether what it finds accounts for lost packets; translated sources and slow answers do not."""


def _detect_source_nat(context: IntervalContext, _: Claimed) -> Detection:
    return Detection(find_source_nat(context.observation, context.index))


def _detect_slow_tunnels(context: IntervalContext, _: Claimed) -> Detection:
    return Detection(find_slow(context.observation, context.index, context.baselines))


def _detect_duplicating_parts(context: IntervalContext, _: Claimed) -> Detection:
    return Detection(find_duplicating(context.observation, context.network))


def _detect_wrong_peers(context: IntervalContext, _: Claimed) -> Detection:
    return Detection(find_wrong_peers(context.observation, context.index))


def _detect_dead_nodes(context: IntervalContext, claimed: Claimed) -> Detection:
    dead = find_dead_nodes(context.observation, context.index, ignored=claimed.ignored)
    nodes = frozenset(node for one in dead if (node := one.components[0].node) is not None)
    context.backends.learn(context.observation, nodes)
    return Detection(dead, dead_nodes=nodes)


def _detect_sick_agents(context: IntervalContext, claimed: Claimed) -> Detection:
    observation, index = context.observation, context.index
    return Detection(find_sick_agents(observation, index, dead=claimed.dead_nodes, ignored=claimed.ignored))


def _detect_full_conntrack(context: IntervalContext, claimed: Claimed) -> Detection:
    ignored = claimed.ignored | claimed.explained
    return Detection(find_full_tables(context.observation, context.index, ignored=ignored))


def _detect_dead_parts(context: IntervalContext, claimed: Claimed) -> Detection:
    """Ordinary packets first; IPv6 and large ones only where ordinary ones pass."""
    found: list[Hypothesis] = []
    for traffic in (TrafficClass.MAIN, TrafficClass.V6, TrafficClass.LARGE):
        if traffic is TrafficClass.V6:
            claimed = claimed.explaining(found)
        suspects = context.network.find_dead(context.observation, traffic, without=claimed.all)
        dead = group_dead(
            context.observation, context.index, suspects, traffic=traffic, outer=context.find_outer
        )
        found += [one for one in dead if not _is_by_chance(context, one, traffic, claimed)]
    return Detection(tuple(found))


def _is_by_chance(context: IntervalContext, one: Hypothesis, traffic: TrafficClass, claimed: Claimed) -> bool:
    """Whether the same traffic of the same nodes loses a share that explains what looks dead."""
    index = context.index
    checks = [index.checks[number] for number in one.core]
    ends = {check.source.node_id for check in checks} | {c.asked.node_id for c in checks if c.asked}
    others = {
        number
        for node in ends
        for number in index.at_node.get(node, ())
        if TRAFFIC_OF.get(index.checks[number].aspect) is traffic
    }
    rest = others - one.core - one.explained - claimed.all
    return is_share_of_packets((*context.before, context.observation), one.core, rest)


def _detect_selective_loss(context: IntervalContext, claimed: Claimed) -> Detection:
    """Before whole parts: what a class of traffic explains would be read as many broken ports."""
    strained = context.observation.strained
    shaky = {n for agent in strained for n in context.index.answered_by.get(agent, ())}
    shaky |= {c.number for agent in strained for c in context.index.from_agent.get(agent, ())}
    found = context.selective.find(context.before, context.observation, without=claimed.all | shaky)
    return Detection(found, without_udp=frozenset(chain.from_iterable(map(find_nodes_without_udp, found))))


def _detect_failing_services(context: IntervalContext, claimed: Claimed) -> Detection:
    observation, backends = context.observation, context.backends
    shaky = observation.missing | observation.strained
    # A path that loses some packets troubles the check of the path in one interval and names in another.
    troubled = observation.troubled.union(*(one.troubled for one in context.before[-_SHAKY_INTERVALS:]))
    excused = find_excused(
        observation, backends, shaky=shaky, troubled=troubled, without_udp=claimed.without_udp
    )
    failing = find_failing(
        observation, backends, context.lag, before=context.before, without=claimed.all | excused
    )
    return Detection(failing, excused=excused)


def _detect_lossy_classes(context: IntervalContext, claimed: Claimed) -> Detection:
    observations = (*context.before, context.observation)
    if len(observations) < _CLASS_INTERVALS or any(
        len(one.troubled - claimed.all) < _CLASS_CHECKS for one in observations
    ):
        return Detection()
    # Chance spoils other checks each time; a class that loses a share spoils the same ones again.
    times = Counter(number for one in observations for number in one.troubled - claimed.all)
    if sum(often >= _CLASS_TIMES for often in times.values()) < LEAST_RATE_CHECKS:
        return Detection()
    return Detection(context.selective.find_rates(observations, without=claimed.all))


def _detect_cut_off_agents(context: IntervalContext, _: Claimed) -> Detection:
    return Detection(find_cut_off_agents(context.observation, context.index, context.answering))


def _detect_partly_failing_services(context: IntervalContext, claimed: Claimed) -> Detection:
    return Detection(find_partly_failing(context.service_losses, context.index, without=claimed.all))


def _has_loss(context: IntervalContext, one: IntervalObservation, done: frozenset[int]) -> bool:
    """Whether enough checks between agents lost something in an interval."""
    return len([n for n in one.troubled - done if context.index.checks[n].asked]) >= _LOSSY_CHECKS


def _detect_partial_loss(context: IntervalContext, claimed: Claimed) -> Detection:
    observations = (*context.before[-_LOSSY_INTERVALS + 1 :], context.observation)
    done = claimed.all
    if len(observations) < _LOSSY_INTERVALS or any(not _has_loss(context, one, done) for one in observations):
        return Detection()
    without = done & context.observation.troubled
    suspects = context.network.find_lossy(observations, TrafficClass.MAIN, without=without)
    if suspects:
        lately = tuple(takewhile(lambda one: _has_loss(context, one, done), reversed(context.before)))
        suspects = context.network.decide(suspects, (*lately[::-1], context.observation), without=without)
    return Detection(group_lossy(observations, context.index, suspects))


DETECTORS: tuple[Detector, ...] = (
    Detector(_detect_source_nat, needs_trouble=False, needs_claims=False, explains_loss=False),
    Detector(_detect_slow_tunnels, needs_trouble=False, needs_claims=False, explains_loss=False),
    Detector(_detect_duplicating_parts, needs_trouble=False, needs_claims=False, explains_loss=False),
    Detector(_detect_wrong_peers, needs_claims=False),
    Detector(_detect_dead_nodes),
    Detector(_detect_sick_agents),
    Detector(_detect_cut_off_agents, needs_claims=False, explains_loss=False),
    Detector(_detect_full_conntrack),
    Detector(_detect_selective_loss),
    Detector(_detect_dead_parts),
    Detector(_detect_failing_services),
    Detector(_detect_partial_loss),
    Detector(_detect_lossy_classes),
    Detector(_detect_partly_failing_services, needs_trouble=False),
)
"""In this order: each clears its checks for the next."""


class DiagnosisPipeline:
    """Everything that is built once per plan in order to explain its intervals."""

    def __init__(self, index: PlanIndex) -> None:
        self.index = index
        self.network = PacketLossDetector(index)
        self.selective = SelectiveLossDetector(index)
        self.backends = ServiceBackends(index)
        self.service_losses = ServiceLosses(index)
        self.baselines = LatencyBaselines(len(index.checks))
        self.losses = LossBaselines(len(index.checks))

    def replan(self, migration: PlanMigration) -> None:
        """Go on with the next plan; what was learnt about DNS servers is kept."""
        learnt = self.backends.not_dns & migration.after.agents_on.keys()
        self.index = migration.after
        self.network = PacketLossDetector(migration.after)
        self.selective = SelectiveLossDetector(migration.after)
        self.backends = ServiceBackends(migration.after, learnt)
        self.service_losses.replan(migration)
        self.baselines.replan(migration)
        self.losses.replan(migration)

    def begin(
        self, observation: IntervalObservation, before: Sequence[IntervalObservation]
    ) -> IntervalContext:
        """What the explanations of one interval share; *before* are the intervals before it, oldest first."""
        shaky = observation.missing | observation.strained
        unsure = find_unsure(observation, self.backends, shaky=shaky)
        self.service_losses.see(observation, excused=unsure)
        return IntervalContext(
            self.index,
            observation,
            before,
            self.network,
            self.selective,
            self.backends,
            self.service_losses,
            self.baselines,
        )

    @staticmethod
    def explain(context: IntervalContext, *, ignored: frozenset[int]) -> Explanation:
        """Run every detector.

        *ignored* checks are left aside where they fail: they never worked yet, or are explained already.
        """
        observation = context.observation
        is_calm = not observation.troubled and not observation.missing
        claimed = Claimed(ignored, context.behind_missing, context.gated)
        found: list[Hypothesis] = []
        for detector in DETECTORS:
            if is_calm and detector.needs_trouble:
                continue
            detection = context.run(detector.detect, claimed, once=not detector.needs_claims)
            found += detection.hypotheses
            claimed = claimed.excusing(detection)
            if detector.explains_loss:
                claimed = claimed.explaining(detection.hypotheses)
        weighed = tuple(weigh_reporting_nodes(one, observation, context.index) for one in found)
        return Explanation(weighed, claimed.excused | claimed.gated, observation.troubled - claimed.all)
