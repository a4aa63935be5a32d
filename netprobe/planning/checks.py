"""What is asked of whom: pairs and places turned into checks, each with its legs.

Rule: every check towards an agent ends its way out at a firewall rule of the target's node (``tcp/9771``,
``udp/9771``, ``icmp``): where only one protocol is silent, that is the part which is broken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
"""UDP flows over one certain link: with fewer checks a loss on it could not be told from chance."""
_UNKNOWN: tuple[Route, ...] = ((),)
_MISSED = 0.01
"""δ: the chance that some way is met by none of the flows."""


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check with its legs; a *variant* asks a pair in one more way and may be left out for a while."""

    check: Check
    legs: Legs
    is_variant: bool = False


def ask_pair(
    fabric: ClusterGraph, pair: AgentPair, policy: PlanPolicy, *, epoch: int = 0
) -> Iterator[PlannedCheck]:
    """ICMP and UDP for every pair; TCP, IPv6 and, pod to pod, large packets for the rich ones.

    Where routers spread flows over several ways, some more UDP flows in turns: each may take another way.
    """
    out = find_routes(fabric, source=pair.source, target=pair.target)
    back = find_routes(fabric, source=pair.target, target=pair.source)
    if not out or not back:
        return
    layer = _layer_of(pair)
    main = V4 if plane_address(fabric, pair.target, V4) is not None else V6
    asked = [(main, probe, policy.burst, False) for probe in _base_probes(fabric, policy)]
    if pair.rich:
        asked += [(family, probe, 1, True) for family, probe in _variants(fabric, pair, main, policy)]
    if layer is Layer.POD or fabric.leads_to_site(pair.source.node_id, pair.target.node_id):
        ways = max(len(out), len(back))
        asked += [(main, probe, 1, True) for probe in _flows(fabric, ways, policy, epoch)]
    for family, probe, count, is_variant in asked:
        address = plane_address(fabric, pair.target, family)
        if address is None or plane_address(fabric, pair.source, family) is None:
            continue
        target = Target(TargetKind.AGENT, address, str(pair.target), pair.target.node_id)
        door = firewall_rule(pair.target.node_id, port=_door(probe))
        ways_out = tuple((*way, door) for way in out)
        yield _question(pair.source, target, probe, layer, count, ways_out, back, is_variant=is_variant)


def count_flows(ways: int) -> int:
    """How many flows meet each of *ways* equal ways, with a chance of 99 %: w·ln(w/δ) (coupon collector).

    >>> count_flows(1), count_flows(2), count_flows(8)
    (0, 11, 54)
    """
    return math.ceil(ways * math.log(ways / _MISSED)) if ways > 1 else 0


def _flows(fabric: ClusterGraph, ways: int, policy: PlanPolicy, epoch: int) -> Iterator[Probe]:
    """A subset of the flows, another in each epoch, until all had their turn; flow 0 is asked anyway."""
    flows = min(count_flows(ways), udp.MAX_FLOW)
    at_once = min(policy.flows, flows)
    turns = range(epoch * at_once, (epoch + 1) * at_once)
    yield from _some_flows(fabric, policy, (1 + turn % flows for turn in turns))


def _some_flows(fabric: ClusterGraph, policy: PlanPolicy, numbers: Iterable[int]) -> Iterator[Probe]:
    port, patience = fabric.inventory.agent_port, policy.timeout_ns
    for flow in numbers:
        yield Probe("udp", port=port, timeout_ns=patience, options=(("flow", str(flow)),))


def ask_link_ends(fabric: ClusterGraph, policy: PlanPolicy) -> Iterator[PlannedCheck]:
    """Gateway to gateway over one certain link: its far end has an address of its own.

    It is how a link is seen that carries nothing now: the second between the same two gateways, or one that
    a passive gateway holds.
    """
    for cluster in fabric.cluster_of:
        for hop in (*fabric.hops_from(cluster), *fabric.standby_from(cluster)):
            near, far = hop.source_gateway, hop.target_gateway
            if hop.far_addresses and fabric.stands(near, Plane.HOST) and fabric.stands(far, Plane.HOST):
                ends = agent_of(near, Plane.HOST), agent_of(far, Plane.HOST)
                yield from _ask_link_end(fabric, *ends, hop, policy)


def _ask_link_end(
    fabric: ClusterGraph, source: AgentId, asked: AgentId, hop: LinkHop, policy: PlanPolicy
) -> Iterator[PlannedCheck]:
    out, back = find_link_route(hop), find_link_route(fabric.turn_round(hop))
    for address in hop.far_addresses:
        target = Target(TargetKind.AGENT, address, str(asked), asked.node_id)
        for probe in (*_base_probes(fabric, policy), *_some_flows(fabric, policy, range(1, _LINK_FLOWS))):
            way_out = (*out, firewall_rule(asked.node_id, port=_door(probe)))
            yield _question(source, target, probe, Layer.NODE, policy.burst, (way_out,), (back,))


def _base_probes(fabric: ClusterGraph, policy: PlanPolicy) -> tuple[Probe, Probe]:
    return (
        Probe("icmp", timeout_ns=policy.timeout_ns),
        Probe("udp", port=fabric.inventory.agent_port, timeout_ns=policy.timeout_ns),
    )


def _variants(
    fabric: ClusterGraph, pair: AgentPair, main: int, policy: PlanPolicy
) -> Iterator[tuple[int, Probe]]:
    port, patience = fabric.inventory.agent_port, policy.timeout_ns
    yield main, Probe("tcp", port=port, timeout_ns=patience)
    if main == V4 and pair.source.node_id != pair.target.node_id:
        yield V6, Probe("udp", port=port, timeout_ns=patience)
    size = _large_size(fabric, pair)
    if size:
        yield main, Probe("udp", port=port, size=size, timeout_ns=patience)


def _large_size(fabric: ClusterGraph, pair: AgentPair) -> int:
    """The largest packet that is meant to pass; 0 where the question says nothing.

    Pods ask it; to and from a site, which has none, hosts do.
    """
    here, there = pair.source, pair.target
    ends = fabric.cluster_of[here.cluster], fabric.cluster_of[there.cluster]
    if here.node_id == there.node_id or (
        Plane.HOST in (here.plane, there.plane) and not fabric.leads_to_site(here.node_id, there.node_id)
    ):
        return 0
    mtus = [end.pod_mtu for end in ends]
    if here.cluster == there.cluster:
        return min(mtus)
    way = fabric.way_between(here.node_id, there.node_id)
    return min(*mtus, way.mtu) if way else 0


def ask_service(
    fabric: ClusterGraph, agent: AgentId, cluster: Cluster, asked: Service, policy: PlanPolicy
) -> Iterator[PlannedCheck]:
    """S: a service of the agent's own cluster through its cluster address, or through a port of a node."""
    part = service(cluster.name, asked.qualified)
    door: Route = ()
    proxy = service_proxy(agent.node_id)
    if asked.node is not None:
        proxied = NodeId(cluster.name, asked.node)
        proxy = service_proxy(proxied)
        door = (firewall_rule(proxied, port=f"{asked.protocol}/{asked.port}"),)
    for address in asked.addresses:
        if plane_address(fabric, agent, family_of(address)) is None:
            continue
        target = Target(TargetKind.SERVICE, address, f"{cluster.name}/{asked.qualified}")
        for probe, count in _service_probes(asked, policy):
            yield _question(agent, target, probe, Layer.SERVICE, count, ((proxy, part, *door),), _UNKNOWN)


def _service_probes(asked: Service, policy: PlanPolicy) -> Iterator[tuple[Probe, int]]:
    host = f"{asked.name}.{asked.namespace}.svc.cluster.local"
    if "udp" in asked.protocol:
        yield Probe("udp", port=asked.port, timeout_ns=policy.timeout_ns), 2
    if "tcp" in asked.protocol:
        if asked.speaks == "http":
            yield Probe("http", port=asked.port, name=host, timeout_ns=policy.timeout_ns), 2
        else:
            yield Probe("tcp", port=asked.port, timeout_ns=policy.timeout_ns), 2


def ask_endpoints(
    agent: AgentId, asked: Service, known: frozenset[str], policy: PlanPolicy
) -> Iterator[PlannedCheck]:
    """E: endpoints that are not agents themselves; agents are asked directly anyway."""
    for address in asked.endpoints:
        if address in known or "tcp" not in asked.protocol:
            continue
        target = Target(TargetKind.ENDPOINT, address, f"{agent.cluster}/{asked.qualified}/{address}")
        probe = Probe("tcp", port=asked.target_port, timeout_ns=policy.timeout_ns)
        yield _question(agent, target, probe, Layer.ENDPOINT, 1, _UNKNOWN, _UNKNOWN)


def ask_dns(
    fabric: ClusterGraph, agent: AgentId, cluster: Cluster, policy: PlanPolicy
) -> Iterator[PlannedCheck]:
    """DNS: one name of the cluster itself and, where something is exported, one of the clusterset."""
    named = next((found for found in cluster.services if found.node is None), None)
    local = (
        f"{named.name}.{named.namespace}.svc.cluster.local"
        if named
        else "kubernetes.default.svc.cluster.local"
    )
    names: list[tuple[str, Route]] = [(local, ())]
    exported = find_exported(fabric)
    if exported is not None:
        wide = f"{exported.name}.{exported.namespace}.svc.{CLUSTERSET}"
        names.append((wide, (dns(cluster.name, zone=CLUSTERSET),)))
    proxy = service_proxy_for_dns(agent.node_id)
    for address in cluster.dns_addresses:
        if plane_address(fabric, agent, family_of(address)) is None:
            continue
        target = Target(TargetKind.DNS, address, f"{cluster.name}/dns")
        for name, zone in names:
            probe = Probe("dns", port=53, name=name, timeout_ns=policy.timeout_ns)
            way = (proxy, dns(cluster.name), *zone)
            yield _question(agent, target, probe, Layer.DNS, 2, (way,), _UNKNOWN)


def find_exported(fabric: ClusterGraph) -> Service | None:
    """The first service that is reachable from other clusters by name, or None."""
    every = (found for cluster in fabric.inventory.clusters for found in cluster.services)
    return next((found for found in every if found.exported), None)


def ask_outer(fabric: ClusterGraph, policy: PlanPolicy) -> Iterator[PlannedCheck]:
    """Gateway to gateway on outer addresses, once per direction of each link, from the host plane.

    Those of passive gateways are asked too: it is how one learns that they could take over.
    """
    for cluster in fabric.cluster_of:
        for hop in (*fabric.hops_from(cluster), *fabric.standby_from(cluster)):
            source = AgentId(hop.source_gateway.cluster, hop.source_gateway.node, Plane.HOST)
            addresses = fabric.node_of[hop.target_gateway].outer_addresses
            if addresses and fabric.stands(hop.source_gateway, Plane.HOST):
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


def _door(probe: Probe) -> str:
    return f"{probe.kind}/{probe.port}" if probe.port else probe.kind


def _question(
    source: AgentId, target: Target, probe: Probe, layer: Layer, count: int,
    out: tuple[Route, ...], back: tuple[Route, ...], *, is_variant: bool = False,
) -> PlannedCheck:  # fmt: skip
    identity = check_id(source, target, probe)
    check = Check(identity, source, target, probe, layer, count)
    return PlannedCheck(check, Legs(identity, out[0], back[0], out[1:], back[1:]), is_variant)
