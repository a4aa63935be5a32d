"""Services and names: what fails although every endpoint behind it can be reached.

Rule: a service or name that fails where something behind it is broken is hidden, not broken. Only what fails
beside healthy endpoints is put to the table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import comb

import numpy as np

from netprobe.analysis.diagnosis.agent_lag import LagTolerance
from netprobe.analysis.diagnosis.hypothesis import Hypothesis, suppose
from netprobe.analysis.diagnosis.symptom import Symptom
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

_CHANCE = 0.005
_ROLLOUT_FRAMES = 6
"""A service that loses its endpoints is refused by one node after the other, as each rewrites its rules."""
_TIRED_FRAMES = 3
"""So long a service or server must fail for all nodes where lag may be why."""


@dataclass(slots=True)
class ServiceBackends:
    """Who stands behind services and DNS servers, as far as it is known."""

    facts: PlanIndex
    not_dns: set[NodeId] = field(default_factory=set)
    """Nodes whose trouble left their cluster's DNS server answering: it does not stand there."""

    def dns_agents(self, check: CheckFacts) -> tuple[AgentId, ...]:
        """Pod agents of the nodes on which the DNS server may stand."""
        pods = self.facts.pods_in.get(check.source.cluster, ())
        return tuple(agent for agent in pods if agent.node_id not in self.not_dns)

    def behind(self, check: CheckFacts) -> tuple[AgentId, ...]:
        """Agents that answer a service or name, or stand where its server may stand."""
        found = self.facts.endpoints(check) if check.aspect is Aspect.SERVICE else ()
        return found or self.dns_agents(check)

    def learn(self, look: IntervalObservation, down: Iterable[NodeId]) -> None:
        """A name that is answered while a node is down is not answered by that node."""
        gone = frozenset(down)
        if not gone:
            return
        answered = {
            self.facts.checks[number].source.cluster
            for number in np.flatnonzero(look.seen.is_good & self.facts.served).tolist()
            if self.facts.checks[number].aspect is Aspect.DNS
        }
        self.not_dns |= {node for node in gone if node.cluster in answered}


def find_excused(
    look: IntervalObservation,
    servants: ServiceBackends,
    *,
    shaky: frozenset[AgentId],
    troubled: frozenset[int],
) -> frozenset[int]:
    """Troubled service and DNS checks behind which something else is broken."""
    excused: set[int] = set()
    balanced: dict[tuple[NodeId, str], list[tuple[int, float]]] = defaultdict(list)
    for number in look.troubled:
        check = servants.facts.checks[number]
        if check.aspect not in {Aspect.SERVICE, Aspect.DNS}:
            continue
        share = _shaky_share(look, servants, check, shaky, troubled)
        if not share:
            continue
        if check.check.probe.kind in {"http", "tcp"}:
            balanced[check.source.node_id, check.check.target.name].append((number, share))
        else:
            excused.add(number)  # one flow stays with the endpoint that connection tracking chose
    for checks in balanced.values():
        if not _is_beyond_chance(look, checks):
            excused |= {number for number, _ in checks}
    return frozenset(excused)


def _shaky_share(
    look: IntervalObservation,
    servants: ServiceBackends,
    check: CheckFacts,
    shaky: frozenset[AgentId],
    troubled: frozenset[int],
) -> float:
    """The share of what stands behind a check that may fail for reasons of its own."""
    behind = servants.facts.endpoints(check) if check.aspect is Aspect.SERVICE else servants.dns_agents(check)
    if _is_refused(look.seen[check.number]):
        failing = sum(agent in look.missing for agent in behind)  # silence does not refuse, a dead agent does
    elif check.aspect is Aspect.DNS:
        failing = sum(_is_cut_off(look, servants.facts, check.source, agent) for agent in behind)
    else:
        failing = sum(_is_shaky(servants.facts, check.source, agent, shaky, troubled) for agent in behind)
    return failing / max(1, len(behind))


def _is_cut_off(look: IntervalObservation, facts: PlanIndex, source: AgentId, behind: AgentId) -> bool:
    """Whether pods of a node may be out of reach, whatever its agents and their ports do."""
    if all(agent in look.missing for agent in facts.agents_on[behind.node_id]):
        return True
    pair = facts.of_pair.get((source, behind), ())
    return any(check.number in look.troubled and check.aspect is Aspect.ICMP for check in pair)


def _is_beyond_chance(look: IntervalObservation, checks: list[tuple[int, float]]) -> bool:
    """Whether more connections of one node failed than shaky endpoints explain (binomial tail).

    Every connection is balanced anew, so one shaky endpoint of three spoils about a third of them.
    """
    asked = sum(look.seen[number].asked for number, _ in checks)
    failed = sum(look.seen[number].asked - look.seen[number].reached for number, _ in checks)
    share = max(share for _, share in checks)
    tail = sum(comb(asked, n) * share**n * (1 - share) ** (asked - n) for n in range(failed, asked + 1))
    return tail < _CHANCE


def _is_refused(seen: CheckObservation) -> bool:
    said_no = seen.window.count(OutcomeKind.REFUSED) + seen.window.count(OutcomeKind.REJECTED)
    return said_no == seen.asked - seen.reached


def _is_shaky(
    facts: PlanIndex, source: AgentId, behind: AgentId, shaky: frozenset[AgentId], troubled: frozenset[int]
) -> bool:
    if behind in shaky:
        return True
    pair = facts.of_pair.get((source, behind), ())
    return any(check.number in troubled and check.aspect is not Aspect.LARGE for check in pair)


def find_failing(
    look: IntervalObservation, servants: ServiceBackends, doubt: LagTolerance, *, without: frozenset[int]
) -> tuple[Hypothesis, ...]:
    """Service proxies, services and DNS servers that fail beside healthy endpoints."""
    facts = servants.facts
    dead = frozenset(np.flatnonzero(look.seen.is_dead & facts.served).tolist()) - without
    columns = dict.fromkeys(column_of(facts.checks[number]) for number in sorted(dead))
    blamed: dict[Component, set[int]] = defaultdict(set)
    for column in columns:
        checks = [check for check in facts.columns[column] if check.number in look.seen]
        for part, numbers in _blame_column(look, checks, without=without).items():
            blamed[part] |= numbers
    return tuple(
        _suppose(look, facts, part, numbers, patience=_find_patience(servants, doubt, part, numbers))
        for part, numbers in _absorb(blamed).items()
    )


def _blame_column(
    look: IntervalObservation, checks: list[CheckFacts], *, without: frozenset[int]
) -> dict[Component, set[int]]:
    """Dead from every node: the service itself. Dead from some: their proxies.

    What is left aside accuses nobody, but where it is dead too it does not speak for the service either.
    """
    dead: dict[NodeId, set[int]] = defaultdict(set)
    alive: set[NodeId] = set()
    for check in checks:
        if look.seen[check.number].is_dead:
            dead[check.source.node_id].add(check.number)
        else:
            alive.add(check.source.node_id)
    dying = {node: numbers - without for node, numbers in dead.items() if node not in alive}
    if not any(dying.values()):
        return {}
    if not alive and len(dying) > 1:
        numbers = set().union(*dying.values())
        part = _part_itself(checks[0])
        if part.kind is ComponentKind.FIREWALL_RULE and _answer(look, numbers) == "refused":
            part = _proxy(checks[0])  # nobody listens at the node's port: its proxy does not know it
        return {part: numbers}
    by_node = {check.source.node_id: check for check in checks}
    return {_proxy(by_node[node]): numbers for node, numbers in dying.items() if numbers}


def _part_itself(check: CheckFacts) -> Component:
    """The last part of the way: the zone, else the server; the node's port, else the service."""
    return check.legs.forward[-1]


def _proxy(check: CheckFacts) -> Component:
    return next(part for part in check.legs.forward if part.kind is ComponentKind.SERVICE_PROXY)


def _absorb(blamed: dict[Component, set[int]]) -> dict[Component, set[int]]:
    """A dead DNS server explains its zones, a node's stale proxy the ports of that node."""
    proxies = {part.source: part for part in blamed if part.kind is ComponentKind.SERVICE_PROXY}
    servers = {(part.source) for part in blamed if part.kind is ComponentKind.DNS and not part.detail}
    found: dict[Component, set[int]] = {}
    for part, numbers in blamed.items():
        if part.kind is ComponentKind.DNS and part.detail and part.source in servers:
            found.setdefault(Component(part.kind, part.source), set()).update(numbers)
        elif part.kind is ComponentKind.FIREWALL_RULE and part.source in proxies:
            found.setdefault(proxies[part.source], set()).update(numbers)
        else:
            found.setdefault(part, set()).update(numbers)
    return found


def _suppose(
    look: IntervalObservation, facts: PlanIndex, part: Component, numbers: set[int], *, patience: int
) -> Hypothesis:
    is_zone = part.kind is ComponentKind.DNS and part.detail
    ids = facts.ids(numbers)
    nodes = {facts.checks[number].source.node_id for number in numbers}
    where = f"{part.source} {part.detail}" if part.kind is ComponentKind.SERVICE else part.source
    answer = _answer(look, numbers)
    is_refusing_alone = part.kind is ComponentKind.SERVICE_PROXY and answer == "refused"
    return suppose(
        Symptom("dns-zone" if is_zone else str(part.kind), answer=answer),
        (part,),
        core=numbers,
        explained=facts.crossing.get(part, frozenset()),
        words={"where": where, "zone": part.detail, "door": part.detail},
        evidence=(
            Evidence(f"{len(numbers)} checks from {len(nodes)} nodes fail: {_words(look, numbers)}", ids),
        ),
        against=_against(look, facts, part),
        is_solid=not any(_is_half(look, number) for number in facts.crossing[part]),
        patience=_ROLLOUT_FRAMES if is_refusing_alone else patience,
    )


def _find_patience(
    servants: ServiceBackends, doubt: LagTolerance, part: Component, numbers: Iterable[int]
) -> int:
    """Where agents lag, some nodes fail before others, which looks like their own fault."""
    checks = (servants.facts.checks[number] for number in numbers)
    most = _ROLLOUT_FRAMES if part.kind is ComponentKind.SERVICE_PROXY else _TIRED_FRAMES
    return doubt.patience(((check, servants.behind(check)) for check in checks), most=most)


def _is_half(look: IntervalObservation, number: int) -> bool:
    seen = look.seen.get(number)
    return seen is not None and seen.is_troubled and not seen.is_dead


def _against(look: IntervalObservation, facts: PlanIndex, part: Component) -> tuple[Evidence, ...]:
    good = [n for n in facts.crossing[part] if n in look.seen and look.seen[n].is_good]
    return (Evidence(f"{len(good)} checks that cross it are fine", facts.ids(good)),) if good else ()


def _answer(look: IntervalObservation, numbers: Iterable[int]) -> str:
    refused = silent = 0
    for number in numbers:
        window = look.seen[number].window
        refused += window.count(OutcomeKind.REFUSED) + window.count(OutcomeKind.REJECTED)
        silent += window.count(OutcomeKind.TIMED_OUT)
    return "refused" if refused > silent else "silent"


def _words(look: IntervalObservation, numbers: Iterable[int]) -> str:
    windows = (look.seen[number].window for number in numbers)
    told = sorted({str(window.detail) for window in windows if window.detail})
    return "; ".join(told[:2]) or "no answer"
