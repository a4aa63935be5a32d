"""How clusters hang together: gateways, the way from cluster to cluster, addresses by family.

Rule: everything here is looked up once per inventory; planners of large fleets ask it millions of times.
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
MAX_WAYS = 16
"""Of more equal ways than this only the first are known: no hash spreads flows over a longer list."""


@dataclass(frozen=True, slots=True)
class LinkHop:
    """One link crossed on the way between clusters, with the gateways at its two ends."""

    link: Link
    source: ClusterName
    target: ClusterName
    source_gateway: NodeId
    target_gateway: NodeId
    component: Component

    @property
    def far_addresses(self) -> tuple[str, ...]:
        """Addresses of the link's end at the target's gateway; none where nobody wrote them down."""
        is_there = self.source == self.link.source
        return self.link.target_addresses if is_there else self.link.source_addresses


@dataclass(frozen=True, slots=True)
class ClusterRoute:
    """How packets of one cluster reach another: the hops in order, and the smallest MTU on them."""

    hops: tuple[LinkHop, ...]
    mtu: int


class ClusterGraph:
    """The inventory, indexed. Raises `InputError` where it contradicts itself."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.cluster_of: dict[ClusterName, Cluster] = {}
        self.node_of: dict[NodeId, Node] = {}
        self._able: dict[ClusterName, tuple[Node, ...]] = {}
        """What a link of each cluster may end at."""
        self._index_nodes()
        self._sites = frozenset(cluster.name for cluster in inventory.clusters if cluster.is_site)
        self._hops: dict[ClusterName, list[LinkHop]] = {name: [] for name in self.cluster_of}
        self._standby: dict[ClusterName, list[LinkHop]] = {name: [] for name in self.cluster_of}
        self._hop_of: dict[tuple[NodeId, NodeId], LinkHop] = {}
        self._index_links()
        self._ways: dict[ClusterName, dict[ClusterName, ClusterRoute]] = {}

    def _index_nodes(self) -> None:
        for cluster in self.inventory.clusters:
            if cluster.name in self.cluster_of:
                raise InputError(f"cluster {cluster.name!r} is given twice", where="inventory")
            self.cluster_of[cluster.name] = cluster
            self._able[cluster.name] = cluster.gateways or cluster.nodes[:1]
            for node in cluster.nodes:
                node_id = cluster.node_id(node)
                if node_id in self.node_of:
                    raise InputError(f"node {node_id} is given twice", where="inventory")
                self.node_of[node_id] = node
        for one, other in self.inventory.find_twins():
            raise InputError(f"node {one} stands in another cluster too, as {other}", where="inventory")

    # Names of agents and their addresses are made when somebody asks: plans as arrays need neither.

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
        """Where each agent is asked over IPv4 and IPv6."""
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
    def standing(self) -> dict[Plane, npt.NDArray[np.bool_]]:
        """For each plane on which nodes, by their number, an agent runs."""
        if self.inventory.agents:
            return {
                plane: np.array([self.stands(node, plane) for node in self.node_of], np.bool_)
                for plane in Plane
            }
        nodes = self.node_of.values()
        return {
            Plane.POD: np.array([bool(node.pod_addresses) for node in nodes], np.bool_),
            Plane.HOST: np.array([bool(node.host_addresses) for node in nodes], np.bool_),
        }

    def stands(self, node_id: NodeId, plane: Plane) -> bool:
        """Whether an agent runs on a plane of a node."""
        named = self.inventory.agents
        if named and AgentId(node_id.cluster, node_id.node, plane) not in named:
            return False
        return bool(self.node_of[node_id].addresses(plane))

    def _index_links(self) -> None:
        for link, detail in zip(self.inventory.links, self.inventory.tell_links_apart(), strict=True):
            near = self._gateways(link.source, link.source_gateway, link)
            far = self._gateways(link.target, link.target_gateway, link)
            for carries, one, other in _join(near, far):
                index = self._hops if carries else self._standby
                for hop in _both_ways(link, one, other, detail=detail):
                    index[hop.source].append(hop)
                    if carries:
                        self._hop_of.setdefault((hop.source_gateway, hop.target_gateway), hop)

    def _gateways(self, name: ClusterName, wanted: str | None, link: Link) -> tuple[_End, ...]:
        """The gateways at one end of a link: the one that it names, or all of the cluster."""
        cluster = self.cluster_of.get(name)
        if cluster is None:
            raise InputError(f"link {link.name} ends at unknown cluster {name!r}", where="inventory.links")
        if not cluster.nodes:
            raise InputError(f"link {link.name} ends at {name!r}, which has no node", where="inventory.links")
        able = self._able[name]
        if wanted is not None:
            able = tuple(node for node in cluster.nodes if node.name == wanted)
        if able:
            return tuple((cluster.node_id(node), node.passive) for node in able)
        raise InputError(f"link {link.name} ends at unknown node {name}/{wanted}", where="inventory.links")

    def hops_from(self, cluster: ClusterName) -> tuple[LinkHop, ...]:
        """The links that leave *cluster* and carry traffic, seen from it, in inventory order.

        A link that several active gateways hold stands there once for each.
        """
        return tuple(self._hops[cluster])

    def standby_from(self, cluster: ClusterName) -> tuple[LinkHop, ...]:
        """What would leave *cluster* if passive gateways took over; it carries nothing now."""
        return tuple(self._standby[cluster])

    @staticmethod
    def turn_round(hop: LinkHop) -> LinkHop:
        """The same link between the same gateways in the other direction."""
        back = hop.component.reverse()
        return LinkHop(hop.link, hop.target, hop.source, hop.target_gateway, hop.source_gateway, back)

    def leads_to_site(self, source: NodeId, target: NodeId) -> bool:
        """Whether the nodes stand in different clusters, at least one of which is a site."""
        ends = source.cluster, target.cluster
        return ends[0] != ends[1] and not self._sites.isdisjoint(ends)

    def way_between(self, source: NodeId, target: NodeId) -> ClusterRoute | None:
        """How packets of one node reach another's cluster.

        The two gateways of a link ask each other over that link; everything else takes the clusters' way.
        """
        hop = self._hop_of.get((source, target))
        if hop is not None:
            return ClusterRoute((hop,), hop.link.mtu)
        return self.way(source=source.cluster, target=target.cluster)

    def ways_between(self, source: NodeId, target: NodeId) -> tuple[ClusterRoute, ...]:
        """Every way that packets of one node may take to another's cluster, the first as in `way_between`.

        Several where balanced links or gateways share the flows; a gateway sends over its own links only.
        """
        way = self.way_between(source, target)
        if way is None:
            return ()
        choices = [self._equal_hops(hop) for hop in way.hops]
        own = [hop for hop in choices[0] if hop.source_gateway == source]
        exact = [hop for hop in own if hop.target_gateway == target] if len(way.hops) == 1 else []
        choices[0] = exact or own or choices[0]
        if all(len(hops) == 1 for hops in choices):
            return (way,) if choices[0][0] is way.hops[0] else (_way_over((choices[0][0], *way.hops[1:])),)
        return tuple(map(_way_over, islice(product(*choices), MAX_WAYS)))

    def _equal_hops(self, hop: LinkHop) -> list[LinkHop]:
        """A hop and all that share its flows, in inventory order."""
        if not hop.link.balanced:
            return [hop]
        return [each for each in self._hops[hop.source] if each.target == hop.target and each.link.balanced]

    def way(self, *, source: ClusterName, target: ClusterName) -> ClusterRoute | None:
        """The shortest way between two clusters over links, or None; the inventory's order breaks ties.

        Between its ends it crosses transit clusters only: others do not pass on what is not theirs.
        """
        if source not in self._ways:
            self._ways[source] = self._find_ways(source)
        return self._ways[source].get(target)

    def unjoined(self) -> tuple[tuple[ClusterName, ClusterName], ...]:
        """The pairs of clusters between which there is no way, each once, in inventory order."""
        pairs = combinations(self.cluster_of, 2)
        return tuple((one, other) for one, other in pairs if self.way(source=one, target=other) is None)

    def _find_ways(self, source: ClusterName) -> dict[ClusterName, ClusterRoute]:
        """All ways from *source*, breadth first."""
        ways: dict[ClusterName, ClusterRoute] = {}
        queue: deque[tuple[ClusterName, tuple[LinkHop, ...]]] = deque([(source, ())])
        while queue:
            at, path = queue.popleft()
            for hop in self._hops[at]:
                if hop.target == source or hop.target in ways:
                    continue
                hops = (*path, hop)
                ways[hop.target] = _way_over(hops)
                if self.cluster_of[hop.target].transit:
                    queue.append((hop.target, hops))
        return ways


def _way_over(hops: tuple[LinkHop, ...]) -> ClusterRoute:
    return ClusterRoute(hops, min(hop.link.mtu for hop in hops))


_End = tuple[NodeId, bool]
"""A gateway at the end of a link, and whether it is passive."""


def _join(near: Sequence[_End], far: Sequence[_End]) -> Iterator[tuple[bool, NodeId, NodeId]]:
    """Which gateways of the two ends of a link hold it together, and whether traffic crosses there.

    Active gateways stand in turn, so that each is at least one's partner; a passive one stands opposite the
    first that is active, or the first of all where none is.
    """
    active = [[node for node, passive in end if not passive] for end in (near, far)]
    if all(active):
        for place in range(max(map(len, active))):
            one, other = (end[place % len(end)] for end in active)
            yield True, one, other
    first = [(own or [end[0][0]])[0] for own, end in zip(active, (near, far), strict=True)]
    standing_by = [(node, first[1]) for node, passive in near if passive]
    standing_by += [(first[0], node) for node, passive in far if passive]
    yield from ((False, one, other) for one, other in dict.fromkeys(standing_by))


def _both_ways(link: Link, one: NodeId, other: NodeId, *, detail: str) -> tuple[LinkHop, LinkHop]:
    there = tunnel(link.source, link.target, link=detail)
    back = tunnel(link.target, link.source, link=detail)
    return (
        LinkHop(link, link.source, link.target, one, other, there),
        LinkHop(link, link.target, link.source, other, one, back),
    )


def family_of(address: str) -> int:
    """4 or 6."""
    return V6 if ":" in address else V4


def plane_address(fabric: ClusterGraph, agent: AgentId, family: int) -> str | None:
    """Where *agent* is asked over IPv4 or IPv6, or None."""
    return fabric.address_of.get((agent, family))


def by_family(addresses: tuple[str, ...]) -> dict[int, str]:
    """The first address of each family."""
    found: dict[int, str] = {}
    for address in addresses:
        found.setdefault(family_of(address), address)
    return found


def agent_of(node: NodeId, plane: Plane) -> AgentId:
    """The agent of a node on one plane."""
    return AgentId(node.cluster, node.node, plane)
