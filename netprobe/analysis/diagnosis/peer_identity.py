"""Detects wrong-peer answers and source NAT: packets pass, and yet something is wrong.

Rule: what several nodes share is accused only where none of them saw it behave. If the same question from
another node is answered as it should be, the fault is on the node that asked.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, build_hypothesis
from netprobe.analysis.diagnosis.symptom import Answer, Note, Symptom
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.component import Component, gateway_out, node_out, pod_in
from netprobe.model.finding import Evidence
from netprobe.model.names import AgentId, ClusterName, NodeId, Plane
from netprobe.model.prose import Prose

_Way = tuple[ClusterName, ClusterName]
"""From one cluster to another, or within one."""


def find_wrong_peers(observation: IntervalObservation, index: PlanIndex) -> tuple[Hypothesis, ...]:
    """Another agent answers at an agent's address: the asking cluster's gateway misroutes."""
    astray: dict[tuple[ClusterName, AgentId], list[int]] = defaultdict(list)
    for number in np.flatnonzero(observation.seen.wrong).tolist():
        check = index.checks[number]
        if check.asked is not None:
            astray[check.source.cluster, check.asked].append(number)
    by_part: dict[Component, list[int]] = defaultdict(list)
    clusters: dict[Component, set[tuple[ClusterName, AgentId]]] = defaultdict(set)
    for (cluster, victim), numbers in astray.items():
        acquitted = _is_acquitted(observation, index, cluster, victim, numbers)
        for number in numbers:
            asker = index.checks[number].source.node_id
            part = node_out(asker) if acquitted else _blame(index, cluster, victim)
            by_part[part].append(number)
            clusters[part].add((cluster, victim))
    return tuple(
        _build_astray_hypothesis(observation, index, part, numbers, clusters[part])
        for part, numbers in sorted(by_part.items())
    )


def _is_acquitted(
    observation: IntervalObservation,
    index: PlanIndex,
    cluster: ClusterName,
    victim: AgentId,
    astray: list[int],
) -> bool:
    """Whether another node of the cluster asked the same agent, and nothing but that agent answered it."""
    wrong = {index.checks[number].source.node_id for number in astray}
    return any(
        check.source.cluster == cluster
        and check.source.node_id not in wrong
        and check.number in observation.seen
        and observation.seen[check.number].is_good
        for check in index.to_agent.get(victim, ())
    )


def _blame(index: PlanIndex, cluster: ClusterName, victim: AgentId) -> Component:
    gateway = index.gateway_towards(source=cluster, target=victim.cluster)
    if cluster == victim.cluster or gateway is None:
        return pod_in(victim.node_id)
    return gateway_out(gateway)


def _build_astray_hypothesis(
    observation: IntervalObservation,
    index: PlanIndex,
    part: Component,
    numbers: list[int],
    between: set[tuple[ClusterName, AgentId]],
) -> Hypothesis:
    victims = sorted({str(victim) for _, victim in between})
    answering = sorted({observation.seen[number].window.answered_by for number in numbers} - {""})
    touched = {
        check.number
        for cluster, victim in between
        for check in index.checks
        if _is_between(check.source, check.asked, cluster, victim)
    }
    detail = f"{' and '.join(answering) or 'somebody else'} answers instead of {' and '.join(victims)}"
    return build_hypothesis(
        Symptom(part.kind, answer=Answer.WRONG_PEER),
        (part,),
        core=numbers,
        explained=touched,
        words={"detail": detail},
        evidence=(Evidence(Prose(detail), index.ids(numbers)),),
    )


def _is_between(source: AgentId, asked: AgentId | None, cluster: ClusterName, victim: AgentId) -> bool:
    return (asked == victim and source.cluster == cluster) or (
        source == victim and asked is not None and asked.cluster == cluster
    )


def find_source_nat(observation: IntervalObservation, index: PlanIndex) -> tuple[Hypothesis, ...]:
    """Pods whose source address is not theirs when it arrives; nodes have many addresses and are left out."""
    translated: dict[_Way, list[int]] = defaultdict(list)
    clean: dict[_Way, set[NodeId]] = defaultdict(set)
    for number, window in observation.seen.windows.items():
        check = index.checks[number]
        if check.source.plane is not Plane.POD or check.asked is None or not observation.seen.reached[number]:
            continue
        if window.observed_source:
            way = check.source.cluster, check.asked.cluster
            if window.observed_source in index.addresses_of[check.source]:
                clean[way].add(check.source.node_id)
            else:
                translated[way].append(number)
    seen_by: dict[Component, list[int]] = defaultdict(list)
    for way, numbers in translated.items():
        for number in numbers:
            seen_by[_translator(index, number, clean=clean[way])].append(number)
    return tuple(
        _build_translated_hypothesis(observation, index, part, numbers)
        for part, numbers in sorted(seen_by.items())
    )


def _translator(index: PlanIndex, number: int, *, clean: set[NodeId]) -> Component:
    """The gateway, unless the addresses of another node's pods passed it; else the node itself."""
    check = index.checks[number]
    source, asked = check.source, check.asked
    if asked is None or source.cluster == asked.cluster or clean - {source.node_id}:
        return node_out(source.node_id)
    gateway = index.gateway_towards(source=source.cluster, target=asked.cluster)
    return gateway_out(gateway or source.node_id)


def _build_translated_hypothesis(
    observation: IntervalObservation, index: PlanIndex, part: Component, numbers: list[int]
) -> Hypothesis:
    examples = sorted(
        {(str(index.checks[n].source), observation.seen[n].window.observed_source) for n in numbers}
    )
    agent, source = examples[0]
    return build_hypothesis(
        Symptom(part.kind, note=Note.SNAT),
        (part,),
        core=numbers,
        words={"detail": f"{agent} is seen as {source}"},
        evidence=(
            Evidence(
                Prose(
                    f"{len(examples)} agents are seen under an address that is not theirs, as {agent} under "
                    f"{source}"
                ),
                index.ids(numbers),
            ),
        ),
    )
