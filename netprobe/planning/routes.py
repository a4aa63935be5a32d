"""Components that a packet crosses in each direction (docs/architecture.md, Paths and their legs).

Rule: the leg back is computed as that of a packet from the target to the source, never by reversing the leg
out, so an asymmetric path is asymmetric here too.
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


def find_routes(graph: ClusterGraph, *, source: AgentId, target: AgentId) -> tuple[Route, ...]:
    """The components from one agent to another, in order; empty if no link leads there.

    There are several routes if flows are balanced; a flow stays on one of them, but which one is unknown.
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
        middles = find_middles(graph, source=here, target=there)
    return tuple((*begin, node_out(here), *middle, node_in(there), *end) for middle in middles)


def find_middle(graph: ClusterGraph, *, source: NodeId, target: NodeId) -> Route | None:
    """The first of `find_middles`; None if no link leads there."""
    link_route = graph.route_between(source, target)
    return _find_middle(link_route, source=source, target=target) if link_route is not None else None


def find_middles(graph: ClusterGraph, *, source: NodeId, target: NodeId) -> tuple[Route, ...]:
    """The components between two nodes of different clusters, for each route that a flow may take.

    Packets to another cluster cross the overlay to the gateway, from the host plane too.

    Of several links, the first active one is taken, or any of those that balance flows; the others are used
    only by their own gateways.
    """
    link_routes = graph.routes_between(source, target)
    return tuple(_find_middle(link_route, source=source, target=target) for link_route in link_routes)


def _find_middle(link_route: ClusterRoute, *, source: NodeId, target: NodeId) -> Route:
    first, last = link_route.hops[0].source_gateway, link_route.hops[-1].target_gateway
    route: list[Component] = []
    if source != first:
        route += (cluster_route(source, gateway=first, target=target.cluster), overlay(source, first))
    route += _over_links(link_route)
    if target != last:
        route.append(overlay(last, target))
    return tuple(route)


def _over_links(link_route: ClusterRoute) -> list[Component]:
    route: list[Component] = []
    at: NodeId | None = None
    for hop in link_route.hops:
        if at is not None and at != hop.source_gateway:
            route.append(overlay(at, hop.source_gateway))
        route += (gateway_out(hop.source_gateway), hop.component, gateway_in(hop.target_gateway))
        at = hop.target_gateway
    return route


def find_link_route(hop: LinkHop) -> Route:
    """The route from one gateway's host over one link to the other end of that link."""
    return (node_out(hop.source_gateway), hop.component, node_in(hop.target_gateway))


def find_outer_route(*, source: NodeId, target: NodeId) -> Route:
    """The route from one gateway's outer address to another's, below every tunnel."""
    return (node_out(source), underlay(source.cluster, target.cluster), node_in(target))
