"""Graph of connected clusters: gateways, routes from cluster to cluster, addresses by family.

Rule: everything is computed once per inventory, because planning a large fleet reads it millions of times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations, islice, product

import numpy as np
import numpy.typing as npt

from netprobe.errors import InputError
from netprobe.model.component import Component, tunnel
from netprobe.model.inventory import Cluster, Inventory, Link, Node
from netprobe.model.names import AgentId, ClusterName, NodeId, Plane

V4 = 4
V6 = 6
MAX_ROUTES = 16
"""Largest number of equal routes that are considered; further ones are ignored."""


@dataclass(frozen=True, slots=True)
class LinkHop:
    """One link crossed between two clusters, with the gateways at its two ends."""

    link: Link
    source: ClusterName
    target: ClusterName
    source_gateway: NodeId
    target_gateway: NodeId
    component: Component

    @property
    def far_addresses(self) -> tuple[str, ...]:
        """Addresses of the link's end at the target's gateway; empty if the inventory has none."""
        is_there = self.source == self.link.source
        return self.link.target_addresses if is_there else self.link.source_addresses


@dataclass(frozen=True, slots=True)
class ClusterRoute:
    """How packets of one cluster reach another: the hops in order, and their smallest MTU."""

    hops: tuple[LinkHop, ...]
    mtu: int


class ClusterGraph:
    """The inventory, indexed. Raises `InputError` if it contradicts itself."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.cluster_of: dict[ClusterName, Cluster] = {}
        self.node_of: dict[NodeId, Node] = {}
        self._link_ends: dict[ClusterName, tuple[Node, ...]] = {}
        """Nodes of each cluster at which a link may end."""
        self._index_nodes()
        self._sites = frozenset(cluster.name for cluster in inventory.clusters if cluster.is_site)
        self._hops: dict[ClusterName, list[LinkHop]] = {name: [] for name in self.cluster_of}
        self._standby: dict[ClusterName, list[LinkHop]] = {name: [] for name in self.cluster_of}
        self._hop_of: dict[tuple[NodeId, NodeId], LinkHop] = {}
        self._index_links()
        self._routes: dict[ClusterName, dict[ClusterName, ClusterRoute]] = {}

    def _index_nodes(self) -> None:
        for cluster in self.inventory.clusters:
            if cluster.name in self.cluster_of:
                raise InputError(f"cluster {cluster.name!r} is given twice", where="inventory")
            self.cluster_of[cluster.name] = cluster
            self._link_ends[cluster.name] = cluster.gateways or cluster.nodes[:1]
            for node in cluster.nodes:
                node_id = cluster.node_id(node)
                if node_id in self.node_of:
                    raise InputError(f"node {node_id} is given twice", where="inventory")
                self.node_of[node_id] = node
        for one, other in self.inventory.find_twins():
            raise InputError(f"node {one} is also listed in another cluster, as {other}", where="inventory")

    # Names and addresses of agents are computed on first use, because array plans need neither.

    @cached_property
    def agents_on(self) -> dict[NodeId, tuple[AgentId, ...]]:
        """The agents of each node; a node may have none."""
        return {
            node_id: tuple(self.inventory.agents_on(self.cluster_of[node_id.cluster], node))
            for node_id, node in self.node_of.items()
        }

    @cached_property
    def agents(self) -> tuple[AgentId, ...]:
        """Every agent, in inventory order."""
        return tuple(chain.from_iterable(self.agents_on.values()))

    @cached_property
    def address_of(self) -> dict[tuple[AgentId, int], str]:
        """The address of each agent for IPv4 and IPv6."""
        return {
            (agent, family): address
            for node, agents in self.agents_on.items()
            for agent in agents
            for family, address in by_family(self.node_of[node].addresses(agent.plane)).items()
        }

    @cached_property
    def place_of(self) -> dict[NodeId, int]:
        """The number of each node, in inventory order."""
        return {node: place for place, node in enumerate(self.node_of)}

    @cached_property
    def agent_runs(self) -> dict[Plane, npt.NDArray[np.bool_]]:
        """For each plane, the nodes (by number) on which an agent runs."""
        if self.inventory.agents:
            return {
                plane: np.array([self.runs_agent(node, plane) for node in self.node_of], np.bool_)
                for plane in Plane
            }
        nodes = self.node_of.values()
        return {
            Plane.POD: np.array([bool(node.pod_addresses) for node in nodes], np.bool_),
            Plane.HOST: np.array([bool(node.host_addresses) for node in nodes], np.bool_),
        }

    def runs_agent(self, node_id: NodeId, plane: Plane) -> bool:
        """Whether an agent runs on a plane of a node."""
        named = self.inventory.agents
        if named and AgentId(node_id.cluster, node_id.node, plane) not in named:
            return False
        return bool(self.node_of[node_id].addresses(plane))

    def _index_links(self) -> None:
        for link, detail in zip(self.inventory.links, self.inventory.link_details(), strict=True):
            if link.is_remapped:
                continue
            near = self._gateways(link.source, link.source_gateway, link)
            far = self._gateways(link.target, link.target_gateway, link)
            for carries, one, other in _pair_gateways(near, far):
                index = self._hops if carries else self._standby
                for hop in _both_directions(link, one, other, detail=detail):
                    index[hop.source].append(hop)
                    if carries:
                        self._hop_of.setdefault((hop.source_gateway, hop.target_gateway), hop)

    def _gateways(self, name: ClusterName, name_wanted: str | None, link: Link) -> tuple[_End, ...]:
        """The gateways at one end of a link: the one that it names, or all of the cluster."""
        cluster = self.cluster_of.get(name)
        if cluster is None:
            raise InputError(f"link {link.name} ends at unknown cluster {name!r}", where="inventory.links")
        if not cluster.nodes:
            raise InputError(f"link {link.name} ends at {name!r}, which has no node", where="inventory.links")
        able = self._link_ends[name]
        if name_wanted is not None:
            able = tuple(node for node in cluster.nodes if node.name == name_wanted)
        if able:
            return tuple((cluster.node_id(node), node.passive) for node in able)
        raise InputError(
            f"link {link.name} ends at unknown node {name}/{name_wanted}", where="inventory.links"
        )

    def hops_from(self, cluster: ClusterName) -> tuple[LinkHop, ...]:
        """The links from *cluster* that carry traffic, in inventory order.

        A link with several active gateways is listed once for each.
        """
        return tuple(self._hops[cluster])

    @cached_property
    def gateways(self) -> frozenset[NodeId]:
        """Nodes at which a link ends that carries traffic."""
        return frozenset(hop.source_gateway for hops in self._hops.values() for hop in hops)

    def standby_from(self, cluster: ClusterName) -> tuple[LinkHop, ...]:
        """Links from *cluster* that passive gateways would use if they took over; without traffic now."""
        return tuple(self._standby[cluster])

    @staticmethod
    def reverse(hop: LinkHop) -> LinkHop:
        """The same link between the same gateways in the other direction."""
        back = hop.component.reverse()
        return LinkHop(hop.link, hop.target, hop.source, hop.target_gateway, hop.source_gateway, back)

    def involves_site(self, source: NodeId, target: NodeId) -> bool:
        """Whether the nodes are in different clusters, at least one of which is a site."""
        ends = source.cluster, target.cluster
        return ends[0] != ends[1] and not self._sites.isdisjoint(ends)

    def carries_hosts(self, source: NodeId, target: NodeId) -> bool:
        """Whether packets from host to host cross what joins the clusters of two nodes, there and back."""
        ways = (self.route_between(source, target), self.route_between(target, source))
        return all(way is None or all(hop.link.carries_hosts for hop in way.hops) for way in ways)

    def route_between(self, source: NodeId, target: NodeId) -> ClusterRoute | None:
        """The route of packets from one node to another's cluster.

        The two gateways of a link reach each other over that link; all others use the clusters' route.
        """
        hop = self._hop_of.get((source, target))
        if hop is not None:
            return ClusterRoute((hop,), hop.link.mtu)
        return self.route(source=source.cluster, target=target.cluster)

    def routes_between(self, source: NodeId, target: NodeId) -> tuple[ClusterRoute, ...]:
        """Every route from one node to another's cluster that packets may take, as `route_between` first.

        There are several if links or gateways balance flows; a gateway sends over its own links only.
        """
        route = self.route_between(source, target)
        if route is None:
            return ()
        choices = [self._equal_hops(hop) for hop in route.hops]
        own = [hop for hop in choices[0] if hop.source_gateway == source]
        exact = [hop for hop in own if hop.target_gateway == target] if len(route.hops) == 1 else []
        choices[0] = exact or own or choices[0]
        if all(len(hops) == 1 for hops in choices):
            return (
                (route,)
                if choices[0][0] is route.hops[0]
                else (_route_over((choices[0][0], *route.hops[1:])),)
            )
        return tuple(map(_route_over, islice(product(*choices), MAX_ROUTES)))

    def _equal_hops(self, hop: LinkHop) -> list[LinkHop]:
        """A hop and all hops that balance flows with it, in inventory order."""
        if not hop.link.balanced:
            return [hop]
        return [each for each in self._hops[hop.source] if each.target == hop.target and each.link.balanced]

    def route(self, *, source: ClusterName, target: ClusterName) -> ClusterRoute | None:
        """The shortest route between two clusters over links, or None; the inventory's order breaks ties.

        Between its ends it crosses only transit clusters, as others do not forward foreign traffic.
        """
        if source not in self._routes:
            self._routes[source] = self._find_routes(source)
        return self._routes[source].get(target)

    def unjoined(self) -> tuple[tuple[ClusterName, ClusterName], ...]:
        """The pairs of clusters without a route, each once, in inventory order."""
        pairs = combinations(self.cluster_of, 2)
        return tuple((one, other) for one, other in pairs if self.route(source=one, target=other) is None)

    def _find_routes(self, source: ClusterName) -> dict[ClusterName, ClusterRoute]:
        """All routes from *source*, breadth first."""
        routes: dict[ClusterName, ClusterRoute] = {}
        queue: deque[tuple[ClusterName, tuple[LinkHop, ...]]] = deque([(source, ())])
        while queue:
            at, path = queue.popleft()
            for hop in self._hops[at]:
                if hop.target == source or hop.target in routes:
                    continue
                hops = (*path, hop)
                routes[hop.target] = _route_over(hops)
                if self.cluster_of[hop.target].transit:
                    queue.append((hop.target, hops))
        return routes


def _route_over(hops: tuple[LinkHop, ...]) -> ClusterRoute:
    return ClusterRoute(hops, min(hop.link.mtu for hop in hops))


_End = tuple[NodeId, bool]
"""A gateway at the end of a link, and whether it is passive."""


def _pair_gateways(near: Sequence[_End], far: Sequence[_End]) -> Iterator[tuple[bool, NodeId, NodeId]]:
    """Pairs of gateways of the two ends of a link, and whether traffic crosses there.

    Active gateways are paired in turn, so that each has a partner; a passive one is paired with the first
    active one, or with the first of all if none is active.
    """
    active = [[node for node, passive in end if not passive] for end in (near, far)]
    if all(active):
        for place in range(max(map(len, active))):
            one, other = (end[place % len(end)] for end in active)
            yield True, one, other
    first = [(own or [end[0][0]])[0] for own, end in zip(active, (near, far), strict=True)]
    standby = [(node, first[1]) for node, passive in near if passive]
    standby += [(first[0], node) for node, passive in far if passive]
    yield from ((False, one, other) for one, other in dict.fromkeys(standby))


def _both_directions(link: Link, one: NodeId, other: NodeId, *, detail: str) -> tuple[LinkHop, LinkHop]:
    there = tunnel(link.source, link.target, link=detail)
    back = tunnel(link.target, link.source, link=detail)
    return (
        LinkHop(link, link.source, link.target, one, other, there),
        LinkHop(link, link.target, link.source, other, one, back),
    )


def family_of(address: str) -> int:
    """4 or 6."""
    return V6 if ":" in address else V4


def plane_address(graph: ClusterGraph, agent: AgentId, family: int) -> str | None:
    """The IPv4 or IPv6 address of *agent*, or None."""
    return graph.address_of.get((agent, family))


def by_family(addresses: tuple[str, ...]) -> dict[int, str]:
    """The first address of each family."""
    found: dict[int, str] = {}
    for address in addresses:
        found.setdefault(family_of(address), address)
    return found


def agent_of(node: NodeId, plane: Plane) -> AgentId:
    """The agent of a node on one plane."""
    return AgentId(node.cluster, node.node, plane)
