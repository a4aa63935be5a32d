"""Which components a packet crosses, each direction on its own (docs/architecture.md, Paths and their legs).

Rule: the answer's legs are those of a packet from the target to the source, computed the same way; nothing is
reversed by hand, so an asymmetric way is asymmetric here too.
"""

from __future__ import annotations

from netprobe.model.component import (
    Component,
    ComponentKind,
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
from netprobe.planning.fabric import Fabric, Way

Route = tuple[Component, ...]


def find_route(fabric: Fabric, *, source: AgentId, target: AgentId) -> Route | None:
    """The components from one agent's place to another's, in order; None where no link leads there."""
    here, there = source.node_id, target.node_id
    begin = (pod_out(here),) if source.plane is Plane.POD else ()
    end = (pod_in(there),) if target.plane is Plane.POD else ()
    if here == there:
        return begin + end
    if here.cluster == there.cluster:
        pods = Plane.POD in (source.plane, target.plane)
        middle: Route | None = (overlay(here, there),) if pods else ()
    else:
        middle = find_middle(fabric, source=here, target=there)
    if middle is None:
        return None
    return (*begin, node_out(here), *middle, node_in(there), *end)


def find_middle(fabric: Fabric, *, source: NodeId, target: NodeId) -> Route | None:
    """What lies between two nodes of different clusters; None where no link leads there.

    Whatever leaves a cluster rides the overlay to the gateway, from the host plane too.

    Of several links it takes the first that is active; the others carry what their own gateways ask.
    """
    way = fabric.way_between(source, target)
    if way is None:
        return None
    first, last = way.hops[0].source_gateway, way.hops[-1].target_gateway
    route: list[Component] = []
    if source != first:
        route += (route_to_cluster(source, gateway=first, target=target.cluster), overlay(source, first))
    route += _over_links(way)
    if target != last:
        route.append(overlay(last, target))
    return tuple(route)


def _over_links(way: Way) -> list[Component]:
    route: list[Component] = []
    at: NodeId | None = None
    for hop in way.hops:
        if at is not None and at != hop.source_gateway:
            route.append(overlay(at, hop.source_gateway))
        route += (gateway_out(hop.source_gateway), hop.component, gateway_in(hop.target_gateway))
        at = hop.target_gateway
    return route


def route_to_cluster(node: NodeId, *, gateway: NodeId, target: str) -> Component:
    """The route(s) on one node that send packets for a remote cluster to the own gateway."""
    return Component(ComponentKind.OVERLAY, str(node), str(gateway), f"to {target}")


def find_outer_route(*, source: NodeId, target: NodeId) -> Route:
    """From one gateway's outer address to another's, below every tunnel."""
    return (node_out(source), underlay(source.cluster, target.cluster), node_in(target))
