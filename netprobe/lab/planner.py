"""From the topology file to the plan of the lab: hosts with their addresses and routes.

Rule: pure; the same topology always gives the same plan.
"""

from __future__ import annotations

from ipaddress import ip_network

from netprobe.lab.cluster_plan import (
    AGENT_PORT,
    LAN,
    ClusterLayout,
    PlannedNode,
    local_pods,
    plan_site,
    plan_tunnels,
)
from netprobe.lab.node_plan import POD_GATEWAY_V6, default_routes, plan_node
from netprobe.lab.plan import (
    Address,
    Bridge,
    Cable,
    CableEnd,
    HostRole,
    LabHost,
    LabPlan,
    PlannedCluster,
    Route,
)
from netprobe.lab.services import service_addresses
from netprobe.lab.topology import Topology
from netprobe.lab.wan import Wan, plan_router_routes, plan_wan
from netprobe.model.inventory import LinkKind


def plan_lab(topology: Topology) -> LabPlan:
    """Turn a validated topology into the plan of the whole lab."""
    wan = plan_wan(topology)
    sites = [plan_site(topology, index) for index in range(len(topology.clusters))]
    tunnels = plan_tunnels(topology, sites, wan)
    hosts, cables = _routers(topology, sites, wan)
    for site in sites:
        for place in site.places:
            hosts.append(plan_node(site, place, tunnels, wan))
            cables.append(Cable(CableEnd(str(place.id), LAN, place.mac), _lan_port(site, place)))
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


def _planned(site: ClusterLayout) -> PlannedCluster:
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


# --- routers ----------------------------------------------------------------------------------


def _routers(topology: Topology, sites: list[ClusterLayout], wan: Wan) -> tuple[list[LabHost], list[Cable]]:
    routes = plan_router_routes(topology, wan)
    hub_v4, hub_v6 = (ip_network(text) for text in topology.hub.cidrs)
    hosts = []
    for name in topology.wan.transits:
        addresses = list(wan.addresses(name))
        if name == topology.hub.transit:
            addresses += [Address("hub0", f"{cidr[1]}/{cidr.prefixlen}") for cidr in (hub_v4, hub_v6)]
        hosts.append(LabHost(name, HostRole.TRANSIT, addresses=tuple(addresses), routes=routes[name]))
    hosts += [_edge(site, wan, routes[f"{site.name}/edge"]) for site in sites]
    hub = topology.hub.name
    hosts.append(
        LabHost(
            hub,
            HostRole.HUB,
            addresses=tuple(Address(LAN, f"{cidr[2]}/{cidr.prefixlen}") for cidr in (hub_v4, hub_v6)),
            routes=default_routes(LAN, (str(hub_v4[1]), str(hub_v6[1]))),
        )
    )
    cables = [wire.cable() for wire in wan.wires]
    cables.append(Cable(CableEnd(hub, LAN), CableEnd(topology.hub.transit, "hub0")))
    return hosts, cables


def _edge(site: ClusterLayout, wan: Wan, routes: tuple[Route, ...]) -> LabHost:
    lengths = (ip_network(text).prefixlen for text in site.spec.node_cidrs)
    lan = tuple(Address("br0", f"{text}/{length}") for text, length in zip(site.edge, lengths, strict=True))
    to_pods = tuple(
        Route(pods, "br0", via=via)
        for place in site.places
        for pods, via in zip(place.pods, place.lan, strict=True)
    )
    name = f"{site.name}/edge"
    ports = tuple(_lan_port(site, place).interface for place in site.places)
    return LabHost(
        name,
        HostRole.EDGE,
        cluster=site.name,
        addresses=(*lan, *wan.addresses(name)),
        routes=(*to_pods, *routes),
        bridges=(Bridge("br0", ports),),
    )


# --- pods -------------------------------------------------------------------------------------


def _pods(site: ClusterLayout) -> tuple[list[LabHost], list[Cable]]:
    hosts, cables = [], []
    for place in site.places:
        for interface, texts in local_pods(place):
            is_agent = interface == "pod0"
            name = f"{place.id}/pod" if is_agent else f"{site.name}/dns"
            hosts.append(
                LabHost(
                    name,
                    HostRole.POD if is_agent else HostRole.DNS,
                    cluster=site.name,
                    node=place.id,
                    addresses=(Address(LAN, f"{texts[0]}/32"), Address(LAN, f"{texts[1]}/128")),
                    routes=(
                        Route(f"{place.lan[0]}/32", LAN),
                        Route("0.0.0.0/0", LAN, via=place.lan[0]),
                        Route("::/0", LAN, via=POD_GATEWAY_V6),
                    ),
                )
            )
            cables.append(Cable(CableEnd(name, LAN), CableEnd(str(place.id), interface), site.spec.pod_mtu))
    return hosts, cables


def _lan_port(site: ClusterLayout, place: PlannedNode) -> CableEnd:
    return CableEnd(f"{site.name}/edge", f"node{site.places.index(place)}")
