"""The topology as one graph, from which every picture and every export is made.

Rules: nodes and edges have the names that findings use (``prod/w1``, ``dns(prod)``, ``tunnel(prod→dev)``), so
that a finding can be looked up; attributes are strings, integers, floats or booleans, which every format can
represent; unknown values are left out, never 0.

Nodes have ``kind`` ``cluster``, ``node``, ``agent``, ``service`` or ``dns``. Edges have ``kind``
``contains`` (cluster → node, service, DNS; node → agent) or the kind of the component they are: ``tunnel``
(between gateway nodes, one edge per direction), ``overlay``, ``underlay``, ``service-proxy`` (node to
service).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import networkx as nx

from netprobe.analysis.claims.quotes import LinkClaims
from netprobe.model import component as parts
from netprobe.model.component import Component, ComponentKind
from netprobe.model.inventory import Cluster, Inventory, KnownFrom, Link, Node
from netprobe.model.names import AgentId, ClusterName, NodeId
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.component_state import (
    ComponentState,
    ComponentStates,
    node_state,
    read_component_states,
    worst,
)
from netprobe.render.labels import Names, headline

Plain: TypeAlias = str | int | float | bool


def build_graph(snapshot: Snapshot) -> nx.MultiDiGraph[str]:
    """Return the graph of *snapshot*; equal snapshots give equal graphs in the same order."""
    health = read_component_states(snapshot)
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(
        taken_ns=snapshot.taken_ns,
        interval_ns=snapshot.interval_ns,
        findings=len(snapshot.findings),
    )
    builder = _GraphBuilder(snapshot, health, graph)
    for cluster in snapshot.inventory.clusters:
        builder.add_cluster(cluster)
    for agent in snapshot.inventory.iter_agents():
        builder.add_agent(agent)
    for link, detail in zip(snapshot.inventory.links, snapshot.inventory.link_details(), strict=True):
        builder.add_link(link, detail)
    builder.add_parts()
    return graph


def find_links(graph: nx.MultiDiGraph[str]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every link direction; the two directions of a link follow each other."""
    edges = [(source, target, data) for source, target, data in graph.edges(data=True)
             if data["kind"] == "tunnel"]  # fmt: skip
    first = {frozenset(edge[:2]): index for index, edge in reversed(list(enumerate(edges)))}
    return sorted(edges, key=lambda edge: first[frozenset(edge[:2])])


def link_label(data: Mapping[str, Any]) -> str:
    """What a link is made of: its mechanism, the fabric that made it, whether it remaps addresses.

    >>> link_label({"mechanism": "vxlan", "known_from": "Submariner", "remapped": True})
    'vxlan · Submariner · remapped'
    """
    fabric = "" if data["known_from"] in set(KnownFrom) else data["known_from"]
    return " · ".join(filter(None, (data["mechanism"], fabric, "remapped" if data["remapped"] else "")))


class _GraphBuilder:
    """Builds the graph, one kind of node or edge at a time."""

    def __init__(self, snapshot: Snapshot, health: ComponentStates, graph: nx.MultiDiGraph[str]) -> None:
        self._snapshot = snapshot
        self._health = health
        self._graph = graph
        self._claims = LinkClaims(snapshot)
        self._names = Names.of(snapshot.inventory)
        self._agents = {status.agent: status for status in snapshot.agents}

    def add_cluster(self, cluster: Cluster) -> None:
        """A cluster, its nodes, services and DNS."""
        node_parts = [
            (node, node_state(self._snapshot, self._health, cluster.node_id(node))) for node in cluster.nodes
        ]
        self._graph.add_node(
            cluster.name,
            kind="cluster",
            label=self._names.short[cluster.name] + (" · API away" if cluster.away else ""),
            environment=cluster.environment,
            region=cluster.region,
            state=worst(part.state for _, part in node_parts).value,
            **({"api_away": cluster.away} if cluster.away else {}),
        )
        for node, part in node_parts:
            self._add_node(cluster, node, part)
        for service in cluster.services:
            component = parts.service(cluster.name, service.qualified)
            self._add_inside(cluster.name, component, service.qualified, service.addresses)
        if cluster.dns_addresses:
            self._add_inside(cluster.name, parts.dns(cluster.name), "dns", cluster.dns_addresses)

    def _add_node(self, cluster: Cluster, node: Node, part: ComponentState) -> None:
        name = str(cluster.node_id(node))
        self._graph.add_node(
            name,
            kind="node",
            label=str(node.name),
            cluster=cluster.name,
            role=node.role.value,
            addresses=" ".join(node.host_addresses),
            known_from=node.known_from or KnownFrom.FILE.value,
            **self._state_attributes(part),
        )
        self._graph.add_edge(cluster.name, name, key="contains", kind="contains")

    def _add_inside(
        self, cluster: ClusterName, component: Component, label: str, addresses: tuple[str, ...]
    ) -> None:
        same = [each for each, _ in self._health.find(component.kind, cluster)]
        zones = [each for each in same if component.kind is ComponentKind.DNS or each == component]
        part = self._health.of_all(zones or [component])
        self._graph.add_node(
            str(component),
            kind=component.kind.value,
            label=label,
            cluster=cluster,
            addresses=" ".join(addresses),
            **self._state_attributes(part),
        )
        self._graph.add_edge(cluster, str(component), key="contains", kind="contains")

    def add_agent(self, agent: AgentId) -> None:
        """An agent and the node it runs on."""
        node = self._snapshot.inventory.find_node(agent.node_id)
        status = self._agents.get(agent)
        self._graph.add_node(
            str(agent),
            kind="agent",
            label=agent.plane.value,
            cluster=agent.cluster,
            plane=agent.plane.value,
            addresses=" ".join(node.addresses(agent.plane)) if node else "",
            presence=status.state.value if status else "absent",
            **self._state_attributes(self._health.of(parts.agent(agent))),
        )
        self._graph.add_edge(str(agent.node_id), str(agent), key="contains", kind="contains")

    def add_link(self, link: Link, detail: str) -> None:
        """Both directions of a tunnel or direct link, from gateway to gateway."""
        ends = _ends(self._snapshot.inventory, link)
        for end in ends:
            if end not in self._graph:  # a link into a cluster that the inventory does not describe
                self._graph.add_node(
                    end, kind="cluster", label=end, environment="", region="", state="unknown"
                )
        for source, target in (ends, ends[::-1]):
            component = parts.tunnel(_cluster_of(source), _cluster_of(target), link=detail)
            self._graph.add_edge(
                source,
                target,
                key=str(component),
                kind="tunnel",
                component=str(component),
                link=link.kind.value,
                mechanism=link.mechanism or link.kind.value,
                mtu=link.mtu,
                outer_port=link.outer_port,
                known_from=link.known_from or KnownFrom.FILE.value,
                remapped=link.is_remapped,
                claimed=self._claimed(link),
                **self._state_attributes(self._health.of_link(component)),
            )

    def _claimed(self, link: Link) -> str:
        """What fabrics say about a link, each word once; empty where none says anything."""
        claims = self._claims.about(link.source, link.target, fabric=link.known_from)
        return ", ".join(dict.fromkeys(claim.value for claim in claims))

    def add_parts(self) -> None:
        """Overlays, underlays and service proxies that a check crosses or a finding names."""
        for component in sorted(self._health.parts):
            for source, target in self._edge_of(component):
                self._graph.add_edge(
                    source,
                    target,
                    key=str(component),
                    kind=component.kind.value,
                    component=str(component),
                    **self._state_attributes(self._health.of(component)),
                )

    def _edge_of(self, component: Component) -> Iterator[tuple[str, str]]:
        """The edges of a component; none if the inventory does not know its ends."""
        match component.kind:
            case ComponentKind.OVERLAY:
                ends = [(str(component.source), str(component.target))]
            case ComponentKind.UNDERLAY:
                ends = [(self._gateway(str(component.source)), self._gateway(str(component.target)))]
            case ComponentKind.SERVICE_PROXY:
                cluster = component.cluster
                names = [name for name, data in self._graph.nodes(data=True)
                         if data["kind"] == "service" and data["cluster"] == cluster]  # fmt: skip
                ends = [(str(component.source), name) for name in names]
            case _:
                ends = []
        yield from (pair for pair in ends if all(end in self._graph for end in pair))

    def _gateway(self, name: str) -> str:
        """The gateway node of a cluster; the name of a node is returned unchanged."""
        cluster = self._snapshot.inventory.find_cluster(name)
        return _gateway_of(cluster, None) if cluster else name

    def _state_attributes(self, part: ComponentState) -> dict[str, Plain]:
        """State and its explanation, as attributes."""
        attributes: dict[str, Plain] = {"state": part.state.value, "paths": part.paths}
        if part.finding is not None:
            attributes["finding"] = part.finding.id
            attributes["cause"] = part.finding.cause.value
            attributes["headline"] = headline(part.finding, self._names)
        if part.loss is not None:
            attributes["loss"] = round(part.loss, 4)
        if part.rtt_ns is not None and part.state is not PathState.DOWN:
            attributes["rtt_ms"] = round(part.rtt_ns / 1e6, 3)
        return attributes


def _ends(inventory: Inventory, link: Link) -> tuple[str, str]:
    return (
        _gateway_of(inventory.find_cluster(link.source), link.source_gateway, link.source),
        _gateway_of(inventory.find_cluster(link.target), link.target_gateway, link.target),
    )


def _gateway_of(cluster: Cluster | None, named: str | None, otherwise: str = "") -> str:
    """The gateway node at the end of a link, or the cluster itself if no gateway is known."""
    if cluster is None:
        return otherwise
    if named:
        return f"{cluster.name}/{named}"
    return str(cluster.node_id(cluster.gateways[0])) if cluster.gateways else cluster.name


def _cluster_of(name: str) -> ClusterName:
    return NodeId.parse(name).cluster if "/" in name else ClusterName(name)
