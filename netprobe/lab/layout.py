"""From the topology file to the plan of the lab: who stands where, with which addresses and routes.

Rule: pure; the same topology always gives the same plan. Ways through a cluster follow the architecture's
legs: whatever has a pod at either end, or leaves the cluster, rides the overlay in both directions; host to
host inside the cluster does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

from netprobe.lab.plan import (
    OVERLAY_TABLE,
    Address,
    Bridge,
    Cable,
    CableEnd,
    Host,
    HostRole,
    LabPlan,
    PlannedCluster,
    PlannedService,
    Route,
    Rule,
    Tunnel,
    TunnelEnd,
    Vxlan,
    VxlanPeer,
)
from netprobe.lab.services import DNS_PORT, plan_services, proxy_rules, service_addresses
from netprobe.lab.topology import ClusterSpec, LinkMedium, NodeSpec, OverlayKind, Topology
from netprobe.lab.wan import Wan, plan_router_routes, plan_wan
from netprobe.model.inventory import LinkKind
from netprobe.model.names import ClusterName, NodeId, NodeName

AGENT_PORT = 9771
_FIRST_TUNNEL_PORT = 51820  # WireGuard's customary port
_VXLAN_PORT = 4789  # RFC 7348
_LAN = "eth0"
_OVERLAY = "overlay0"
_POD_GATEWAY_V6 = "fe80::1"


@dataclass(frozen=True, slots=True)
class _Place:
    """A node of a cluster with everything that is derived for it."""

    spec: NodeSpec
    id: NodeId
    lan: tuple[str, str]
    pods: tuple[str, str]
    """Its slice of the cluster's pod range."""
    mac: str
    overlay_mac: str
    overlay_hop: tuple[str, str]
    """What the others route to on the overlay. IPv6 takes no next hop that lives on another interface."""

    def pod(self, number: int) -> tuple[str, str]:
        """The *number*-th address of its pod range, IPv4 and IPv6."""
        v4, v6 = (str(ip_network(text)[number]) for text in self.pods)
        return v4, v6


@dataclass(frozen=True, slots=True)
class _Site:
    """A cluster with its places."""

    index: int
    spec: ClusterSpec
    places: tuple[_Place, ...]
    edge: tuple[str, str]
    services: tuple[PlannedService, ...]

    @property
    def name(self) -> ClusterName:
        return ClusterName(self.spec.name)

    @property
    def gateway(self) -> _Place:
        return next(place for place in self.places if place.spec.role == "gateway")

    @property
    def has_vxlan(self) -> bool:
        return self.spec.overlay is OverlayKind.VXLAN

    @property
    def ranges(self) -> tuple[str, ...]:
        return (*self.spec.node_cidrs, *self.spec.pod_cidrs, *self.spec.service_cidrs)


_AGENT_POD = 10
_DNS_POD = 53


def plan_lab(topology: Topology) -> LabPlan:
    """Turn a checked topology into the plan of the whole lab."""
    wan = plan_wan(topology)
    sites = [_plan_site(topology, index) for index in range(len(topology.clusters))]
    tunnels = _plan_tunnels(topology, sites, wan)
    hosts, cables = _routers(topology, sites, wan)
    for site in sites:
        for place in site.places:
            hosts.append(_node(site, place, tunnels, wan))
            cables.append(Cable(CableEnd(str(place.id), _LAN, place.mac), _lan_port(site, place)))
        pods, pod_cables = _pods(site)
        hosts += pods
        cables += pod_cables
    cables += [
        Cable(
            CableEnd(t.source.gateway, t.source.interface),
            CableEnd(t.target.gateway, t.target.interface),
            t.mtu,
        )
        for t in tunnels
        if t.kind is LinkKind.DIRECT
    ]
    hub_cidrs = [ip_network(text) for text in topology.hub.cidrs]
    return LabPlan(
        hub=topology.hub.name,
        hub_addresses=tuple(str(cidr[2]) for cidr in hub_cidrs),
        clusters=tuple(_planned(site) for site in sites),
        hosts=tuple(hosts),
        cables=tuple(cables),
        tunnels=tunnels,
        agent_port=AGENT_PORT,
    )


def _plan_site(topology: Topology, index: int) -> _Site:
    cluster = topology.clusters[index]
    lan_v4, lan_v6 = (ip_network(text) for text in cluster.node_cidrs)
    pods_v4, pods_v6 = (ip_network(text) for text in cluster.pod_cidrs)
    slices = zip(pods_v4.subnets(new_prefix=24), pods_v6.subnets(new_prefix=64), strict=False)
    places = tuple(
        _Place(
            spec=node,
            id=NodeId(ClusterName(cluster.name), NodeName(node.name)),
            lan=(str(lan_v4[11 + number]), str(lan_v6[11 + number])),
            pods=(str(pod_v4), str(pod_v6)),
            mac=f"02:4e:50:00:{index:02x}:{number:02x}",
            overlay_mac=f"02:4e:50:01:{index:02x}:{number:02x}",
            overlay_hop=(str(lan_v4[11 + number]), f"fe80::{11 + number:x}"),
        )
        for number, (node, (pod_v4, pod_v6)) in enumerate(zip(cluster.nodes, slices, strict=False))
    )
    endpoints = tuple(place.pod(_AGENT_POD)[version] for version in (0, 1) for place in places)
    services = plan_services(topology, cluster, endpoints=endpoints, agent_port=AGENT_PORT)
    return _Site(index, cluster, places, (str(lan_v4[1]), str(lan_v6[1])), services)


def _planned(site: _Site) -> PlannedCluster:
    spec = site.spec
    return PlannedCluster(
        name=site.name,
        environment=spec.environment,
        region=spec.region,
        overlay=str(spec.overlay),
        pod_mtu=spec.pod_mtu,
        node_cidrs=tuple(spec.node_cidrs),
        pod_cidrs=tuple(spec.pod_cidrs),
        service_cidrs=tuple(spec.service_cidrs),
        nodes=tuple(place.id for place in site.places),
        gateway=site.gateway.id,
        services=site.services,
        dns_addresses=service_addresses(spec, 0) if spec.dns_node else (),
        node_pod_cidrs=tuple((place.id, place.pods) for place in site.places),
    )


def _plan_tunnels(topology: Topology, sites: list[_Site], wan: Wan) -> tuple[Tunnel, ...]:
    by_name = {site.spec.name: site for site in sites}
    tunnels = []
    for index, link in enumerate(topology.links):
        direct = link.kind is LinkMedium.DIRECT
        ends = [
            TunnelEnd(
                cluster=ClusterName(name),
                gateway=str(by_name[name].gateway.id),
                interface=f"link{index}{side}",
                outer="" if direct else wan.gateway_wires[name].one_addresses[0],
                inner_ranges=by_name[name].ranges,
                next_hop=(by_name[name].gateway.lan[0], f"fe80::{side}"),
            )
            for name, side in ((link.source, "a"), (link.target, "b"))
        ]
        kind = LinkKind.DIRECT if direct else LinkKind.TUNNEL
        port = 0 if direct else _FIRST_TUNNEL_PORT + index
        tunnels.append(Tunnel(kind, ends[0], ends[1], link.mtu, port, index))
    return tuple(tunnels)


# --- routers ----------------------------------------------------------------------------------


def _routers(topology: Topology, sites: list[_Site], wan: Wan) -> tuple[list[Host], list[Cable]]:
    routes = plan_router_routes(topology, wan)
    hub_v4, hub_v6 = (ip_network(text) for text in topology.hub.cidrs)
    hosts = []
    for name in topology.wan.transits:
        addresses = list(wan.addresses(name))
        if name == topology.hub.transit:
            addresses += [Address("hub0", f"{cidr[1]}/{cidr.prefixlen}") for cidr in (hub_v4, hub_v6)]
        hosts.append(Host(name, HostRole.TRANSIT, addresses=tuple(addresses), routes=routes[name]))
    hosts += [_edge(site, wan, routes[f"{site.name}/edge"]) for site in sites]
    hub = topology.hub.name
    hosts.append(
        Host(
            hub,
            HostRole.HUB,
            addresses=tuple(Address(_LAN, f"{cidr[2]}/{cidr.prefixlen}") for cidr in (hub_v4, hub_v6)),
            routes=_default_routes(_LAN, (str(hub_v4[1]), str(hub_v6[1]))),
        )
    )
    cables = [wire.cable() for wire in wan.wires]
    cables.append(Cable(CableEnd(hub, _LAN), CableEnd(topology.hub.transit, "hub0")))
    return hosts, cables


def _edge(site: _Site, wan: Wan, routes: tuple[Route, ...]) -> Host:
    lengths = (ip_network(text).prefixlen for text in site.spec.node_cidrs)
    lan = tuple(Address("br0", f"{text}/{length}") for text, length in zip(site.edge, lengths, strict=True))
    to_pods = tuple(
        Route(pods, "br0", via=via)
        for place in site.places
        for pods, via in zip(place.pods, place.lan, strict=True)
    )
    name = f"{site.name}/edge"
    ports = tuple(_lan_port(site, place).interface for place in site.places)
    return Host(
        name,
        HostRole.EDGE,
        cluster=site.name,
        addresses=(*lan, *wan.addresses(name)),
        routes=(*to_pods, *routes),
        bridges=(Bridge("br0", ports),),
    )


def _lan_port(site: _Site, place: _Place) -> CableEnd:
    return CableEnd(f"{site.name}/edge", f"node{site.places.index(place)}")


def _default_routes(interface: str, via: tuple[str, str]) -> tuple[Route, ...]:
    return (Route("0.0.0.0/0", interface, via=via[0]), Route("::/0", interface, via=via[1]))


# --- nodes ------------------------------------------------------------------------------------


def _node(site: _Site, place: _Place, tunnels: tuple[Tunnel, ...], wan: Wan) -> Host:
    is_gateway = place is site.gateway
    lengths = (ip_network(text).prefixlen for text in site.spec.node_cidrs)
    lan = tuple(Address(_LAN, f"{text}/{length}") for text, length in zip(place.lan, lengths, strict=True))
    addresses = [
        *lan,
        *(Address(interface, f"{_POD_GATEWAY_V6}/64") for interface, _ in _local_pods(site, place)),
    ]
    routes = [
        *_default_routes(_LAN, site.edge),
        *_pod_routes(site, place),
        *_overlay_routes(site, place),
    ]
    if site.has_vxlan:
        addresses.append(Address(_OVERLAY, f"{place.overlay_hop[1]}/64"))
    own_tunnels = [tunnel for tunnel in tunnels if tunnel.joins_any(site.name)]
    if is_gateway:
        addresses += wan.addresses(str(place.id))
        ends = [tunnel.end(site.name) for tunnel in own_tunnels]
        addresses += [Address(end.interface, f"{end.next_hop[1]}/64") for end in ends]
        routes += _gateway_routes(site, place, own_tunnels, wan)
    else:
        routes += _routes_to_gateway(site, place, own_tunnels)
    pods = tuple(text for _, texts in _local_pods(site, place) for text in texts)
    return Host(
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


def _balanced(site: _Site) -> tuple[PlannedService, ...]:
    """Every service of a cluster, the DNS server's among them."""
    dns = next((place for place in site.places if place.spec.dns), None)
    if dns is None:
        return site.services
    service = PlannedService(
        site.name, "kube-system", "dns", service_addresses(site.spec, 0), DNS_PORT, DNS_PORT,
        endpoints=dns.pod(_DNS_POD), exported=False,
    )  # fmt: skip
    return (*site.services, service)


def _local_pods(site: _Site, place: _Place) -> list[tuple[str, tuple[str, str]]]:
    """The node's ends of its pods' wires, with the pods' addresses."""
    del site
    pods = [("pod0", place.pod(_AGENT_POD))]
    return [*pods, ("pod1", place.pod(_DNS_POD))] if place.spec.dns else pods


def _pod_routes(site: _Site, place: _Place) -> list[Route]:
    return [
        Route(f"{text}/{128 if ':' in text else 32}", interface, source=source)
        for interface, texts in _local_pods(site, place)
        for text, source in zip(texts, place.lan, strict=True)
    ] + [Route(pods, "lo", is_black_hole=True) for pods in place.pods]  # or they would circle with the edge


def _inside(site: _Site, to: str, hop: _Place, *, source: str = "", table: int = 254) -> Route:
    """A route over the cluster's overlay to the node *hop*."""
    is_v6 = ":" in to
    if site.has_vxlan:
        return Route(to, _OVERLAY, via=hop.overlay_hop[is_v6], source=source, table=table, onlink=True)
    return Route(to, _LAN, via=hop.lan[is_v6], source=source, table=table)


def _overlay_routes(site: _Site, place: _Place) -> list[Route]:
    """Ways to the other nodes' pods; with VXLAN also to the nodes themselves, for whom the rules choose."""
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


def _overlay_rules(site: _Site, place: _Place, tunnels: list[Tunnel]) -> tuple[Rule, ...]:
    if not site.has_vxlan:
        return ()
    from_pods = [
        Rule(1000, family, source=pods, target=nodes)
        for family, pods, nodes in zip((4, 6), place.pods, site.spec.node_cidrs, strict=True)
    ]
    from_links = [
        Rule(1001 + tunnel.index, family, interface=tunnel.end(site.name).interface)
        for tunnel in tunnels
        for family in (4, 6)
    ]
    return (*from_pods, *from_links)


def _routes_to_gateway(site: _Site, place: _Place, tunnels: list[Tunnel]) -> list[Route]:
    return [
        _inside(site, text, site.gateway, source=place.lan[":" in text])
        for tunnel in tunnels
        for text in tunnel.far_end(site.name).inner_ranges
    ]


def _gateway_routes(site: _Site, place: _Place, tunnels: list[Tunnel], wan: Wan) -> list[Route]:
    wire = wan.gateway_wires[site.name]
    outer = sorted({text for other in wan.wires for text in other.ranges} - set(wire.ranges))
    routes = [
        Route(text, "wan0", via=wire.other_addresses[":" in text], source=wire.one_addresses[":" in text])
        for text in outer
    ]
    for tunnel in tunnels:
        far = tunnel.far_end(site.name)
        routes += [
            Route(
                text,
                tunnel.end(site.name).interface,
                via=far.next_hop[":" in text],
                source=place.lan[":" in text],
                onlink=True,
            )
            for text in far.inner_ranges
        ]
    return routes


def _vxlan(site: _Site, place: _Place) -> Vxlan:
    peers = tuple(
        VxlanPeer(inner=other.overlay_hop, mac=other.overlay_mac, outer=other.lan[0])
        for other in site.places
        if other is not place
    )
    return Vxlan(_OVERLAY, 100 + site.index, place.lan[0], _VXLAN_PORT, 1450, place.overlay_mac, peers)


# --- pods -------------------------------------------------------------------------------------


def _pods(site: _Site) -> tuple[list[Host], list[Cable]]:
    hosts, cables = [], []
    for place in site.places:
        for interface, texts in _local_pods(site, place):
            is_agent = interface == "pod0"
            name = f"{place.id}/pod" if is_agent else f"{site.name}/dns"
            hosts.append(
                Host(
                    name,
                    HostRole.POD if is_agent else HostRole.DNS,
                    cluster=site.name,
                    node=place.id,
                    addresses=(Address(_LAN, f"{texts[0]}/32"), Address(_LAN, f"{texts[1]}/128")),
                    routes=(
                        Route(f"{place.lan[0]}/32", _LAN),
                        Route("0.0.0.0/0", _LAN, via=place.lan[0]),
                        Route("::/0", _LAN, via=_POD_GATEWAY_V6),
                    ),
                )
            )
            cables.append(Cable(CableEnd(name, _LAN), CableEnd(str(place.id), interface), site.spec.pod_mtu))
    return hosts, cables
