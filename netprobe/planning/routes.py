"""Which components a packet crosses, each direction on its own (docs/architecture.md, Paths and their legs).

Rule: the answer's legs are those of a packet from the target to the source, computed the same way; nothing is
reversed by hand, so an asymmetric way is asymmetric here too.
"""

from __future__ import annotations

from netprobe.model.component import (
    Component,
    cluster_route,
    gateway_in,
    gateway_out,
    node_in,
    node_out,
    overlay,
    pod_in,
    pod_out,
    underlay,
)
from netprobe.model.names import AgentId, NodeId, Plane
from netprobe.planning.cluster_graph import ClusterGraph, ClusterRoute, LinkHop

Route = tuple[Component, ...]


def find_routes(fabric: ClusterGraph, *, source: AgentId, target: AgentId) -> tuple[Route, ...]:
    """The components from one agent's place to another's, in order; none where no link leads there.

    Several where a flow may take any of several equal ways; a flow keeps to one, nobody knows to which.
    """
    here, there = source.node_id, target.node_id
    begin = (pod_out(here),) if source.plane is Plane.POD else ()
    end = (pod_in(there),) if target.plane is Plane.POD else ()
    if here == there:
        return (begin + end,)
    if here.cluster == there.cluster:
        pods = Plane.POD in (source.plane, target.plane)
        middles: tuple[Route, ...] = ((overlay(here, there),) if pods else (),)
    else:
        middles = find_middles(fabric, source=here, target=there)
    return tuple((*begin, node_out(here), *middle, node_in(there), *end) for middle in middles)


def find_middle(fabric: ClusterGraph, *, source: NodeId, target: NodeId) -> Route | None:
    """The first of `find_middles`; None where no link leads there."""
    way = fabric.way_between(source, target)
    return _find_middle(way, source=source, target=target) if way is not None else None


def find_middles(fabric: ClusterGraph, *, source: NodeId, target: NodeId) -> tuple[Route, ...]:
    """What lies between two nodes of different clusters, for each way that a flow may take.

    Whatever leaves a cluster rides the overlay to the gateway, from the host plane too.

    Of several links it takes the first that is active, or any of those that share the flows; the others carry
    what their own gateways ask.
    """
    ways = fabric.ways_between(source, target)
    return tuple(_find_middle(way, source=source, target=target) for way in ways)


def _find_middle(way: ClusterRoute, *, source: NodeId, target: NodeId) -> Route:
    first, last = way.hops[0].source_gateway, way.hops[-1].target_gateway
    route: list[Component] = []
    if source != first:
        route += (cluster_route(source, gateway=first, target=target.cluster), overlay(source, first))
    route += _over_links(way)
    if target != last:
        route.append(overlay(last, target))
    return tuple(route)


def _over_links(way: ClusterRoute) -> list[Component]:
    route: list[Component] = []
    at: NodeId | None = None
    for hop in way.hops:
        if at is not None and at != hop.source_gateway:
            route.append(overlay(at, hop.source_gateway))
        route += (gateway_out(hop.source_gateway), hop.component, gateway_in(hop.target_gateway))
        at = hop.target_gateway
    return route


def find_link_route(hop: LinkHop) -> Route:
    """From one gateway's host over one link to the other end of that link."""
    return (node_out(hop.source_gateway), hop.component, node_in(hop.target_gateway))


def find_outer_route(*, source: NodeId, target: NodeId) -> Route:
    """From one gateway's outer address to another's, below every tunnel."""
    return (node_out(source), underlay(source.cluster, target.cluster), node_in(target))
