"""Turns agent pairs, services and gateways into checks with their legs.

Rule: the leg out of every check to an agent ends at a firewall rule of the target's node (``tcp/9771``,
``udp/9771``, ``icmp``): if only one protocol fails, that is the broken component.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from netprobe.model.check import Check, Layer, Legs, Probe, Target, TargetKind, check_id
from netprobe.model.component import (
    dns,
    firewall_rule,
    service,
    service_proxy,
    service_proxy_for_dns,
)
from netprobe.model.inventory import Cluster, Service
from netprobe.model.names import AgentId, NodeId, Plane
from netprobe.planning.cluster_graph import (
    V4,
    V6,
    ClusterGraph,
    LinkHop,
    agent_of,
    family_of,
    plane_address,
)
from netprobe.planning.pairs import AgentPair
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.routes import Route, find_link_route, find_outer_route, find_routes
from netprobe.probes import udp

CLUSTERSET = "clusterset.local"
_LINK_FLOWS = 3
"""UDP flows over one particular link; with fewer checks, loss on it could not be told from chance."""
_UNKNOWN: tuple[Route, ...] = ((),)
_MISSED = 0.01
"""δ: the probability that some route is taken by none of the flows."""


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check with its legs; a *variant* is an additional check of a pair that may be left out."""

    check: Check
    legs: Legs
    is_variant: bool = False


def ask_pair(
    graph: ClusterGraph, pair: AgentPair, policy: PlanPolicy, *, epoch: int = 0
) -> Iterator[PlannedCheck]:
    """ICMP and UDP for every pair; TCP, IPv6 and, pod to pod, large packets for rich pairs.

    If routers balance flows over several routes, further UDP flows are asked in turns, as each may take
    another route.
    """
    out = find_routes(graph, source=pair.source, target=pair.target)
    back = find_routes(graph, source=pair.target, target=pair.source)
    if not out or not back:
        return
    layer = _layer_of(pair)
    main = V4 if plane_address(graph, pair.target, V4) is not None else V6
    base = _base_probes(graph, policy)
    probes = [(main, probe, policy.burst, False) for probe in base]
    if pair.is_mixed:
        probes = [] if pair.new_flow else [(main, base[1], 1, True)]
    if pair.rich:
        probes += [(family, probe, 1, True) for family, probe in _variants(graph, pair, main, policy)]
    if pair.new_flow:
        probes.append((main, replace(base[1], options=(("flow", udp.NEW_FLOW),)), 1, True))
    if layer is Layer.POD or graph.involves_site(pair.source.node_id, pair.target.node_id):
        routes = max(len(out), len(back))
        probes += [(main, probe, 1, True) for probe in _flows(graph, routes, policy, epoch)]
    for family, probe, count, is_variant in probes:
        address = plane_address(graph, pair.target, family)
        if address is None or plane_address(graph, pair.source, family) is None:
            continue
        target = Target(TargetKind.AGENT, address, str(pair.target), pair.target.node_id)
        port_rule = firewall_rule(pair.target.node_id, port=_port_text(probe))
        routes_out = tuple((*route, port_rule) for route in out)
        yield _question(pair.source, target, probe, layer, count, routes_out, back, is_variant=is_variant)


def count_flows(routes: int) -> int:
    """Flows that reach each of *routes* equal routes with 99 % probability: w·ln(w/δ) (coupon collector).

    >>> count_flows(1), count_flows(2), count_flows(8)
    (0, 11, 54)
    """
    return math.ceil(routes * math.log(routes / _MISSED)) if routes > 1 else 0


def _flows(graph: ClusterGraph, routes: int, policy: PlanPolicy, epoch: int) -> Iterator[Probe]:
    """A subset of the flows, another in each epoch until all had their turn; flow 0 is always asked."""
    flows = min(count_flows(routes), udp.MAX_FLOW)
    at_once = min(policy.flows, flows)
    turns = range(epoch * at_once, (epoch + 1) * at_once)
    yield from _some_flows(graph, policy, (1 + turn % flows for turn in turns))


def _some_flows(graph: ClusterGraph, policy: PlanPolicy, numbers: Iterable[int]) -> Iterator[Probe]:
    port, timeout_ns = graph.inventory.agent_port, policy.timeout_ns
    for flow in numbers:
        yield Probe("udp", port=port, timeout_ns=timeout_ns, options=(("flow", str(flow)),))


def ask_link_ends(graph: ClusterGraph, policy: PlanPolicy) -> Iterator[PlannedCheck]:
    """Gateway to gateway over one particular link, whose far end has its own address.

    This tests links without traffic: a second link between the same two gateways, or a link of a passive
    gateway.
    """
    for cluster in graph.cluster_of:
        for hop in (*graph.hops_from(cluster), *graph.standby_from(cluster)):
            near, far = hop.source_gateway, hop.target_gateway
            if hop.far_addresses and graph.runs_agent(near, Plane.HOST) and graph.runs_agent(far, Plane.HOST):
                ends = agent_of(near, Plane.HOST), agent_of(far, Plane.HOST)
                yield from _ask_link_end(graph, *ends, hop, policy)


def _ask_link_end(
    graph: ClusterGraph, source: AgentId, far_agent: AgentId, hop: LinkHop, policy: PlanPolicy
) -> Iterator[PlannedCheck]:
    out, back = find_link_route(hop), find_link_route(graph.reverse(hop))
    for address in hop.far_addresses:
        target = Target(TargetKind.AGENT, address, str(far_agent), far_agent.node_id)
        for probe in (*_base_probes(graph, policy), *_some_flows(graph, policy, range(1, _LINK_FLOWS))):
            route_out = (*out, firewall_rule(far_agent.node_id, port=_port_text(probe)))
            yield _question(source, target, probe, Layer.NODE, policy.burst, (route_out,), (back,))


def _base_probes(graph: ClusterGraph, policy: PlanPolicy) -> tuple[Probe, Probe]:
    return (
        Probe("icmp", timeout_ns=policy.timeout_ns),
        Probe("udp", port=graph.inventory.agent_port, timeout_ns=policy.timeout_ns),
    )


def _variants(
    graph: ClusterGraph, pair: AgentPair, main: int, policy: PlanPolicy
) -> Iterator[tuple[int, Probe]]:
    port, timeout_ns = graph.inventory.agent_port, policy.timeout_ns
    yield main, Probe("tcp", port=port, timeout_ns=timeout_ns)
    if main == V4 and pair.source.node_id != pair.target.node_id:
        yield V6, Probe("udp", port=port, timeout_ns=timeout_ns)
    size = _large_size(graph, pair)
    if size:
        yield main, Probe("udp", port=port, size=size, timeout_ns=timeout_ns)


def _large_size(graph: ClusterGraph, pair: AgentPair) -> int:
    """Size of the largest packet that should pass; 0 if a large packet is not asked for this pair.

    Pods ask with large packets; to and from a site, which has no pods, hosts do.
    """
    here, there = pair.source, pair.target
    ends = graph.cluster_of[here.cluster], graph.cluster_of[there.cluster]
    if here.node_id == there.node_id or (
        Plane.HOST in (here.plane, there.plane) and not graph.involves_site(here.node_id, there.node_id)
    ):
        return 0
    mtus = [end.pod_mtu for end in ends]
    if here.cluster == there.cluster:
        return min(mtus)
    route = graph.route_between(here.node_id, there.node_id)
    return min(*mtus, route.mtu) if route else 0


def ask_service(
    graph: ClusterGraph, agent: AgentId, cluster: Cluster, served: Service, policy: PlanPolicy
) -> Iterator[PlannedCheck]:
    """S: a service of the agent's own cluster, at its service address or at a node port."""
    part = service(cluster.name, served.qualified)
    port_rule: Route = ()
    proxy = service_proxy(agent.node_id)
    if served.node is not None:
        proxied = NodeId(cluster.name, served.node)
        proxy = service_proxy(proxied)
        port_rule = (firewall_rule(proxied, port=f"{served.protocol}/{served.port}"),)
    for address in served.addresses:
        if plane_address(graph, agent, family_of(address)) is None:
            continue
        target = Target(TargetKind.SERVICE, address, f"{cluster.name}/{served.qualified}")
        for probe, count in _service_probes(served, policy):
            yield _question(
                agent, target, probe, Layer.SERVICE, count, ((proxy, part, *port_rule),), _UNKNOWN
            )


def _service_probes(served: Service, policy: PlanPolicy) -> Iterator[tuple[Probe, int]]:
    host = f"{served.name}.{served.namespace}.svc.cluster.local"
    if "udp" in served.protocol:
        yield Probe("udp", port=served.port, timeout_ns=policy.timeout_ns), 2
    if "tcp" in served.protocol:
        if served.speaks == "http":
            yield Probe("http", port=served.port, name=host, timeout_ns=policy.timeout_ns), 2
        else:
            yield Probe("tcp", port=served.port, timeout_ns=policy.timeout_ns), 2


def ask_endpoints(
    agent: AgentId, served: Service, known: frozenset[str], policy: PlanPolicy
) -> Iterator[PlannedCheck]:
    """E: endpoints that are not agents; agents are asked by other checks."""
    for address in served.endpoints:
        if address in known or "tcp" not in served.protocol:
            continue
        target = Target(TargetKind.ENDPOINT, address, f"{agent.cluster}/{served.qualified}/{address}")
        probe = Probe("tcp", port=served.target_port, timeout_ns=policy.timeout_ns)
        yield _question(agent, target, probe, Layer.ENDPOINT, 1, _UNKNOWN, _UNKNOWN)


def ask_dns(
    graph: ClusterGraph, agent: AgentId, cluster: Cluster, policy: PlanPolicy
) -> Iterator[PlannedCheck]:
    """DNS: one name of the cluster and, if a service is exported, one of the clusterset."""
    named = next((found for found in cluster.services if found.node is None), None)
    local = (
        f"{named.name}.{named.namespace}.svc.cluster.local"
        if named
        else "kubernetes.default.svc.cluster.local"
    )
    names: list[tuple[str, Route]] = [(local, ())]
    exported = find_exported(graph)
    if exported is not None:
        wide = f"{exported.name}.{exported.namespace}.svc.{CLUSTERSET}"
        names.append((wide, (dns(cluster.name, zone=CLUSTERSET),)))
    proxy = service_proxy_for_dns(agent.node_id)
    for address in cluster.dns_addresses:
        if plane_address(graph, agent, family_of(address)) is None:
            continue
        target = Target(TargetKind.DNS, address, f"{cluster.name}/dns")
        for name, zone in names:
            probe = Probe("dns", port=53, name=name, timeout_ns=policy.timeout_ns)
            route = (proxy, dns(cluster.name), *zone)
            yield _question(agent, target, probe, Layer.DNS, 2, (route,), _UNKNOWN)


def find_exported(graph: ClusterGraph) -> Service | None:
    """The first service that is reachable from other clusters by name, or None."""
    services = (found for cluster in graph.inventory.clusters for found in cluster.services)
    return next((found for found in services if found.exported), None)


def ask_outer(graph: ClusterGraph, policy: PlanPolicy) -> Iterator[PlannedCheck]:
    """Gateway to gateway on outer addresses, once per direction of each link, from the host plane.

    Passive gateways are asked too, which shows that they could take over.
    """
    for cluster in graph.cluster_of:
        for hop in (*graph.hops_from(cluster), *graph.standby_from(cluster)):
            source = AgentId(hop.source_gateway.cluster, hop.source_gateway.node, Plane.HOST)
            addresses = graph.node_of[hop.target_gateway].outer_addresses
            if addresses and graph.runs_agent(hop.source_gateway, Plane.HOST):
                yield from _ask_outer(source, hop.target_gateway, addresses[0], policy)


def _ask_outer(source: AgentId, gateway: NodeId, address: str, policy: PlanPolicy) -> Iterator[PlannedCheck]:
    target = Target(TargetKind.GATEWAY_OUTER, address, f"{gateway}/outer", gateway)
    probe = Probe("icmp", timeout_ns=policy.timeout_ns)
    out = find_outer_route(source=source.node_id, target=gateway)
    back = find_outer_route(source=gateway, target=source.node_id)
    yield _question(source, target, probe, Layer.OUTER, policy.burst, (out,), (back,))


def _layer_of(pair: AgentPair) -> Layer:
    if pair.target.plane is Plane.HOST:
        return Layer.NODE
    return Layer.POD if pair.source.plane is Plane.POD else Layer.HOST_POD


def _port_text(probe: Probe) -> str:
    return f"{probe.kind}/{probe.port}" if probe.port else probe.kind


def _question(
    source: AgentId, target: Target, probe: Probe, layer: Layer, count: int,
    out: tuple[Route, ...], back: tuple[Route, ...], *, is_variant: bool = False,
) -> PlannedCheck:  # fmt: skip
    identity = check_id(source, target, probe)
    check = Check(identity, source, target, probe, layer, count)
    return PlannedCheck(check, Legs(identity, out[0], back[0], out[1:], back[1:]), is_variant)
