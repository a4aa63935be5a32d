"""Finds weak points: what everything depends on, what a failure would cut off, which path remains.

Rules: what packets cross today is read from the legs of the checks; which path could remain is read from the
links of the inventory, and taking it may need a route that is not configured. A pair that was not
measured is not cut off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import networkx as nx

from netprobe.analysis.queries.blast_radius import BETWEEN_NODES
from netprobe.model.check import Check, Legs, TargetKind
from netprobe.model.component import Component, ComponentKind, tunnel
from netprobe.model.inventory import Inventory
from netprobe.model.names import ClusterName, NodeId
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState

ClusterPair = tuple[ClusterName, ClusterName]
"""Two clusters, in order of their names."""
_GATEWAY = frozenset((ComponentKind.GATEWAY_OUT, ComponentKind.GATEWAY_IN))
_ON_NODE = _GATEWAY | {ComponentKind.NODE_OUT, ComponentKind.NODE_IN, ComponentKind.POD_OUT,
                       ComponentKind.POD_IN, ComponentKind.OVERLAY, ComponentKind.SERVICE_PROXY,
                       ComponentKind.FIREWALL_RULE}  # fmt: skip


@dataclass(frozen=True, slots=True)
class WeakPoint:
    """A gateway or link that everything between some clusters crosses today."""

    components: tuple[Component, ...]
    """Both directions, sorted."""
    cuts: tuple[ClusterPair, ...]
    """What its death cuts off, as packets go today."""
    around: Mapping[ClusterPair, tuple[ClusterName, ...]]
    """For each of them the clusters of another way, ends included; empty where there is none."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """What stops when some parts die, as packets go today."""

    pairs: tuple[tuple[NodeId, NodeId], ...]
    """Node pairs all of whose checks cross them, in the order in which they ask."""
    asked: int
    """Node pairs that are asked at all."""
    services: tuple[tuple[ClusterName, str], ...]
    """From where which service or DNS server would be lost altogether."""


def build_map(inventory: Inventory) -> nx.Graph[str]:
    """Clusters, their gateways and links as vertices; an edge where packets may step from one to another."""
    graph: nx.Graph[str] = nx.Graph()
    for cluster in inventory.clusters:
        graph.add_node(cluster.name, cluster=cluster.name)
        for gateway in cluster.gateways:
            graph.add_node(f"{cluster.name}/{gateway.name}", cluster=cluster.name)
            graph.add_edge(cluster.name, f"{cluster.name}/{gateway.name}")
    for number, (link, detail) in enumerate(zip(inventory.links, inventory.link_details(), strict=True)):
        vertex = f"{link.name} {number}"
        graph.add_node(vertex, link=frozenset((link.source, link.target)), detail=detail)
        for name, only in ((link.source, link.source_gateway), (link.target, link.target_gateway)):
            joined = inventory.find_cluster(name)
            able = [node.name for node in joined.gateways] if joined is not None else []
            graph.add_edges_from((f"{name}/{node}", vertex) for node in able if only in {None, node})
    return graph


def find_way_around(
    graph: nx.Graph[str], dead: Iterable[Component], *, source: ClusterName, target: ClusterName
) -> tuple[ClusterName, ...]:
    """The clusters of the shortest way that is left without *dead* parts; nothing where none is left."""
    gone = _vertices(graph, dead)
    left = graph.subgraph(vertex for vertex in graph if vertex not in gone)
    if source not in left or target not in left or not nx.has_path(left, source, target):
        return ()
    way = nx.shortest_path(left, source, target)
    names = (graph.nodes[vertex].get("cluster") for vertex in way)
    return tuple(dict.fromkeys(ClusterName(name) for name in names if name))


def _vertices(graph: nx.Graph[str], dead: Iterable[Component]) -> set[str]:
    """The vertices of dead parts; a tunnel that does not say which of several links it is stands for all."""
    gone = set()
    for part in dead:
        if part.kind is ComponentKind.TUNNEL:
            ends = part.clusters
            links = {vertex for vertex in graph if graph.nodes[vertex].get("link") == ends}
            gone |= {v for v in links if part.link in {"", graph.nodes[v]["detail"]}}
        elif part.kind in _GATEWAY:
            gone.add(str(part.source))
    return gone


def find_weak_points(snapshot: Snapshot) -> tuple[WeakPoint, ...]:
    """Gateways and links whose death cuts clusters off as packets go today, the worst first."""
    cuts: dict[tuple[Component, ...], list[ClusterPair]] = defaultdict(list)
    for pair, crossed in _find_crossed_by_all(snapshot).items():
        for group in _group(crossed):
            cuts[group].append(pair)
    graph, dead = build_map(snapshot.inventory), find_dead_links(snapshot)
    found = [
        WeakPoint(parts, tuple(sorted(pairs)),
                  {pair: find_way_around(graph, (*parts, *dead), source=pair[0], target=pair[1])
                   for pair in pairs})
        for parts, pairs in cuts.items()
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda weak: (-len(weak.cuts), weak.components)))


def _find_crossed_by_all(snapshot: Snapshot) -> Mapping[ClusterPair, frozenset[Component]]:
    """For each two clusters the gateways and links that every check between them crosses, either way."""
    checks = {check.id: check for check in snapshot.checks}
    found: dict[ClusterPair, frozenset[Component]] = {}
    for legs in snapshot.legs:
        pair = _clusters_of(checks.get(legs.check))
        if pair is not None:
            parts = legs.surely_out | legs.surely_back
            crossed = frozenset(_whole(p) for p in parts if p.kind in _GATEWAY | {ComponentKind.TUNNEL})
            found[pair] = found.get(pair, crossed) & crossed
    return found


def _whole(part: Component) -> Component:
    """One name for both directions of a gateway or link."""
    if part.kind is ComponentKind.TUNNEL:
        return min(part, part.reverse())
    return replace(part, kind=ComponentKind.GATEWAY_OUT)


def _group(crossed: Iterable[Component]) -> Iterable[tuple[Component, ...]]:
    for part in crossed:
        if part.kind is ComponentKind.TUNNEL:
            yield part, part.reverse()
        else:
            yield replace(part, kind=ComponentKind.GATEWAY_IN), part


def _clusters_of(check: Check | None) -> ClusterPair | None:
    if check is None or check.layer not in BETWEEN_NODES or check.target.node is None:
        return None
    one, other = sorted((check.source.cluster, check.target.node.cluster))
    return (one, other) if one != other else None


def find_parts_of(snapshot: Snapshot, node: NodeId) -> frozenset[Component]:
    """Everything that dies with a node."""
    every = {part for legs in snapshot.legs for part in legs.crossed}
    return frozenset(p for p in every if p.kind in _ON_NODE and p.is_at(node))


def find_cut_off(snapshot: Snapshot, dead: frozenset[Component]) -> CutOff:
    """Whom the death of some parts cuts off, as packets go today."""
    crosses = {legs.check: _is_cut(legs, dead) for legs in snapshot.legs}
    pairs: dict[tuple[NodeId, NodeId], bool] = {}
    services: dict[tuple[ClusterName, str], bool] = {}
    for check in snapshot.checks:
        lost = crosses.get(check.id, False)
        if check.layer in BETWEEN_NODES and check.target.node is not None:
            pair = (check.source.node_id, check.target.node)
            pairs[pair] = pairs.get(pair, True) and lost
        elif check.target.kind in {TargetKind.SERVICE, TargetKind.DNS}:
            asked = (check.source.cluster, check.target.name)
            services[asked] = services.get(asked, True) and lost
    return CutOff(
        tuple(pair for pair, lost in pairs.items() if lost),
        len(pairs),
        tuple(sorted(asked for asked, lost in services.items() if lost)),
    )


def _is_cut(legs: Legs, dead: frozenset[Component]) -> bool:
    """Whether no way is left, out or back; routers that share flows among several leave out a dead one."""
    return any(
        all(not dead.isdisjoint(way) for way in ways) for ways in (legs.ways_out, legs.ways_back) if any(ways)
    )


def find_cut_pairs(snapshot: Snapshot) -> tuple[ClusterPair, ...]:
    """Clusters between which nothing passes now: something was measured, and all of it is down."""
    status = {path.check: path.state for path in snapshot.paths}
    states: dict[ClusterPair, set[PathState]] = defaultdict(set)
    for check in snapshot.checks:
        pair = _clusters_of(check)
        if pair is not None:
            states[pair].add(status.get(check.id, PathState.UNKNOWN))
    return tuple(
        sorted(pair for pair, seen in states.items() if seen - {PathState.UNKNOWN} == {PathState.DOWN})
    )


def find_dead_links(snapshot: Snapshot) -> tuple[Component, ...]:
    """The links between clusters that are cut off now: no way leads over them."""
    return tuple(tunnel(one, other) for one, other in find_cut_pairs(snapshot))


def find_islands(snapshot: Snapshot) -> tuple[tuple[ClusterName, ...], ...]:
    """Groups of clusters that no working pair joins now; one group where nothing is partitioned."""
    graph: nx.Graph[ClusterName] = nx.Graph()
    graph.add_nodes_from(cluster.name for cluster in snapshot.inventory.clusters)
    graph.add_edges_from((link.source, link.target) for link in snapshot.inventory.links)
    graph.add_edges_from(pair for pair in map(_clusters_of, snapshot.checks) if pair is not None)
    graph.remove_edges_from(find_cut_pairs(snapshot))
    return tuple(sorted(tuple(sorted(island)) for island in nx.connected_components(graph)))
