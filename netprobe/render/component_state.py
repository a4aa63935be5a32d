"""State of each component, derived from one snapshot; every picture and table takes its colours from here.

Rules: a component that a finding blames is broken; one that a finding hides, or that was not measured, is
unknown and never down; one that a packet passed is up. A path that is down because of a component that is
already blamed says nothing about the other components it crosses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from netprobe.model import component as parts
from netprobe.model.check import Legs
from netprobe.model.component import Component, ComponentKind, Written
from netprobe.model.finding import UNMEASURED, Cause, Finding
from netprobe.model.names import CheckId, ClusterName, NodeId
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, PathState, PathStatus

WORST_FIRST = (PathState.DOWN, PathState.DEGRADED, PathState.UNKNOWN, PathState.UP)
_PARTIAL_CAUSES = frozenset((
    Cause.TUNNEL_LOSSY, Cause.TUNNEL_MTU, Cause.SNAT, Cause.WRONG_PEER, Cause.IDLE_TIMEOUT,
    Cause.CONNTRACK_FULL, Cause.TUNNEL_SLOW,
))  # fmt: skip
"""Causes with which the component still passes some of its traffic."""
_WHOLE_NODE_CAUSES = frozenset((Cause.NODE_DOWN, Cause.GATEWAY_DOWN))


def worst(states: Iterable[PathState]) -> PathState:
    """The state to show for several: broken before unknown before up; unknown if there are none."""
    seen = set(states)
    return next((state for state in WORST_FIRST if state in seen), PathState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ComponentState:
    """State of one component and the reason for it."""

    state: PathState = PathState.UNKNOWN
    finding: Finding | None = None
    """The finding that blames it or hides it."""
    loss: float | None = None
    """Share of packets lost, 0–1, if it is degraded and the loss is known."""
    rtt_ns: float | None = None
    """Shortest median round trip of the paths that cross it."""
    paths: int = 0
    """Checks whose packets cross it."""


@dataclass(slots=True)
class _Crossings:
    """States of the paths that cross one component."""

    states: list[PathState] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    rtts_ns: list[float] = field(default_factory=list)
    explained: int = 0
    """Paths that are down or degraded because of a component that a finding names."""

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
        """State of *component*; unknown if no check crosses it."""
        return self.parts.get(component, ComponentState())

    def of_all(self, components: Iterable[Component]) -> ComponentState:
        """The worst of several, the first of equals."""
        found = [self.of(component) for component in components]
        return min(found, key=lambda part: WORST_FIRST.index(part.state)) if found else ComponentState()

    def find(self, kind: ComponentKind, cluster: ClusterName) -> Iterator[tuple[Component, ComponentState]]:
        """The components of one kind that belong to a cluster as a whole."""
        for component, part in self.parts.items():
            if component.kind is kind and component.source == Written(cluster):
                yield component, part

    def of_link(self, component: Component) -> ComponentState:
        """One direction of a link; a component without a link name means every link of that pair."""
        return self.of(component if component in self.parts else component.without_detail())


def read_component_states(snapshot: Snapshot) -> ComponentStates:
    """Derive the state of every component that a check crosses or a finding names."""
    found = {component: crossed.to_part() for component, crossed in _collect(snapshot).items()}
    for finding in reversed(_find_blaming(snapshot)):  # the most certain finding comes last and wins
        for hidden in (*finding.hidden, *finding.indistinguishable):
            found[hidden] = ComponentState(
                PathState.UNKNOWN, finding, paths=found.get(hidden, ComponentState()).paths
            )
        if finding.cause is Cause.RETURN_PATH_DROPPED:  # this cause means that the other direction passes
            for blamed in finding.components:
                back = blamed.reverse()
                found[back] = replace(found.get(back, ComponentState()), state=PathState.UP, finding=None)
    for finding in reversed(_find_blaming(snapshot)):
        for blamed in finding.components:
            found[blamed] = _blame(finding, found.get(blamed, ComponentState()))
    for status in snapshot.agents:
        component = parts.agent(status.agent)
        if component not in found:
            alive = status.state is AgentState.ALIVE
            found[component] = ComponentState(
                PathState.UP if alive else PathState.UNKNOWN, paths=status.checks
            )
    return ComponentStates(found)


def _find_blaming(snapshot: Snapshot) -> tuple[Finding, ...]:
    """The findings that say how a component is. What a status says of it is wrong in either direction."""
    return tuple(one for one in snapshot.findings if one.cause is not Cause.STATUS_CONTRADICTED)


def _blame(finding: Finding, before: ComponentState) -> ComponentState:
    if finding.cause in UNMEASURED:
        return ComponentState(PathState.UNKNOWN, finding, paths=before.paths)
    partial = finding.cause in _PARTIAL_CAUSES or (finding.loss is not None and finding.loss < 0.95)
    state = PathState.DEGRADED if partial else PathState.DOWN
    return ComponentState(state, finding, finding.loss if partial else None, before.rtt_ns, before.paths)


def _collect(snapshot: Snapshot) -> dict[Component, _Crossings]:
    paths = {path.check: path for path in snapshot.paths}
    findings = _find_blaming(snapshot)
    blamed = {component for finding in findings for component in finding.components}
    affected = {check for finding in findings for check in finding.affected}
    crossings: dict[Component, _Crossings] = {}
    for legs in snapshot.legs:
        path = paths.get(legs.check)
        if path is None:
            path = PathStatus(legs.check, PathState.UNKNOWN, 0)
        explained = _is_explained(legs, path, blamed=blamed, affected=affected)
        for component, state in _implied_states(legs, path):
            crossings.setdefault(component, _Crossings()).add(state, path, explained=explained)
    return crossings


def _implied_states(legs: Legs, path: PathStatus) -> Iterator[tuple[Component, PathState]]:
    """The state that a path implies for each component it crosses.

    Answers lost only on the way back prove that the way out works. If packets may take one of several paths
    (ECMP), a failure does not show which one is broken, so it accuses none of them.
    """
    arrived = path.state is not PathState.UP and bool(path.lost_back) and path.lost_out == 0
    out = PathState.UP if arrived else path.state
    yield from _implied_leg_states(legs.ways_out, legs.surely_out, out)
    returned = path.state is PathState.DEGRADED and bool(path.lost_out) and path.lost_back == 0
    back = PathState.UP if returned else path.state
    yield from _implied_leg_states(legs.ways_back, legs.surely_back, back)


def _implied_leg_states(
    paths: tuple[tuple[Component, ...], ...], certain: frozenset[Component], state: PathState
) -> Iterator[tuple[Component, PathState]]:
    if len(paths) == 1:
        yield from ((component, state) for component in paths[0])
        return
    for component in dict.fromkeys(part for path in paths for part in path):
        if component in certain or state is PathState.UP:
            yield component, state


def _is_explained(legs: Legs, path: PathStatus, *, blamed: set[Component], affected: set[CheckId]) -> bool:
    if path.state in {PathState.UP, PathState.UNKNOWN}:
        return False
    return legs.check in affected or not blamed.isdisjoint(legs.crossed)


def node_state(snapshot: Snapshot, health: ComponentStates, node: NodeId) -> ComponentState:
    """State of a whole node: down if the node itself is blamed, degraded if a component on it is."""
    own = health.of_all((parts.node_out(node), parts.node_in(node)))
    if own.finding is not None and own.state is not PathState.UNKNOWN:
        return own
    for finding in _find_blaming(snapshot):
        if any(_is_on_node(component, node) for component in finding.components):
            whole_node = finding.cause in _WHOLE_NODE_CAUSES
            return ComponentState(
                PathState.DOWN if whole_node else PathState.DEGRADED, finding, paths=own.paths
            )
    return own


def _is_on_node(component: Component, node: NodeId) -> bool:
    kinds = {ComponentKind.GATEWAY_OUT, ComponentKind.GATEWAY_IN, ComponentKind.POD_OUT, ComponentKind.POD_IN,
             ComponentKind.SERVICE_PROXY, ComponentKind.FIREWALL_RULE}  # fmt: skip
    return component.kind in kinds and component.node == node
