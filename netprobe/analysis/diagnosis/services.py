"""Detects failing services and names: they fail although every endpoint behind them can be reached.

Rule: a service or name that fails where something behind it is broken is hidden, not broken. Only what fails
while its endpoints are healthy is looked up in the decision table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import comb

import numpy as np

from netprobe.analysis.diagnosis.agent_lag import LagTolerance
from netprobe.analysis.diagnosis.hypothesis import Hypothesis, build_hypothesis
from netprobe.analysis.diagnosis.loss_chance import is_share_of_all
from netprobe.analysis.diagnosis.symptom import Answer, Symptom, TablePart
from netprobe.analysis.intervals.observation import CheckObservation, IntervalObservation
from netprobe.analysis.plan.index import (
    Aspect,
    CheckFacts,
    PlanIndex,
    column_of,
)
from netprobe.model.component import Component, ComponentKind
from netprobe.model.finding import Evidence
from netprobe.model.names import AgentId, NodeId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.prose import Prose
from netprobe.probes.rejection import Meaning, meaning_of

_CHANCE = 0.005
_ROLLOUT_INTERVALS = 6
"""A service that loses its endpoints is refused by one node after the other, as each rewrites its rules."""
_TIRED_INTERVALS = 3
"""Intervals that a service or server must fail for all nodes where lag may be the reason."""


@dataclass(slots=True)
class ServiceBackends:
    """Which agents are behind services and DNS servers, as far as it is known."""

    index: PlanIndex
    not_dns: set[NodeId] = field(default_factory=set)
    """Nodes whose trouble left their cluster's DNS server answering: it does not run there."""

    def dns_agents(self, check: CheckFacts) -> tuple[AgentId, ...]:
        """Pod agents of the nodes on which the DNS server may run."""
        pods = self.index.pods_in.get(check.source.cluster, ())
        return tuple(agent for agent in pods if agent.node_id not in self.not_dns)

    def behind(self, check: CheckFacts) -> tuple[AgentId, ...]:
        """Agents that answer a service or name, or run where its server may run."""
        found = self.index.endpoints(check) if check.aspect is Aspect.SERVICE else ()
        return found or self.dns_agents(check)

    def learn(self, observation: IntervalObservation, down: Iterable[NodeId]) -> None:
        """A name that is answered while a node is down is not answered by that node."""
        gone = frozenset(down)
        if not gone:
            return
        answered = {
            self.index.checks[number].source.cluster
            for number in np.flatnonzero(observation.seen.is_good & self.index.served).tolist()
            if self.index.checks[number].aspect is Aspect.DNS
        }
        self.not_dns |= {node for node in gone if node.cluster in answered}


def find_excused(
    observation: IntervalObservation,
    backends: ServiceBackends,
    *,
    shaky: frozenset[AgentId],
    troubled: frozenset[int],
    without_udp: frozenset[NodeId] = frozenset(),
) -> frozenset[int]:
    """Troubled service and DNS checks behind which something else is broken.

    A name is not answered from nodes *without_udp*.
    """
    excused: set[int] = set()
    balanced: dict[tuple[NodeId, str], list[tuple[int, float]]] = defaultdict(list)
    for number in observation.troubled:
        check = backends.index.checks[number]
        if check.aspect not in {Aspect.SERVICE, Aspect.DNS}:
            continue
        share = _shaky_share(observation, backends, check, shaky, troubled)
        if check.aspect is Aspect.DNS and not share:
            share = float(any(agent.node_id in without_udp for agent in backends.dns_agents(check)))
        if not share:
            continue
        if check.check.probe.kind in {"http", "tcp"}:
            balanced[check.source.node_id, check.check.target.name].append((number, share))
        else:
            excused.add(number)  # one flow stays with the endpoint that connection tracking chose
    for checks in balanced.values():
        if not _is_beyond_chance(observation, checks):
            excused |= {number for number, _ in checks}
    return frozenset(excused)


def find_unsure(
    observation: IntervalObservation, backends: ServiceBackends, *, shaky: frozenset[AgentId]
) -> frozenset[int]:
    """Troubled service and DNS checks behind which anything at all may fail for reasons of its own."""
    index, troubled = backends.index, observation.troubled

    def is_unsure(check: CheckFacts) -> bool:
        """A refusal, too, may be one endpoint's own, where a firewall of its node rejects."""
        if check.aspect is Aspect.DNS:
            behind = backends.dns_agents(check)
            return any(_is_cut_off(observation, index, check, agent, troubled) for agent in behind)
        behind = index.endpoints(check)
        return any(_is_shaky(index, check.source, agent, shaky, troubled) for agent in behind)

    checks = (index.checks[number] for number in troubled if index.served[number])
    return frozenset(check.number for check in checks if is_unsure(check))


def _shaky_share(
    observation: IntervalObservation,
    backends: ServiceBackends,
    check: CheckFacts,
    shaky: frozenset[AgentId],
    troubled: frozenset[int],
) -> float:
    """The share of the agents behind a check that may fail for reasons of their own."""
    behind = backends.index.endpoints(check) if check.aspect is Aspect.SERVICE else backends.dns_agents(check)
    if _is_refused(observation.seen[check.number]):
        failing = sum(
            agent in observation.missing for agent in behind
        )  # silence does not refuse, a dead agent does
    elif check.aspect is Aspect.DNS:
        failing = sum(_is_cut_off(observation, backends.index, check, agent, troubled) for agent in behind)
    else:
        failing = sum(_is_shaky(backends.index, check.source, agent, shaky, troubled) for agent in behind)
    return failing / max(1, len(behind))


def _is_cut_off(
    observation: IntervalObservation,
    index: PlanIndex,
    asking: CheckFacts,
    behind: AgentId,
    troubled: frozenset[int],
) -> bool:
    """Whether pods of a node may be out of reach, whatever its agents and their ports do.

    A question over IPv6 is cut off where IPv6 is, though pings over IPv4 are answered.
    """
    if all(agent in observation.missing for agent in index.agents_on[behind.node_id]):
        return True
    telling = {Aspect.ICMP, Aspect.V6} if ":" in asking.check.target.address else {Aspect.ICMP}
    pair = index.of_pair.get((asking.source, behind), ())
    return any(check.number in troubled and check.aspect in telling for check in pair)


def _is_beyond_chance(observation: IntervalObservation, checks: list[tuple[int, float]]) -> bool:
    """Whether more connections of one node failed than shaky endpoints explain (binomial tail).

    Every connection is balanced again, so one shaky endpoint of three spoils about a third of them.
    """
    asked = sum(observation.seen[number].asked for number, _ in checks)
    failed = sum(observation.seen[number].asked - observation.seen[number].reached for number, _ in checks)
    share = max(share for _, share in checks)
    tail = sum(comb(asked, n) * share**n * (1 - share) ** (asked - n) for n in range(failed, asked + 1))
    return tail < _CHANCE


def _is_refused(seen: CheckObservation) -> bool:
    """By the proxy or an endpoint; another ICMP error comes from the way to an endpoint."""
    told = seen.window.rejection
    said_no = seen.window.count(OutcomeKind.REFUSED)
    if told is None or meaning_of(told) is Meaning.CLOSED:
        said_no += seen.window.count(OutcomeKind.REJECTED)
    return said_no == seen.asked - seen.reached


def _is_shaky(
    index: PlanIndex, source: AgentId, behind: AgentId, shaky: frozenset[AgentId], troubled: frozenset[int]
) -> bool:
    if behind in shaky:
        return True
    pair = index.of_pair.get((source, behind), ())
    return any(check.number in troubled and check.aspect is not Aspect.LARGE for check in pair)


def find_failing(
    observation: IntervalObservation,
    backends: ServiceBackends,
    doubt: LagTolerance,
    *,
    before: Sequence[IntervalObservation] = (),
    without: frozenset[int],
) -> tuple[Hypothesis, ...]:
    """Service proxies, services and DNS servers that fail beside healthy endpoints.

    What chance explains, because the service loses a share of all its questions, is left to
    `diagnosis.service_loss`; *before* are the intervals before this one, oldest first.
    """
    index = backends.index
    dead = frozenset(np.flatnonzero(observation.seen.is_dead & index.served).tolist()) - without
    columns = dict.fromkeys(column_of(index.checks[number]) for number in sorted(dead))
    blamed: dict[Component, set[int]] = defaultdict(set)
    for column in columns:
        checks = [check for check in index.columns[column] if check.number in observation.seen]
        for part, numbers in _blame_column(observation, checks, without=without).items():
            others = _find_others(index, checks[0], numbers)
            if numbers and not is_share_of_all((*before, observation), index, numbers, others):
                blamed[part] |= numbers
    return tuple(
        _build_hypothesis(
            observation, index, part, numbers, patience=_find_patience(backends, doubt, part, numbers)
        )
        for part, numbers in absorb(blamed).items()
    )


def _blame_column(
    observation: IntervalObservation, checks: list[CheckFacts], *, without: frozenset[int]
) -> dict[Component, set[int]]:
    """Dead from every node: the service itself. Dead from some: their proxies.

    Checks in *without* accuse no part, but where they are dead too they do not acquit the service either.
    """
    dead: dict[NodeId, set[int]] = defaultdict(set)
    alive: set[NodeId] = set()
    for check in checks:
        if observation.seen[check.number].is_dead:
            dead[check.source.node_id].add(check.number)
        else:
            alive.add(check.source.node_id)
    dying = {node: numbers - without for node, numbers in dead.items() if node not in alive}
    if not any(dying.values()):
        return {}
    if not alive and len(dying) > 1:
        numbers = set().union(*dying.values())
        part = part_itself(checks[0])
        if part.kind is ComponentKind.FIREWALL_RULE and _answer(observation, numbers) is Answer.REFUSED:
            part = proxy_of(checks[0])  # no process listens at the node's port: its proxy does not know it
        return {part: numbers}
    by_node = {check.source.node_id: check for check in checks}
    return {proxy_of(by_node[node]): numbers for node, numbers in dying.items() if numbers}


def _find_others(index: PlanIndex, check: CheckFacts, dead: frozenset[int] | set[int]) -> frozenset[int]:
    """Checks of the same service or server from the nodes that no check of *dead* is from, else from all."""
    last = part_itself(check)
    same = index.crossing[last.without_detail() if last.zone else last] - dead
    nodes = {index.checks[number].source.node_id for number in dead}
    elsewhere = frozenset(number for number in same if index.checks[number].source.node_id not in nodes)
    return elsewhere or same


def part_itself(check: CheckFacts) -> Component:
    """The last part of the way: the zone, else the server; the node's port, else the service."""
    return check.legs.forward[-1]


def proxy_of(check: CheckFacts) -> Component:
    """The service proxy of the asking node."""
    return next(part for part in check.legs.forward if part.kind is ComponentKind.SERVICE_PROXY)


def absorb(blamed: dict[Component, set[int]]) -> dict[Component, set[int]]:
    """A dead DNS server explains its zones, a node's stale proxy the ports of that node."""
    proxies = {part.node: part for part in blamed if part.kind is ComponentKind.SERVICE_PROXY}
    servers = {part.cluster for part in blamed if part.kind is ComponentKind.DNS and not part.zone}
    found: dict[Component, set[int]] = {}
    for part, numbers in blamed.items():
        if part.zone and part.cluster in servers:
            found.setdefault(part.without_detail(), set()).update(numbers)
        elif part.kind is ComponentKind.FIREWALL_RULE and part.node in proxies:
            found.setdefault(proxies[part.node], set()).update(numbers)
        else:
            found.setdefault(part, set()).update(numbers)
    return found


def _build_hypothesis(
    observation: IntervalObservation, index: PlanIndex, part: Component, numbers: set[int], *, patience: int
) -> Hypothesis:
    is_zone = bool(part.zone)
    ids = index.ids(numbers)
    nodes = {index.checks[number].source.node_id for number in numbers}
    where = f"{part.source} {part.service_name}".rstrip()
    answer = _answer(observation, numbers)
    is_refusing_alone = part.kind is ComponentKind.SERVICE_PROXY and answer is Answer.REFUSED
    return build_hypothesis(
        Symptom(TablePart.DNS_ZONE if is_zone else part.kind, answer=answer),
        (part,),
        core=numbers,
        explained=index.crossing.get(part, frozenset()),
        words={"where": where, "zone": part.zone, "port": part.port},
        evidence=(
            Evidence(
                Prose(f"{len(numbers)} checks from {len(nodes)} nodes fail: {_words(observation, numbers)}"),
                ids,
            ),
        ),
        against=_against(observation, index, part),
        is_solid=not any(_is_half(observation, number) for number in index.crossing[part])
        and not _is_answered_beside(observation, index, part, numbers),
        patience=_ROLLOUT_INTERVALS if is_refusing_alone else patience,
    )


def _find_patience(
    backends: ServiceBackends, doubt: LagTolerance, part: Component, numbers: Iterable[int]
) -> int:
    """Where agents lag, some nodes fail before others, which looks like their own fault."""
    checks = (backends.index.checks[number] for number in numbers)
    most = _ROLLOUT_INTERVALS if part.kind is ComponentKind.SERVICE_PROXY else _TIRED_INTERVALS
    return doubt.patience(((check, backends.behind(check)) for check in checks), most=most)


def _is_answered_beside(
    observation: IntervalObservation, index: PlanIndex, part: Component, numbers: set[int]
) -> bool:
    """Whether a node whose proxy is accused got another name from the same server at the same address."""
    if part.kind is not ComponentKind.SERVICE_PROXY:
        return False
    asked = {
        (index.checks[n].source.node_id, index.checks[n].check.target.address)
        for n in numbers
        if index.checks[n].aspect is Aspect.DNS
    }
    return any(
        (check.source.node_id, check.check.target.address) in asked and observation.seen.reached[check.number]
        for check in map(index.checks.__getitem__, index.crossing[part])
        if check.aspect is Aspect.DNS
    )


def _is_half(observation: IntervalObservation, number: int) -> bool:
    seen = observation.seen.get(number)
    return seen is not None and seen.is_troubled and not seen.is_dead


def _against(observation: IntervalObservation, index: PlanIndex, part: Component) -> tuple[Evidence, ...]:
    good = [n for n in index.crossing[part] if n in observation.seen and observation.seen[n].is_good]
    return (Evidence(Prose(f"{len(good)} checks that cross it are fine"), index.ids(good)),) if good else ()


def _answer(observation: IntervalObservation, numbers: Iterable[int]) -> Answer:
    refused = silent = 0
    for number in numbers:
        window = observation.seen[number].window
        refused += window.count(OutcomeKind.REFUSED) + window.count(OutcomeKind.REJECTED)
        silent += window.count(OutcomeKind.TIMED_OUT)
    return Answer.REFUSED if refused > silent else Answer.SILENT


def _words(observation: IntervalObservation, numbers: Iterable[int]) -> str:
    windows = (observation.seen[number].window for number in numbers)
    told = sorted({str(window.detail) for window in windows if window.detail})
    return "; ".join(told[:2]) or "no answer"
