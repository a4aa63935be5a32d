"""Detects wrong-peer answers and source NAT: packets pass, and yet something is wrong."""

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
        part = _blame(index, cluster, victim)
        by_part[part] += numbers
        clusters[part].add((cluster, victim))
    return tuple(
        _build_astray_hypothesis(observation, index, part, numbers, clusters[part])
        for part, numbers in sorted(by_part.items())
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
    seen_by: dict[Component, list[int]] = defaultdict(list)
    for number, window in observation.seen.windows.items():
        check = index.checks[number]
        if check.source.plane is not Plane.POD or check.asked is None or not observation.seen.reached[number]:
            continue
        source = window.observed_source
        if source and source not in index.addresses_of[check.source]:
            seen_by[_translator(index, check.source, check.asked)].append(number)
    return tuple(
        _build_translated_hypothesis(observation, index, part, numbers)
        for part, numbers in sorted(seen_by.items())
    )


def _translator(index: PlanIndex, source: AgentId, asked: AgentId) -> Component:
    if source.cluster == asked.cluster:
        return node_out(source.node_id)
    gateway = index.gateway_towards(source=source.cluster, target=asked.cluster)
    return gateway_out(gateway or NodeId(source.cluster, source.node))


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
