"""Answers from strangers and translated sources: packets pass, and something is wrong all the same."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, suppose
from netprobe.analysis.diagnosis.symptom import Answer, Note, Symptom
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.component import Component, gateway_out, node_out, pod_in
from netprobe.model.finding import Evidence
from netprobe.model.names import AgentId, ClusterName, NodeId, Plane


def find_wrong_peers(look: IntervalObservation, facts: PlanIndex) -> tuple[Hypothesis, ...]:
    """Somebody else answers at an agent's address: the asking clusters' gateways lead astray."""
    astray: dict[tuple[ClusterName, AgentId], list[int]] = defaultdict(list)
    for number in np.flatnonzero(look.seen.wrong).tolist():
        check = facts.checks[number]
        if check.asked is not None:
            astray[check.source.cluster, check.asked].append(number)
    by_part: dict[Component, list[int]] = defaultdict(list)
    clusters: dict[Component, set[tuple[ClusterName, AgentId]]] = defaultdict(set)
    for (cluster, victim), numbers in astray.items():
        part = _blame(facts, cluster, victim)
        by_part[part] += numbers
        clusters[part].add((cluster, victim))
    return tuple(
        _suppose_astray(look, facts, part, numbers, clusters[part])
        for part, numbers in sorted(by_part.items())
    )


def _blame(facts: PlanIndex, cluster: ClusterName, victim: AgentId) -> Component:
    gateway = facts.gateway_towards(source=cluster, target=victim.cluster)
    if cluster == victim.cluster or gateway is None:
        return pod_in(victim.node_id)
    return gateway_out(gateway)


def _suppose_astray(
    look: IntervalObservation,
    facts: PlanIndex,
    part: Component,
    numbers: list[int],
    between: set[tuple[ClusterName, AgentId]],
) -> Hypothesis:
    victims = sorted({str(victim) for _, victim in between})
    answering = sorted({look.seen[number].window.answered_by for number in numbers} - {""})
    touched = {
        check.number
        for cluster, victim in between
        for check in facts.checks
        if _is_between(check.source, check.asked, cluster, victim)
    }
    detail = f"{' and '.join(answering) or 'somebody else'} answers instead of {' and '.join(victims)}"
    return suppose(
        Symptom(part.kind, answer=Answer.WRONG_PEER),
        (part,),
        core=numbers,
        explained=touched,
        words={"detail": detail},
        evidence=(Evidence(detail, facts.ids(numbers)),),
    )


def _is_between(source: AgentId, asked: AgentId | None, cluster: ClusterName, victim: AgentId) -> bool:
    return (asked == victim and source.cluster == cluster) or (
        source == victim and asked is not None and asked.cluster == cluster
    )


def find_translated(look: IntervalObservation, facts: PlanIndex) -> tuple[Hypothesis, ...]:
    """Pods whose source address is not theirs when it arrives; nodes have many addresses and are left out."""
    seen_by: dict[Component, list[int]] = defaultdict(list)
    for number, window in look.seen.windows.items():
        check = facts.checks[number]
        if check.source.plane is not Plane.POD or check.asked is None or not look.seen.reached[number]:
            continue
        source = window.observed_source
        if source and source not in facts.addresses_of[check.source]:
            seen_by[_translator(facts, check.source, check.asked)].append(number)
    return tuple(_suppose_translated(look, facts, part, numbers) for part, numbers in sorted(seen_by.items()))


def _translator(facts: PlanIndex, source: AgentId, asked: AgentId) -> Component:
    if source.cluster == asked.cluster:
        return node_out(source.node_id)
    gateway = facts.gateway_towards(source=source.cluster, target=asked.cluster)
    return gateway_out(gateway or NodeId(source.cluster, source.node))


def _suppose_translated(
    look: IntervalObservation, facts: PlanIndex, part: Component, numbers: list[int]
) -> Hypothesis:
    examples = sorted({(str(facts.checks[n].source), look.seen[n].window.observed_source) for n in numbers})
    agent, source = examples[0]
    return suppose(
        Symptom(part.kind, note=Note.SNAT),
        (part,),
        core=numbers,
        words={"detail": f"{agent} is seen as {source}"},
        evidence=(
            Evidence(
                f"{len(examples)} agents are seen under an address that is not theirs, as {agent} under "
                f"{source}",
                facts.ids(numbers),
            ),
        ),
    )
