"""Services and names that fail for some questions and not for others: accumulated over intervals.

Rules: only what fails and passes in turn is partial; a service that fails at every question is left to
`diagnosis.services`. A group is named where chance explains its losses with less than `_CHANCE`, at twice the
loss that a healthy service may have. Nodes that lose alike accuse what they share, others their own proxy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, build_hypothesis
from netprobe.analysis.diagnosis.services import absorb, part_itself, proxy_of
from netprobe.analysis.diagnosis.symptom import Answer, Symptom, TablePart
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.analysis.state.service_losses import ServiceLosses
from netprobe.model.arrays import IntArray
from netprobe.model.component import Component, ComponentKind
from netprobe.model.finding import Evidence
from netprobe.model.names import NodeId
from netprobe.model.prose import Prose
from netprobe.model.traffic import opens_new_flows

_HEALTHY = 0.01
"""The share that a healthy service may lose."""
_CHANCE = 1e-5
_ALIKE = 1e-3
"""A node that lost less than the others, with a smaller chance than this, is acquitted."""
_LITTLE = 0.25
"""What lost more than this part of the others' share is not acquitted."""
_MOST = 0.9
"""Beyond this share it fails as a whole."""
_ONSETS = 1.5
"""How often each failing check must have begun to fail: an outage or a rollout begins once."""
_LEAST_ONSETS = 2.5
_LEAST_QUIET, _MOST_QUIET = 3, 20
_PATIENCE = 3
_FADED = 20.0
"""Intervals that faded counts stand for."""


@dataclass(frozen=True, slots=True)
class _QuestionGroup:
    """Checks whose losses are judged together."""

    numbers: IntArray
    asked: float
    lost: float

    @property
    def share(self) -> float:
        return self.lost / max(self.asked, 1e-9)


def find_partly_failing(
    losses: ServiceLosses, index: PlanIndex, *, without: Collection[int]
) -> tuple[Hypothesis, ...]:
    """Service proxies, services, servers and zones that lose a share of what they are asked."""
    suspected = np.flatnonzero((losses.lost > 0) & (losses.quiet <= _MOST_QUIET))
    suspected = suspected[~np.isin(suspected, list(without))]
    targets = dict.fromkeys(_server_of(part_itself(index.checks[number])) for number in suspected.tolist())
    blamed: dict[Component, set[int]] = defaultdict(set)
    for target in targets:
        asked = [c for c in _checks_of(index, target) if losses.asked[c.number] > 0]
        left = [c for c in asked if c.number not in without]
        # The rest of what is explained already says nothing of the nodes whose losses are left out.
        is_rest = any(c.number in without and losses.lost[c.number] > 0 for c in asked)
        for part, numbers in _blame_names(losses, left):
            if not is_rest or part.kind is not ComponentKind.SERVICE_PROXY:
                blamed[part].update(numbers)
    return tuple(_build(losses, index, part, numbers) for part, numbers in absorb(blamed).items())


def _server_of(part: Component) -> Component:
    """A DNS server for each of its zones; every other part is its own."""
    return part.without_detail() if part.zone else part


def _blame_names(losses: ServiceLosses, checks: list[CheckFacts]) -> Iterator[tuple[Component, list[int]]]:
    """All names of a server are judged together, and only where that shows nothing zone by zone."""
    zones: dict[Component, list[CheckFacts]] = defaultdict(list)
    for check in checks:
        zones[part_itself(check)].append(check)
    found = list(_blame(losses, checks))
    if not found and len(zones) > 1:
        found = [one for group in zones.values() for one in _blame(losses, group)]
    for part, numbers in found:
        yield (_zone_or_server(losses, zones) if part.kind is ComponentKind.DNS else part), numbers


def _zone_or_server(losses: ServiceLosses, zones: Mapping[Component, list[CheckFacts]]) -> Component:
    """The zone that loses most, or the server where its other names are lost as well."""
    groups = {zone: _gather(losses, checks) for zone, checks in zones.items()}
    worst = max(groups, key=lambda zone: groups[zone].share)
    rest = [check for zone, checks in zones.items() if zone != worst for check in checks]
    if not rest or _is_acquitted(_gather(losses, rest), groups[worst].share):
        return worst
    return _server_of(worst)


def _is_acquitted(group: _QuestionGroup, rate: float) -> bool:
    """Whether a group lost so little that what others lose at *rate* is not its trouble."""
    return group.share <= _LITTLE * rate and _chance_of_fewer(group, rate) <= _ALIKE


def _checks_of(index: PlanIndex, part: Component) -> list[CheckFacts]:
    """The checks whose last part is *part*, or a zone of it."""
    return [
        index.checks[number]
        for number in sorted(index.crossing[part])
        if index.served[number] and _server_of(part_itself(index.checks[number])) == part
    ]


def _blame(losses: ServiceLosses, checks: list[CheckFacts]) -> Iterator[tuple[Component, list[int]]]:
    by_node: dict[NodeId, list[CheckFacts]] = defaultdict(list)
    # One flow stays with one endpoint: it says nothing of a share, and makes nodes look different.
    for check in [check for check in checks if opens_new_flows(check.check)] or checks:
        by_node[check.source.node_id].append(check)
    groups = {node: _gather(losses, found) for node, found in by_node.items()}
    bad = {node: group for node, group in groups.items() if _is_partly(losses, group)}
    whole = _gather(losses, [check for found in by_node.values() for check in found])
    if not bad and not _is_partly(losses, whole):
        return
    if not bad:
        yield part_itself(checks[0]), whole.numbers.tolist()
        return
    rate = sum(group.lost for group in bad.values()) / sum(group.asked for group in bad.values())
    others = [group for node, group in groups.items() if node not in bad]
    is_acquitted = any(_is_acquitted(group, rate) for group in others)
    if len(bad) > 1 and not is_acquitted:
        yield part_itself(checks[0]), whole.numbers.tolist()
    elif is_acquitted or not others:
        for node, group in bad.items():
            yield proxy_of(by_node[node][0]), group.numbers.tolist()


def _gather(losses: ServiceLosses, checks: list[CheckFacts]) -> _QuestionGroup:
    numbers = np.array([check.number for check in checks], np.int64)
    return _QuestionGroup(numbers, float(losses.asked[numbers].sum()), float(losses.lost[numbers].sum()))


def _is_partly(losses: ServiceLosses, group: _QuestionGroup) -> bool:
    failing = group.numbers[losses.lost[group.numbers] > 0]
    if not len(failing) or group.share > _MOST:
        return False
    onsets = losses.onsets[failing]
    is_again = float(onsets.max()) >= _ONSETS and float(onsets.sum()) >= _LEAST_ONSETS
    return is_again and _is_fresh(losses, group) and _chance_of_more(group, 2 * _HEALTHY) < _CHANCE


def _is_fresh(losses: ServiceLosses, group: _QuestionGroup) -> bool:
    """Whether it has not been quiet for longer than its rate explains."""
    per_interval = max(group.asked / _FADED, 0.1)
    expected = np.log(_ALIKE) / (per_interval * np.log1p(-min(group.share, 0.99)))
    quiet = int(losses.quiet[group.numbers].min())
    return bool(quiet <= np.clip(expected, _LEAST_QUIET, _MOST_QUIET))


def _chance_of_more(group: _QuestionGroup, rate: float) -> float:
    """Chernoff's bound on losing so much, or more, at *rate*."""
    return 1.0 if group.share <= rate else _bound(group, rate)


def _chance_of_fewer(group: _QuestionGroup, rate: float) -> float:
    """Chernoff's bound on losing so little, or less, at *rate*."""
    return 1.0 if group.share >= rate else _bound(group, rate)


def _bound(group: _QuestionGroup, rate: float) -> float:
    share, rate = min(max(group.share, 1e-9), 1 - 1e-9), min(max(rate, 1e-9), 1 - 1e-9)
    distance = share * np.log(share / rate) + (1 - share) * np.log((1 - share) / (1 - rate))
    return float(np.exp(-group.asked * distance))


def _build(losses: ServiceLosses, index: PlanIndex, part: Component, numbers: set[int]) -> Hypothesis:
    checks = np.array(sorted(numbers), np.int64)
    failing = checks[losses.lost[checks] > 0].tolist()
    loss = min(1.0, float(losses.lost[failing].sum() / max(losses.losing[failing].sum(), 1.0)))
    nodes = {index.checks[number].source.node_id for number in failing}
    is_dns = all(index.checks[number].aspect is Aspect.DNS for number in failing)
    kind = TablePart.DNS_ZONE if part.zone else part.kind
    where = f"{part.source} {part.service_name}".rstrip()
    text = (
        f"{len(failing)} of {len(checks)} checks from {len(nodes)} nodes fail now and then: lately "
        f"{100 * loss:.0f} % of what they ask"
    )
    return build_hypothesis(
        Symptom(kind, answer=Answer.LOSSY),
        (part,),
        core=failing,
        explained=index.crossing.get(part, frozenset()) & frozenset(np.flatnonzero(index.served).tolist()),
        words={
            "where": where,
            "zone": part.zone,
            "port": part.port,
            "loss": f"{100 * loss:.0f} %",
            "detail": "DNS questions" if is_dns else "questions to services",
        },
        evidence=(Evidence(Prose(text), index.ids(failing)), *_others(losses, index, checks)),
        loss=round(loss, 3),
        patience=_PATIENCE,
    )


def _others(losses: ServiceLosses, index: PlanIndex, checks: IntArray) -> Iterator[Evidence]:
    """Checks that ask the same and lose nothing."""
    targets = {_server_of(part_itself(index.checks[number])) for number in checks.tolist()}
    same = {check.number for target in targets for check in _checks_of(index, target)}
    fine = [
        n for n in sorted(same.difference(checks.tolist())) if losses.asked[n] > 0 and losses.lost[n] < 1e-3
    ]
    if fine:
        nodes = {index.checks[number].source.node_id for number in fine}
        text = f"{len(fine)} checks of the same from {len(nodes)} other nodes lose nothing"
        yield Evidence(Prose(text), index.ids(fine))
