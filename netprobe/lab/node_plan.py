"""Plan of one node as a host of the lab: addresses, routes and rules, overlay, service rules. Pure.

Rule: paths through a cluster follow the legs of the architecture: traffic with a pod at either end, or that
leaves the cluster, uses the overlay in both directions; host to host inside the cluster does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from ipaddress import ip_network

from netprobe.lab.cluster_plan import (
    DNS_POD,
    LAN,
    ClusterLayout,
    PlannedNode,
    local_pods,
)
from netprobe.lab.plan import (
    OVERLAY_TABLE,
    Address,
    HostRole,
    LabHost,
    PlannedService,
    Route,
    RoutingRule,
    Tunnel,
    Vxlan,
    VxlanPeer,
)
from netprobe.lab.services import DNS_PORT, proxy_rules, service_addresses
from netprobe.lab.wan import Wan

POD_GATEWAY_V6 = "fe80::1"
"""Address of the node on every pod interface; IPv4 pods use the node's own address."""
_VXLAN_PORT = 4789  # RFC 7348
_OVERLAY = "overlay0"


def plan_node(site: ClusterLayout, place: PlannedNode, tunnels: tuple[Tunnel, ...], wan: Wan) -> LabHost:
    """Plan one node; *tunnels* are all links of the lab."""
    is_gateway = place is site.gateway
    lengths = (ip_network(text).prefixlen for text in site.spec.node_cidrs)
    lan = tuple(Address(LAN, f"{text}/{length}") for text, length in zip(place.lan, lengths, strict=True))
    addresses = [
        *lan,
        *(Address(interface, f"{POD_GATEWAY_V6}/64") for interface, _ in local_pods(place)),
    ]
    routes = [
        *default_routes(LAN, site.edge),
        *_pod_routes(place),
        *_overlay_routes(site, place),
    ]
    if site.has_vxlan:
        addresses.append(Address(_OVERLAY, f"{place.overlay_hop[1]}/64"))
    own_tunnels = [tunnel for tunnel in tunnels if tunnel.joins_any(site.name)]
    if is_gateway:
        addresses += wan.addresses(str(place.id))
        ends = [tunnel.end(site.name) for tunnel in own_tunnels]
        addresses += [Address(end.interface, f"{end.next_hop[1]}/64") for end in ends]
        addresses += [Address(end.interface, text) for end in ends for text in end.addresses]
        routes += _gateway_routes(site, place, own_tunnels, wan)
    else:
        routes += _routes_to_gateway(site, place, own_tunnels)
    pods = tuple(text for _, texts in local_pods(place) for text in texts)
    return LabHost(
        str(place.id),
        HostRole.NODE,
        cluster=site.name,
        node=place.id,
        addresses=tuple(addresses),
        routes=tuple(routes),
        rules=_overlay_rules(site, place, own_tunnels if is_gateway else []),
        vxlans=(_vxlan(site, place),) if site.has_vxlan else (),
        nft=proxy_rules(_balanced(site), local_pods=pods, node_addresses=place.lan),
    )


def _balanced(site: ClusterLayout) -> tuple[PlannedService, ...]:
    """Every service of a cluster, including the DNS server's."""
    dns = next((place for place in site.places if place.spec.dns), None)
    if dns is None:
        return site.services
    service = PlannedService(
        site.name, "kube-system", "dns", service_addresses(site.spec, 0), DNS_PORT, DNS_PORT,
        endpoints=dns.pod(DNS_POD), exported=False,
    )  # fmt: skip
    return (*site.services, service)


def _pod_routes(place: PlannedNode) -> list[Route]:
    return [
        Route(f"{text}/{128 if ':' in text else 32}", interface, source=source)
        for interface, texts in local_pods(place)
        for text, source in zip(texts, place.lan, strict=True)
    ] + [
        Route(pods, "lo", is_black_hole=True) for pods in place.pods
    ]  # without it, packets to unused pod addresses would loop


def _inside(site: ClusterLayout, to: str, hop: PlannedNode, *, source: str = "", table: int = 254) -> Route:
    """A route over the cluster's overlay to the node *hop*."""
    is_v6 = ":" in to
    if site.has_vxlan:
        return Route(to, _OVERLAY, via=hop.overlay_hop[is_v6], source=source, table=table, onlink=True)
    return Route(to, LAN, via=hop.lan[is_v6], source=source, table=table)


def _overlay_routes(site: ClusterLayout, place: PlannedNode) -> list[Route]:
    """Routes to the other nodes' pods; with VXLAN also to the nodes, in the table that the rules select."""
    routes = []
    for other in site.places:
        if other is place:
            continue
        for pods, lan, source in zip(other.pods, other.lan, place.lan, strict=True):
            routes.append(_inside(site, pods, other, source=source))
            if site.has_vxlan:
                node = f"{lan}/{128 if ':' in lan else 32}"
                routes.append(_inside(site, node, other, table=OVERLAY_TABLE))
    return routes


def _overlay_rules(site: ClusterLayout, place: PlannedNode, tunnels: list[Tunnel]) -> tuple[RoutingRule, ...]:
    if not site.has_vxlan:
        return ()
    from_pods = [
        RoutingRule(1000, family, source=pods, target=nodes)
        for family, pods, nodes in zip((4, 6), place.pods, site.spec.node_cidrs, strict=True)
    ]
    from_links = [
        RoutingRule(1001 + tunnel.index, family, interface=tunnel.end(site.name).interface)
        for tunnel in tunnels
        for family in (4, 6)
    ]
    return (*from_pods, *from_links)


def _routes_to_gateway(site: ClusterLayout, place: PlannedNode, tunnels: list[Tunnel]) -> list[Route]:
    return [
        _inside(site, text, site.gateway, source=place.lan[":" in text])
        for tunnel in tunnels
        for text in tunnel.far_end(site.name).inner_ranges
    ]


def _gateway_routes(site: ClusterLayout, place: PlannedNode, tunnels: list[Tunnel], wan: Wan) -> list[Route]:
    wire = wan.gateway_wires[site.name]
    outer = sorted({text for other in wan.wires for text in other.ranges} - set(wire.ranges))
    routes = [
        Route(text, "wan0", via=wire.other_addresses[":" in text], source=wire.one_addresses[":" in text])
        for text in outer
    ]
    by_cluster: defaultdict[str, list[Tunnel]] = defaultdict(list)
    for tunnel in tunnels:
        by_cluster[tunnel.far_end(site.name).cluster].append(tunnel)
    for equal in by_cluster.values():
        routes += _routes_over(site, place, equal)
    return routes


def _routes_over(site: ClusterLayout, place: PlannedNode, equal: list[Tunnel]) -> Iterator[Route]:
    """The routes to one cluster: over its link, or over all that share the flows."""
    for text in equal[0].far_end(site.name).inner_ranges:
        is_v6 = ":" in text
        hops = [
            (tunnel.end(site.name).interface, tunnel.far_end(site.name).next_hop[is_v6]) for tunnel in equal
        ]
        (interface, via), *also = hops
        yield Route(text, interface, via=via, source=place.lan[is_v6], onlink=True, also=tuple(also))


def _vxlan(site: ClusterLayout, place: PlannedNode) -> Vxlan:
    peers = tuple(
        VxlanPeer(inner=other.overlay_hop, mac=other.overlay_mac, outer=other.lan[0])
        for other in site.places
        if other is not place
    )
    return Vxlan(_OVERLAY, 100 + site.index, place.lan[0], _VXLAN_PORT, 1450, place.overlay_mac, peers)


def default_routes(interface: str, via: tuple[str, str]) -> tuple[Route, ...]:
    """The default routes for IPv4 and IPv6."""
    return (Route("0.0.0.0/0", interface, via=via[0]), Route("::/0", interface, via=via[1]))
