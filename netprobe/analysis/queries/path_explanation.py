"""Explains why one end reaches another, or does not: the layers between them in order, then one sentence.

Rules: the caller supplies the health of a part, so that the answer agrees with every picture; what was not
measured is unknown; the sentence names the finding that explains most of what is troubled, if there is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from netprobe.analysis.queries.endpoints import Endpoint, EndpointKind
from netprobe.analysis.queries.pair_contrast import PairContrast, find_contrast
from netprobe.errors import InputError
from netprobe.model import component as parts
from netprobe.model.check import Check, Expectation, Layer, Legs, Probe, Target, TargetKind, check_id
from netprobe.model.component import Component, ComponentKind
from netprobe.model.finding import Finding
from netprobe.model.names import AgentId, CheckId, Plane
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, PathState, PathStatus

_WORST_FIRST = (PathState.DOWN, PathState.DEGRADED, PathState.UNKNOWN, PathState.UP)
_TROUBLED = {PathState.DOWN, PathState.DEGRADED}
_REASONS = 4


class ComponentView(Protocol):
    """The health of a part and which finding says so."""

    @property
    def state(self) -> PathState:
        """The part's state."""

    @property
    def finding(self) -> Finding | None:
        """The finding that blames or hides it."""


@dataclass(frozen=True, slots=True)
class PathStep:
    """One layer of the way."""

    layer: str
    state: PathState | None
    """None where the layer is not on this way."""
    told: str
    """What was measured, or why nothing was."""
    checks: int = 0
    sent: int = 0
    answered: int = 0


@dataclass(frozen=True, slots=True)
class PathExplanation:
    """The answer for one pair."""

    source: Endpoint
    target: Endpoint
    state: PathState
    sentence: str
    reasons: tuple[str, ...]
    steps: tuple[PathStep, ...]
    finding: Finding | None = None
    checks: tuple[Check, ...] = ()
    """What asks exactly this pair."""


_PARTS: tuple[tuple[str, frozenset[ComponentKind]], ...] = (
    ("node", frozenset((ComponentKind.NODE_OUT, ComponentKind.NODE_IN, ComponentKind.POD_OUT,
                        ComponentKind.POD_IN))),
    ("overlay", frozenset((ComponentKind.OVERLAY,))),
    ("gateway", frozenset((ComponentKind.GATEWAY_OUT, ComponentKind.GATEWAY_IN))),
    ("tunnel", frozenset((ComponentKind.TUNNEL, ComponentKind.UNDERLAY))),
    ("service", frozenset((ComponentKind.SERVICE, ComponentKind.SERVICE_PROXY))),
)  # fmt: skip
_POLICY = frozenset((ComponentKind.FIREWALL_RULE,))


def explain_pair(
    snapshot: Snapshot, source: Endpoint, target: Endpoint, *, feels: Callable[[Component], ComponentView]
) -> PathExplanation:
    """Walk the layers from *source* to *target* and say what they add up to.

    Raises `InputError` where *source* is a service: services do not ask.
    """
    if source.kind is EndpointKind.SERVICE:
        raise InputError(f"{source.name} is a service and asks nothing; name an agent, node or cluster")
    pair = _PairChecks(snapshot, source, target, feels)
    finding = pair.find_finding()
    state = pair.state
    steps = tuple(pair.walk())
    return PathExplanation(
        source,
        target,
        state,
        _say(pair, state, finding),
        tuple(_reasons(pair, steps, finding)),
        steps,
        finding,
        pair.checks,
    )


def find_questions(snapshot: Snapshot, why: PathExplanation, *, most: int) -> tuple[Check, ...]:
    """What to ask now about the pair: one planned check of each kind, by agents that are alive.

    Where the plan asks nothing, the first living agent of each plane asks the target's agents of that plane:
    a ping and a connection.
    """
    alive = {status.agent for status in snapshot.agents if status.state is AgentState.ALIVE}
    able = [check for check in why.checks if check.source in alive]
    if why.checks or not why.target.nodes:
        kinds = {(c.probe.kind, c.probe.size, c.source.plane): c for c in reversed(able)}
        return tuple(kinds[key] for key in sorted(kinds))[:most]
    return tuple(_invent(snapshot, why, alive))[:most]


def _invent(snapshot: Snapshot, why: PathExplanation, alive: Collection[AgentId]) -> Iterable[Check]:
    inventory = snapshot.inventory
    agents = list(inventory.iter_agents())
    for plane, layer in ((Plane.POD, Layer.POD), (Plane.HOST, Layer.NODE)):
        here = [a for a in agents if a.plane is plane and why.source.holds(a) and a in alive]
        there = [a for a in agents if a.plane is plane and why.target.holds(a) and a not in here[:1]]
        node = inventory.find_node(there[0].node_id) if there else None
        if here and node is not None:
            aim = Target(TargetKind.AGENT, node.addresses(plane)[0], str(there[0]), there[0].node_id)
            for probe in (Probe("icmp"), Probe("tcp", port=inventory.agent_port)):
                yield Check(check_id(here[0], aim, probe), here[0], aim, probe, layer, 3)


class _PairChecks:
    """The checks of one pair and everything that is known about them."""

    def __init__(
        self,
        snapshot: Snapshot,
        source: Endpoint,
        target: Endpoint,
        feels: Callable[[Component], ComponentView],
    ) -> None:
        self.snapshot, self.source, self.target, self.feels = snapshot, source, target, feels
        self.asked = tuple(check for check in snapshot.checks if source.holds(check.source))
        self.checks = tuple(c for c in self.asked if c.expect is not Expectation.DENY and _is_of(target, c))
        self._status = {path.check: path for path in snapshot.paths}
        wanted = {check.id for check in self.asked}
        self._legs = {legs.check: legs for legs in snapshot.legs if legs.check in wanted}

    def status(self, check: Check) -> PathStatus:
        """The state of a check's path; unknown where there is none."""
        return self._status.get(check.id, PathStatus(check.id, PathState.UNKNOWN, 0))

    def crossed(self, checks: Iterable[Check], kinds: frozenset[ComponentKind]) -> tuple[Component, ...]:
        """The parts of some kinds that checks cross."""
        legs = (self._legs.get(check.id, Legs(check.id, (), ())) for check in checks)
        return tuple(sorted({p for leg in legs for p in leg.crossed if p.kind in kinds}))

    @property
    def state(self) -> PathState:
        """What the pair's own checks say."""
        states = {self.status(check).state for check in self.checks} - {PathState.UNKNOWN}
        if len(states) == 1:
            return states.pop()
        return PathState.DEGRADED if states else PathState.UNKNOWN

    @cached_property
    def contrast(self) -> PairContrast | None:
        """What separates its failing checks from the others."""
        return find_contrast(self.checks, self._status)

    # --- the layers -----------------------------------------------------------------------------

    def walk(self) -> Iterable[PathStep]:
        """Every layer, nearest first."""
        yield self._agents()
        yield self._endpoint()
        for layer, kinds in _PARTS:
            yield self._parts_step(layer, kinds, self.checks)
        names = [check for check in self.asked if check.layer is Layer.DNS]
        yield self._parts_step("DNS", frozenset((ComponentKind.DNS,)), names)
        yield self._mtu()
        yield self._parts_step("policy", _POLICY, self.checks)

    def _agents(self) -> PathStep:
        ends = (self.source, self.target)
        agents = [a for a in self.snapshot.inventory.iter_agents() if any(end.holds(a) for end in ends)]
        known = {status.agent: status for status in self.snapshot.agents}
        states = {agent: known[agent].state if agent in known else AgentState.ABSENT
                  for agent in agents}  # fmt: skip
        odd = [f"{agent} is {state}" for agent, state in states.items() if state is not AgentState.ALIVE]
        told = f"{len(agents) - len(odd)} of {len(agents)} report"
        if odd:
            told += f"; {odd[0]}" + (f" and {len(odd) - 1} more" if len(odd) > 1 else "")
        return PathStep("agent", PathState.UNKNOWN if odd or not agents else PathState.UP, told)

    def _endpoint(self) -> PathStep:
        """Whether the far end answers anybody at all."""
        asked = [c for c in self.snapshot.checks if self.target.is_asked_by(c) and not c.probe.size]
        pings = [check for check in asked if check.probe.kind == "icmp"]
        talks = [c for c in asked if c.probe.kind in {"udp", "tcp", "http"} and c.layer is not Layer.SERVICE]
        if not talks:
            return PathStep("endpoint", PathState.UNKNOWN, "no check asks it directly")
        states = {self.status(check).state for check in talks}
        up = sum(self.status(check).state is PathState.UP for check in talks)
        told = f"{up} of {len(talks)} checks from anywhere are answered by it"
        if states & {PathState.UP, PathState.DEGRADED}:
            return self._counted("endpoint", PathState.UP, talks, told)
        if PathState.DOWN in states and any(self.status(check).state is PathState.UP for check in pings):
            return self._counted("endpoint", PathState.DOWN, talks, f"{told}, though its address pings")
        return self._counted("endpoint", PathState.UNKNOWN, talks, f"{told}: no probe reaches it")

    def _parts_step(self, layer: str, kinds: frozenset[ComponentKind], checks: Sequence[Check]) -> PathStep:
        crossed = self.crossed(checks, kinds)
        if not crossed:
            if self.checks or not (supposed := self._supposed(kinds)):
                return PathStep(layer, None, "not on this way" if self.checks else "no check asks this way")
            state, told = self._feel(supposed)
            return PathStep(layer, state, f"{told or 'fine'}, by what others ask")
        state, told = self._feel(crossed)
        on_it = [check for check in checks if set(self.crossed((check,), kinds))]
        step = self._counted(layer, state, on_it, told)
        if state is PathState.UP and step.sent and not step.answered:
            step = replace(step, told=self._acquit(crossed))
        return step

    def _acquit(self, crossed: Sequence[Component]) -> str:
        """Why parts are called up although nothing of this pair passes them."""
        wanted = set(crossed)
        fine = sum(
            not wanted.isdisjoint(legs.crossed) and self.state_of(legs.check) is PathState.UP
            for legs in self.snapshot.legs
        )
        return f"acquitted by {fine} other checks that pass"

    def state_of(self, check: CheckId) -> PathState:
        """The state of a path by its check; unknown where there is none."""
        status = self._status.get(check)
        return status.state if status else PathState.UNKNOWN

    def _supposed(self, kinds: frozenset[ComponentKind]) -> tuple[Component, ...]:
        """What the path must cross by the inventory, where no check asks it."""
        found: list[Component] = [parts.node_out(node) for node in self.source.nodes]
        found += [parts.node_in(node) for node in self.target.nodes]
        here, there = self.source.cluster, self.target.cluster
        if here != there:
            found += [parts.tunnel(here, there), parts.tunnel(there, here)]
            for name, make in ((here, parts.gateway_out), (there, parts.gateway_in)):
                cluster = self.snapshot.inventory.find_cluster(name)
                found += [make(cluster.node_id(g)) for g in cluster.gateways] if cluster else []
        return tuple(part for part in found if part.kind in kinds)

    def _feel(self, crossed: Sequence[Component]) -> tuple[PathState, str]:
        felt = {part: self.feels(part) for part in crossed}
        worst = min(crossed, key=lambda part: _WORST_FIRST.index(felt[part].state))
        state, finding = felt[worst].state, felt[worst].finding
        if state is PathState.UP:
            return state, ""
        alike = sum(feel.state is state for feel in felt.values())
        told = f"{worst}" + (f" and {alike - 1} more" if alike > 1 else "")
        if state is PathState.UNKNOWN:
            return state, f"{told}: " + (f"hidden by {finding.cause}" if finding else "no probe reaches it")
        return state, f"{told}: {finding.cause if finding else 'nothing explains it yet'}"

    def _mtu(self) -> PathStep:
        large = [check for check in self.checks if check.probe.size]
        small = [check for check in self.checks if not check.probe.size]
        if not large:
            return PathStep("MTU", PathState.UNKNOWN, "no check sends large packets")
        states = {self.status(check).state for check in large}
        state = min(states, key=_WORST_FIRST.index)
        beside = [c for c in small if any(_is_smaller_twin(c, each) for each in large)] or small
        if state in _TROUBLED and not any(self.status(check).state is PathState.UP for check in beside):
            return self._counted("MTU", PathState.UNKNOWN, large, "ordinary packets do not pass either")
        return self._counted(
            "MTU", state, large, f"asked with up to {max(check.probe.size for check in large)} bytes"
        )

    def _counted(self, layer: str, state: PathState, checks: Sequence[Check], told: str) -> PathStep:
        seen = [self.status(check) for check in checks]
        return PathStep(
            layer, state, told, len(checks), sum(s.sent for s in seen), sum(s.answered for s in seen)
        )

    # --- the finding ----------------------------------------------------------------------------

    def find_finding(self) -> Finding | None:
        """The open finding that explains most of what is wrong here; None where there is none."""
        ids = {check.id for check in self.checks}
        troubled = {check for check in ids if self._is_not_up(check)}
        ways = frozenset(ComponentKind)
        crossed = {*self.crossed(self.checks, ways)}
        crossed |= {parts.agent(a) for a in self.snapshot.inventory.iter_agents() if self._is_end(str(a))}
        if not self.checks:
            crossed |= set(self._supposed(ways))

        def weigh(finding: Finding) -> tuple[int, int, float]:
            hit = set(finding.affected)
            touches = bool(crossed & set(finding.components))
            return (
                len(hit & troubled),
                len(hit & ids) + touches * bool(troubled or not ids),
                finding.confidence,
            )

        best = max(self.snapshot.findings, key=weigh, default=None)
        return best if best is not None and any(weigh(best)[:2]) else None

    def _is_not_up(self, check: CheckId) -> bool:
        status = self._status.get(check)
        return status is None or status.state is not PathState.UP

    def _is_end(self, agent: str) -> bool:
        return any(agent.startswith(f"{node}/") for node in (*self.source.nodes, *self.target.nodes))


def _is_of(target: Endpoint, check: Check) -> bool:
    """Names are asked of servers, and outer addresses of links: they say nothing of the pair itself."""
    return check.layer not in {Layer.DNS, Layer.OUTER} and target.is_asked_by(check)


def _is_smaller_twin(small: Check, large: Check) -> bool:
    """Whether two checks differ in the size of their packets only."""
    return (small.source, small.target, small.probe.kind) == (large.source, large.target, large.probe.kind)


def _say(pair: _PairChecks, state: PathState, finding: Finding | None) -> str:
    one, other = pair.source.name, pair.target.name
    because = _begin_small(str(finding.summary).rstrip(".")) if finding else ""
    match state:
        case PathState.UP:
            return f"{one} reaches {other}" + (f", but {because}." if because else f": {_counts(pair)}.")
        case PathState.DOWN:
            return f"{one} does not reach {other}: {because or 'and no finding explains it yet'}."
        case PathState.DEGRADED:
            return _say_partly(pair, because)
        case _ if because:
            return f"Whether {one} reaches {other} is unknown: {because}."
        case _ if pair.checks:
            return f"Whether {one} reaches {other} is unknown: not measured lately."
        case _:
            return f"Whether {one} reaches {other} is unknown: no check asks it."


def _say_partly(pair: _PairChecks, because: str) -> str:
    one, other, contrast = pair.source.name, pair.target.name, pair.contrast
    if contrast is not None and contrast.is_plane:
        silent = " and ".join(contrast.failing)
        return f"{one} does not reach {other} from its {silent}: {because or contrast.told}."
    told = contrast.told if contrast else "no finding explains it yet"
    return f"{one} reaches {other} only in part: {because or told}."


def _begin_small(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _counts(pair: _PairChecks) -> str:
    seen = [pair.status(check) for check in pair.checks]
    answered, sent = sum(status.answered for status in seen), sum(status.sent for status in seen)
    return f"{answered} of {sent} probes of {len(seen)} checks came back"


def _reasons(pair: _PairChecks, steps: Sequence[PathStep], finding: Finding | None) -> Iterable[str]:
    if pair.checks:
        measured = any(pair.status(check).sent for check in pair.checks)
        yield (
            _by_kind(pair) if measured else f"none of the {len(pair.checks)} checks that ask it was measured"
        )
        out = sum(pair.status(check).lost_out or 0 for check in pair.checks)
        back = sum(pair.status(check).lost_back or 0 for check in pair.checks)
        if out or back:
            yield f"where it was counted, {out} probes were lost on the way out and {back} on the way back"
    if pair.contrast is not None:
        yield pair.contrast.told
    if finding is not None:
        yield from (str(each.text) for each in finding.evidence_for[:_REASONS])
        yield from (f"against it: {each.text}" for each in finding.evidence_against[:1])
    for step in steps:
        if step.layer == "DNS" and step.state in _TROUBLED:
            yield f"beside it names fail for {pair.source.name}: {step.told}"
    fine = [step.layer for step in steps if step.state is PathState.UP]
    if fine and pair.state is not PathState.UP:
        yield f"in order: {', '.join(fine)}"


def _by_kind(pair: _PairChecks) -> str:
    sent: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    for check in pair.checks:
        kind = f"large {check.probe.kind}" if check.probe.size else check.probe.kind
        sent[kind] += pair.status(check).sent
        answered[kind] += pair.status(check).answered
    told = (f"{kind} {answered[kind]} of {sent[kind]}" for kind in sorted(sent) if sent[kind])
    rest = [kind for kind in sorted(sent) if not sent[kind]]
    return f"answered: {', '.join(told)}" + (f"; not measured: {', '.join(rest)}" if rest else "")
