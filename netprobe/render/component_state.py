"""How each part feels, read from one snapshot: the one place where pictures and tables learn a colour.

Rules: what a finding blames is broken; what a finding hides, and what nobody measured, is unknown and never
down; anything a packet got through is up. A path that is down because of a part that is already blamed says
nothing about the other parts it crosses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from netprobe.model import component as parts
from netprobe.model.check import Legs
from netprobe.model.component import Component, ComponentKind
from netprobe.model.finding import UNMEASURED, Cause, Finding
from netprobe.model.names import CheckId, NodeId
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, PathState, PathStatus

WORST_FIRST = (PathState.DOWN, PathState.DEGRADED, PathState.UNKNOWN, PathState.UP)
_PARTIAL = frozenset((Cause.TUNNEL_LOSSY, Cause.TUNNEL_MTU, Cause.SNAT, Cause.WRONG_PEER, Cause.IDLE_TIMEOUT,
                      Cause.CONNTRACK_FULL, Cause.TUNNEL_SLOW))  # fmt: skip
"""Causes that leave the part passing some of its traffic."""
_WHOLE_NODE = frozenset((Cause.NODE_DOWN, Cause.GATEWAY_DOWN))


def worst(states: Iterable[PathState]) -> PathState:
    """The state to show for several: broken before unknown before up; unknown where there is none."""
    seen = set(states)
    return next((state for state in WORST_FIRST if state in seen), PathState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ComponentState:
    """How one component feels and why."""

    state: PathState = PathState.UNKNOWN
    finding: Finding | None = None
    """The finding that blames it, or that says it cannot be seen."""
    loss: float | None = None
    """Share of packets lost, 0–1, where it is degraded and known."""
    rtt_ns: float | None = None
    """Shortest median round trip of the paths that cross it."""
    paths: int = 0
    """Checks whose packets cross it."""


@dataclass(slots=True)
class _Crossings:
    """What the paths that cross one component say about it."""

    states: list[PathState] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    rtts_ns: list[float] = field(default_factory=list)
    explained: int = 0
    """Paths that are down or degraded because of a part that a finding names."""

    def add(self, state: PathState, path: PathStatus, *, explained: bool) -> None:
        self.states.append(state)
        self.explained += explained
        if path.rtt_p50_ns is not None:
            self.rtts_ns.append(path.rtt_p50_ns)
        if state is PathState.DEGRADED and path.sent:
            self.losses.append(1 - path.answered / path.sent)

    def to_part(self) -> ComponentState:
        seen = set(self.states)
        rtt = min(self.rtts_ns, default=None)
        if PathState.UP in seen:
            return ComponentState(PathState.UP, rtt_ns=rtt, paths=len(self.states))
        if self.explained or seen <= {PathState.UNKNOWN}:
            state = PathState.UP if self.rtts_ns else PathState.UNKNOWN
            return ComponentState(state, rtt_ns=rtt, paths=len(self.states))
        state = PathState.DEGRADED if PathState.DEGRADED in seen else PathState.DOWN
        loss = min(self.losses, default=None) if state is PathState.DEGRADED else None
        return ComponentState(state, loss=loss, rtt_ns=rtt, paths=len(self.states))


@dataclass(frozen=True, slots=True)
class ComponentStates:
    """Every component's state at one moment; ask :meth:`of`."""

    parts: Mapping[Component, ComponentState]

    def of(self, component: Component) -> ComponentState:
        """How *component* feels; unknown where nothing crosses it."""
        return self.parts.get(component, ComponentState())

    def of_all(self, components: Iterable[Component]) -> ComponentState:
        """The worst of several, the first of equals."""
        found = [self.of(component) for component in components]
        return min(found, key=lambda part: WORST_FIRST.index(part.state)) if found else ComponentState()

    def find(self, kind: ComponentKind, source: str) -> Iterator[tuple[Component, ComponentState]]:
        """The components of one kind that stand at *source*."""
        for component, part in self.parts.items():
            if component.kind is kind and component.source == source:
                yield component, part

    def of_link(self, component: Component) -> ComponentState:
        """One direction of a link; a component without a link name means every link of that pair."""
        return self.of(component if component in self.parts else replace(component, detail=""))


def read_health(snapshot: Snapshot) -> ComponentStates:
    """Judge every component that a check crosses or a finding names."""
    found = {component: crossed.to_part() for component, crossed in _collect(snapshot).items()}
    for finding in reversed(snapshot.findings):  # most certain last, so that it wins
        for hidden in (*finding.hidden, *finding.indistinguishable):
            found[hidden] = ComponentState(
                PathState.UNKNOWN, finding, paths=found.get(hidden, ComponentState()).paths
            )
        if finding.cause is Cause.RETURN_PATH_DROPPED:  # the word says that the other direction passes
            for blamed in finding.components:
                back = replace(blamed, source=blamed.target, target=blamed.source)
                found[back] = replace(found.get(back, ComponentState()), state=PathState.UP, finding=None)
    for finding in reversed(snapshot.findings):
        for blamed in finding.components:
            found[blamed] = _blame(finding, found.get(blamed, ComponentState()))
    for status in snapshot.agents:
        component = Component(ComponentKind.AGENT, status.agent)
        if component not in found:
            alive = status.state is AgentState.ALIVE
            found[component] = ComponentState(
                PathState.UP if alive else PathState.UNKNOWN, paths=status.checks
            )
    return ComponentStates(found)


def _blame(finding: Finding, before: ComponentState) -> ComponentState:
    if finding.cause in UNMEASURED:
        return ComponentState(PathState.UNKNOWN, finding, paths=before.paths)
    partial = finding.cause in _PARTIAL or (finding.loss is not None and finding.loss < 0.95)
    state = PathState.DEGRADED if partial else PathState.DOWN
    return ComponentState(state, finding, finding.loss if partial else None, before.rtt_ns, before.paths)


def _collect(snapshot: Snapshot) -> dict[Component, _Crossings]:
    paths = {path.check: path for path in snapshot.paths}
    blamed = {component for finding in snapshot.findings for component in finding.components}
    affected = {check for finding in snapshot.findings for check in finding.affected}
    crossings: dict[Component, _Crossings] = {}
    for legs in snapshot.legs:
        path = paths.get(legs.check)
        if path is None:
            path = PathStatus(legs.check, PathState.UNKNOWN, 0)
        explained = _is_explained(legs, path, blamed=blamed, affected=affected)
        for component, state in _says(legs, path):
            crossings.setdefault(component, _Crossings()).add(state, path, explained=explained)
    return crossings


def _says(legs: Legs, path: PathStatus) -> Iterator[tuple[Component, PathState]]:
    """What a path says of each component: answers lost only on the way back prove that the way out works.

    Where packets take one of several ways, a bad one does not say which, and accuses none of them.
    """
    arrived = path.state is not PathState.UP and bool(path.lost_back) and path.lost_out == 0
    out = PathState.UP if arrived else path.state
    yield from _each_says(legs.ways_out, legs.surely_out, out)
    returned = path.state is PathState.DEGRADED and bool(path.lost_out) and path.lost_back == 0
    back = PathState.UP if returned else path.state
    yield from _each_says(legs.ways_back, legs.surely_back, back)


def _each_says(
    ways: tuple[tuple[Component, ...], ...], surely: frozenset[Component], state: PathState
) -> Iterator[tuple[Component, PathState]]:
    if len(ways) == 1:
        yield from ((component, state) for component in ways[0])
        return
    for component in dict.fromkeys(part for way in ways for part in way):
        if component in surely or state is PathState.UP:
            yield component, state


def _is_explained(legs: Legs, path: PathStatus, *, blamed: set[Component], affected: set[CheckId]) -> bool:
    if path.state in {PathState.UP, PathState.UNKNOWN}:
        return False
    return legs.check in affected or not blamed.isdisjoint(legs.crossed)


def node_part(snapshot: Snapshot, health: ComponentStates, node: NodeId) -> ComponentState:
    """A node as people see it: down if the node itself is blamed, degraded if something on it is."""
    whole = health.of_all((parts.node_out(node), parts.node_in(node)))
    if whole.finding is not None and whole.state is not PathState.UNKNOWN:
        return whole
    for finding in snapshot.findings:
        if any(_stands_on(component, node) for component in finding.components):
            whole_node = finding.cause in _WHOLE_NODE
            return ComponentState(
                PathState.DOWN if whole_node else PathState.DEGRADED, finding, paths=whole.paths
            )
    return whole


def _stands_on(component: Component, node: NodeId) -> bool:
    kinds = {ComponentKind.GATEWAY_OUT, ComponentKind.GATEWAY_IN, ComponentKind.POD_OUT, ComponentKind.POD_IN,
             ComponentKind.SERVICE_PROXY, ComponentKind.FIREWALL_RULE}  # fmt: skip
    return component.kind in kinds and component.source == str(node)
