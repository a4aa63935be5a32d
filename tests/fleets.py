"""Whole fleets as values, for everything that draws: the default topology and a large one, healthy and not.

Not a model of a network: a few lines that give every check the state it would have if some components
were dead or lossy and some agents silent, so that pictures and tables have something true to say.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace

from netprobe.model import component as part
from netprobe.model.check import Check, Layer, Legs, Probe, Target, TargetKind, check_id
from netprobe.model.component import Component
from netprobe.model.finding import Cause, Evidence, Finding
from netprobe.model.fleet import Coverage
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole, Service
from netprobe.model.names import AgentId, CheckId, ClusterName, NodeId, NodeName, Plane
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Counters, Snapshot
from netprobe.model.status import (
    AgentState,
    AgentStatus,
    PathState,
    PathStatus,
)

TAKEN_NS = 1_795_417_812_000_000_000
"""2026-11-23 07:10:12 UTC."""
INTERVAL_NS = 1_000_000_000
SECOND_NS = 1_000_000_000

PROD = ClusterName("prod-us-west-1")
STAGING = ClusterName("staging-eu-central-1")
DEV = ClusterName("dev-on-premise")
_RTT_MS = {frozenset((PROD, STAGING)): 71.0, frozenset((STAGING, DEV)): 12.4, frozenset((PROD, DEV)): 34.5}


def node_id(cluster: ClusterName, node: str) -> NodeId:
    return NodeId(cluster, NodeName(node))


# --- inventories -----------------------------------------------------------------------------


def _cluster(
    name: str,
    index: int,
    workers: int,
    *,
    environment: str = "",
    region: str = "",
    node: str = "{}",
) -> Cluster:
    names = (node.format(head) for head in ("gw", *(f"w{number + 1}" for number in range(workers))))
    nodes = tuple(_node(node, index, number) for number, node in enumerate(names))
    echo = Service(
        name="echo",
        namespace="netprobe",
        addresses=(f"10.{index}.255.80", f"fd00:{index:x}:ff::80"),
        port=80,
        target_port=9771,
        endpoints=tuple(address for node in nodes for address in node.pod_addresses[:1]),
        exported=True,
    )
    return Cluster(
        name=ClusterName(name),
        nodes=nodes,
        services=(echo,),
        environment=environment,
        region=region,
        pod_cidrs=(f"10.{index}.0.0/17", f"fd00:{index:x}::/48"),
        service_cidrs=(f"10.{index}.255.0/24",),
        dns_addresses=(f"10.{index}.255.10",),
        pod_mtu=1370,
    )


def _node(name: str, index: int, number: int) -> Node:
    return Node(
        name=NodeName(name),
        role=NodeRole.WORKER if number else NodeRole.GATEWAY,
        host_addresses=(f"172.20.{index}.{number + 1}", f"fd20:{index:x}::{number + 1:x}"),
        pod_addresses=(f"10.{index}.{number}.2", f"fd00:{index:x}:{number:x}::2"),
        outer_addresses=() if number else (f"198.18.{index}.1",),
        pod_cidrs=(f"10.{index}.{number}.0/24",),
    )


def default_inventory() -> Inventory:
    """Three clusters, seven nodes, two WireGuard tunnels and a direct link."""
    gateway = NodeName("gw")
    return Inventory(
        clusters=(
            _cluster(PROD, 1, 2, environment="prod", region="us-west-1"),
            _cluster(STAGING, 2, 1, environment="staging", region="eu-central-1"),
            _cluster(DEV, 3, 1, environment="dev", region="on-premise"),
        ),
        links=(
            Link(PROD, STAGING, LinkKind.TUNNEL, "wireguard", gateway, gateway, 1420, 51820),
            Link(STAGING, DEV, LinkKind.TUNNEL, "wireguard", gateway, gateway, 1420, 51821),
            Link(PROD, DEV, LinkKind.DIRECT, "direct", gateway, gateway, 1500),
        ),
    )


def long_named_inventory() -> Inventory:
    """Two clusters whose names, and whose nodes' names, are as long as a cloud makes them."""
    names = ("production-eu-central-1-payments", "production-us-west-2-payments")
    nodes = ("{}.eu-central-1.compute.internal", "gke-payments-default-pool-7f3a91c2-{}")
    built = tuple(
        _cluster(name, index, 2, environment="production", node=node)
        for index, (name, node) in enumerate(zip(names, nodes, strict=True), 1)
    )
    here, there = (cluster.nodes[0].name for cluster in built)
    link = Link(built[0].name, built[1].name, LinkKind.TUNNEL, "wireguard-go", here, there, 1420, 51820)
    return Inventory(clusters=built, links=(link,))


def large_inventory(clusters: int = 50, workers: int = 1) -> Inventory:
    """Regional hubs in a ring, every other cluster joined to its hub."""
    regions = ("us-west", "us-east", "eu-central", "ap-south", "sa-east")
    built = tuple(
        _cluster(f"{regions[i % 5]}-{i // 5 + 1:02d}", i + 1, workers, region=regions[i % 5])
        for i in range(clusters)
    )
    gateway = NodeName("gw")
    hubs = built[:5]
    pairs = [(hubs[i], hubs[(i + 1) % 5]) for i in range(5)] if clusters >= 5 else []
    pairs += [(hubs[i % 5], cluster) for i, cluster in enumerate(built) if i >= 5]
    links = tuple(
        Link(one.name, other.name, LinkKind.TUNNEL, "wireguard", gateway, gateway, 1420, 51820)
        for one, other in pairs
    )
    return Inventory(clusters=built, links=links)


def world_inventory(clusters: int = 100) -> Inventory:
    """Three environments in five regions; every environment has a hub that its clusters are joined to."""
    regions = ("ap-south", "eu-central", "eu-north", "us-east", "us-west")
    shares = ("prod",) * 10 + ("staging",) * 6 + ("dev",) * 4
    built = tuple(
        _cluster(f"{shares[i % 20]}-{regions[i // 20 % 5]}-{i % 20 + 1:02d}", i + 1, 1,
                 environment=shares[i % 20], region=regions[i // 20 % 5])
        for i in range(clusters)
    )  # fmt: skip
    gateway = NodeName("gw")
    hub = {cluster.environment: cluster for cluster in reversed(built)}
    pairs = [(hub["prod"], hub["staging"]), (hub["staging"], hub["dev"])]
    pairs += [(hub[each.environment], each) for each in built if each is not hub[each.environment]]
    links = tuple(
        Link(one.name, other.name, LinkKind.TUNNEL, "wireguard", gateway, gateway, 1420, 51820)
        for one, other in pairs
    )
    return Inventory(clusters=built, links=links)


# --- checks and legs -------------------------------------------------------------------------


def _ways(a: NodeId, b: NodeId, planes: tuple[Plane, Plane]) -> list[Component]:
    """The components from *a* to *b* (docs/architecture: paths and their legs)."""
    legs = [part.pod_out(a)] if planes[0] is Plane.POD else []
    legs.append(part.node_out(a))
    overlaid = Plane.POD in planes
    if a.cluster == b.cluster:
        legs += [part.overlay(a, b)] if overlaid else []
    else:
        here, there = node_id(a.cluster, "gw"), node_id(b.cluster, "gw")
        legs += [part.overlay(a, here)] if overlaid and a != here else []
        legs += [part.gateway_out(here), part.tunnel(a.cluster, b.cluster), part.gateway_in(there)]
        legs += [part.overlay(there, b)] if overlaid and b != there else []
    legs.append(part.node_in(b))
    return legs + ([part.pod_in(b)] if planes[1] is Plane.POD else [])


def _agent_checks(inventory: Inventory, source: AgentId, target: AgentId) -> Iterator[tuple[Check, Legs]]:
    node = inventory.find_node(target.node_id)
    assert node is not None
    address = node.addresses(target.plane)[0]
    aim = Target(TargetKind.AGENT, address, str(target), target.node_id)
    planes = (source.plane, target.plane)
    layer = (
        Layer.POD
        if set(planes) == {Plane.POD}
        else Layer.NODE
        if set(planes) == {Plane.HOST}
        else Layer.HOST_POD
    )
    forward = tuple(_ways(source.node_id, target.node_id, planes))
    back = tuple(_ways(target.node_id, source.node_id, (planes[1], planes[0])))
    for probe in (Probe("icmp"), Probe("udp", port=9771), Probe("tcp", port=9771)):
        check = Check(
            check_id(source, aim, probe), source, aim, probe, layer, 3 if probe.kind != "tcp" else 1
        )
        yield check, Legs(check.id, forward, back)


def _local_checks(cluster: Cluster, source: AgentId) -> Iterator[tuple[Check, Legs]]:
    service = cluster.services[0]
    node = source.node_id
    aim = Target(TargetKind.SERVICE, service.addresses[0], f"{cluster.name}/{service.qualified}")
    probe = Probe("tcp", port=service.port)
    check = Check(check_id(source, aim, probe), source, aim, probe, Layer.SERVICE)
    yield (
        check,
        Legs(
            check.id,
            (part.node_out(node), part.service_proxy(node), part.service(cluster.name, service.qualified)),
            (part.node_in(node),),
        ),
    )
    aim = Target(TargetKind.DNS, cluster.dns_addresses[0], f"{cluster.name}/dns")
    for zone in ("", "clusterset.local"):
        probe = Probe("dns", port=53, name=f"echo.netprobe.svc.{zone or 'cluster.local'}")
        check = Check(check_id(source, aim, probe), source, aim, probe, Layer.DNS)
        ways = [part.node_out(node), part.service_proxy(node), part.dns(cluster.name)]
        ways += [part.dns(cluster.name, zone=zone)] if zone else []
        yield check, Legs(check.id, tuple(ways), (part.node_in(node),))


def questions(inventory: Inventory) -> tuple[tuple[Check, Legs], ...]:
    """Pod to pod, host to host and host to pod between all clusters that are joined."""
    agents = tuple(inventory.iter_agents())
    joined = {frozenset((link.source, link.target)) for link in inventory.links}
    asked: list[tuple[Check, Legs]] = []
    for source, target in itertools.permutations(agents, 2):
        if source.cluster != target.cluster and frozenset((source.cluster, target.cluster)) not in joined:
            continue
        if source.node_id != target.node_id and (source.plane, target.plane) != (Plane.POD, Plane.HOST):
            asked += _agent_checks(inventory, source, target)
    for cluster in inventory.clusters:
        for source in agents:
            if source.cluster == cluster.name:
                asked += _local_checks(cluster, source)
    return tuple(asked)


# --- snapshots -------------------------------------------------------------------------------


def snapshot_of(
    inventory: Inventory,
    *,
    lossy: Mapping[Component, float] | None = None,
    silent: frozenset[AgentId] = frozenset(),
    findings: tuple[Finding, ...] = (),
    past_findings: tuple[Finding, ...] = (),
) -> Snapshot:
    """The fleet while components in *lossy* lose that share of packets and *silent* agents say nothing."""
    asked = questions(inventory)
    paths = tuple(_path(check, legs, lossy or {}, silent) for check, legs in asked)
    bad = {path.check for path in paths if path.state in {PathState.DOWN, PathState.DEGRADED}}
    findings = tuple(
        replace(found, affected=tuple(sorted(_crossing(found, asked) & bad))) for found in findings
    )
    components = {each for _, legs in asked for each in (*legs.forward, *legs.back)}
    gateway = NodeId(inventory.clusters[0].name, inventory.clusters[0].nodes[0].name)
    apart = (part.pod_out(gateway), part.pod_in(gateway))
    return Snapshot(
        taken_ns=TAKEN_NS,
        interval_ns=INTERVAL_NS,
        inventory=inventory,
        checks=tuple(check for check, _ in asked),
        legs=tuple(legs for _, legs in asked),
        coverage=Coverage(
            len(components) + 1,
            len(components),
            len(components) - 2,
            (part.underlay(PROD, STAGING),),
            (apart,),
            len(asked),
        ),
        paths=paths,
        agents=tuple(_agent(agent, asked, agent in silent) for agent in inventory.iter_agents()),
        findings=findings,
        past_findings=past_findings,
        counters=Counters(reports_stored=len(asked), windows_stored=len(asked) * 10),
    )


def _crossing(found: Finding, asked: tuple[tuple[Check, Legs], ...]) -> set[CheckId]:
    blamed = set(found.components)
    return {check.id for check, legs in asked if blamed & {*legs.forward, *legs.back}}


def _path(
    check: Check, legs: Legs, lossy: Mapping[Component, float], silent: frozenset[AgentId]
) -> PathStatus:
    since = TAKEN_NS - 90 * SECOND_NS
    if check.source in silent or check.target.name in {str(agent) for agent in silent}:
        return PathStatus(check.id, PathState.UNKNOWN, TAKEN_NS - 6 * SECOND_NS, Prose("not measured"))
    sent = 10 * check.count
    lost_out = round(sent * max((lossy.get(each, 0.0) for each in legs.forward), default=0.0))
    lost_back = round((sent - lost_out) * max((lossy.get(each, 0.0) for each in legs.back), default=0.0))
    answered = sent - lost_out - lost_back
    state = PathState.UP if answered == sent else PathState.DOWN if not answered else PathState.DEGRADED
    reason = {PathState.UP: "", PathState.DOWN: "no answers", PathState.DEGRADED: "losing"}[state]
    if state is not PathState.UP:
        since = TAKEN_NS - 7 * SECOND_NS
    rtt = _rtt_ns(check) if answered else None
    return PathStatus(check.id, state, since, Prose(reason), sent, answered, lost_out, lost_back,
                      rtt, rtt and rtt * 1.3)  # fmt: skip


def _rtt_ns(check: Check) -> float:
    node = check.target.node
    if node is None or node.cluster == check.source.cluster:
        return 310_000.0
    return _RTT_MS.get(frozenset((check.source.cluster, node.cluster)), 40.0) * 1e6


def _agent(agent: AgentId, asked: tuple[tuple[Check, Legs], ...], silent: bool) -> AgentStatus:
    return AgentStatus(
        agent=agent,
        state=AgentState.SILENT if silent else AgentState.ALIVE,
        last_report_ns=TAKEN_NS - (8 if silent else 1) * SECOND_NS,
        reason=Prose("no report for 8 s" if silent else ""),
        checks=sum(check.source == agent for check, _ in asked),
        loop_lag_ns=1_200_000,
        version="0.1.0",
        capabilities=("icmp-raw", "syn-raw", "icmp", "tcp", "udp"),
    )


def tunnel_down_finding() -> Finding:
    both = (part.tunnel(PROD, STAGING), part.tunnel(STAGING, PROD))
    return Finding(
        id="tunnel-down-1f2e",
        components=both,
        cause=Cause.TUNNEL_DOWN,
        confidence=0.9,
        summary=Prose(
            "Nothing crosses the tunnel between prod-us-west-1 and staging-eu-central-1 in either "
            "direction, while both gateways' outer addresses still answer each other."
        ),
        evidence_for=(
            Evidence(
                Prose("all 96 paths between the two clusters are down, from every node and both planes")
            ),
            Evidence(
                Prose("gateway outer addresses answer each other, so the network below the tunnel is alive")
            ),
        ),
        evidence_against=(Evidence(Prose("no status of the tunnel daemon itself is known")),),
        first_seen_ns=TAKEN_NS - 5 * SECOND_NS,
        last_seen_ns=TAKEN_NS,
        next_step=Prose(
            "On prod-us-west-1/gw: is the WireGuard daemon running, and when was its last handshake?"
        ),
    )


def lossy_finding() -> Finding:
    return Finding(
        id="tunnel-lossy-77aa",
        components=(part.tunnel(STAGING, DEV), part.tunnel(DEV, STAGING)),
        cause=Cause.TUNNEL_LOSSY,
        confidence=0.85,
        summary=Prose(
            "The tunnel between staging-eu-central-1 and dev-on-premise loses about 30 % of its packets."
        ),
        evidence_for=(Evidence(Prose("48 paths over it lose 25–36 %, all others lose nothing")),),
        first_seen_ns=TAKEN_NS - 64 * SECOND_NS,
        last_seen_ns=TAKEN_NS,
        loss=0.3,
        next_step=Prose("Look at the provider's line between the two gateways."),
    )


def one_way_finding() -> Finding:
    return Finding(
        id="return-path-dropped-3c",
        components=(part.tunnel(PROD, DEV),),
        cause=Cause.RETURN_PATH_DROPPED,
        confidence=0.85,
        summary=Prose("Packets from prod-us-west-1 to dev-on-premise vanish on the link; the others pass."),
        evidence_for=(
            Evidence(
                Prose("dev's agents count requests in and answers out, prod's agents hear nothing back")
            ),
        ),
        first_seen_ns=TAKEN_NS - 12 * SECOND_NS,
        last_seen_ns=TAKEN_NS,
        next_step=Prose("Check rp_filter and the forward rules on dev-on-premise/gw."),
    )


def dns_finding() -> Finding:
    return Finding(
        id="dns-down-9",
        components=(part.dns(DEV),),
        cause=Cause.DNS_DOWN,
        confidence=0.95,
        summary=Prose(
            "The DNS server of dev-on-premise answers no agent, although its address can be pinged."
        ),
        evidence_for=(Evidence(Prose("all 12 DNS checks of the cluster time out")),),
        first_seen_ns=TAKEN_NS - 20 * SECOND_NS,
        last_seen_ns=TAKEN_NS,
        next_step=Prose("kubectl -n kube-system get pods -l k8s-app=kube-dns"),
    )


def sick_finding(agent: AgentId) -> Finding:
    return Finding(
        id="agent-sick-1",
        components=(part.agent(agent),),
        cause=Cause.AGENT_SICK,
        confidence=0.95,
        summary=Prose(
            f"Agent {agent} has stopped measuring; its node answers, so the network is not to blame."
        ),
        evidence_for=(Evidence(Prose("no report for 8 s, while its address answers pings")),),
        first_seen_ns=TAKEN_NS - 6 * SECOND_NS,
        last_seen_ns=TAKEN_NS,
        next_step=Prose(
            f"kubectl --context {agent.cluster} -n netprobe logs -l app=netprobe-agent --tail 50"
        ),
    )


SICK = AgentId(PROD, NodeName("w2"), Plane.POD)


def healthy() -> Snapshot:
    return snapshot_of(default_inventory())


def tunnel_down() -> Snapshot:
    found = tunnel_down_finding()
    return snapshot_of(default_inventory(), lossy=dict.fromkeys(found.components, 1.0), findings=(found,))


def agent_sick() -> Snapshot:
    return snapshot_of(default_inventory(), silent=frozenset((SICK,)), findings=(sick_finding(SICK),))


def agent_cut_off() -> Snapshot:
    """One node's agents run and do not come to the bus."""
    node = SICK.node_id
    missed = tuple(AgentId(node.cluster, node.node, plane) for plane in Plane)
    finding = Finding(
        id="agent-cut-off-1",
        components=(part.bus_way(node),),
        cause=Cause.AGENT_CUT_OFF,
        confidence=0.7,
        summary=Prose(f"Agents {missed[0]} and {missed[1]} run since 03:12 and have never come to the bus."),
        hidden=tuple(map(part.agent, missed)),
        first_seen_ns=TAKEN_NS - 60 * SECOND_NS,
        last_seen_ns=TAKEN_NS,
        next_step=Prose("Look at kube-proxy and DNS there."),
    )
    return snapshot_of(default_inventory(), silent=frozenset(missed), findings=(finding,))


def several() -> Snapshot:
    """A tunnel down, another lossy, a link dropped one way, a DNS server gone, an agent silent, at once."""
    down, lossy, one_way, dns = tunnel_down_finding(), lossy_finding(), one_way_finding(), dns_finding()
    losses = dict.fromkeys((*down.components, *one_way.components, *dns.components), 1.0)
    losses |= dict.fromkeys(lossy.components, 0.3)
    return snapshot_of(
        default_inventory(),
        lossy=losses,
        silent=frozenset((SICK,)),
        findings=(dns, sick_finding(SICK), down, lossy, one_way),
        past_findings=(replace(dns, id="dns-down-8", ended_ns=TAKEN_NS - 300 * SECOND_NS),),
    )


def long_named() -> Snapshot:
    """Long names; the tunnel between them loses packets, and an agent is silent."""
    inventory = long_named_inventory()
    (link,) = inventory.links
    lossy = replace(lossy_finding(), components=_both(link))
    silent = next(inventory.iter_agents())
    return snapshot_of(
        inventory,
        lossy=dict.fromkeys(lossy.components, 0.3),
        silent=frozenset((silent,)),
        findings=(lossy, sick_finding(silent)),
        past_findings=(replace(lossy, id="lossy-8", ended_ns=TAKEN_NS - 300 * SECOND_NS),),
    )


def large() -> Snapshot:
    """Fifty clusters; one spoke's tunnel is down and one loses packets."""
    return _with_two_faults(large_inventory())


def world() -> Snapshot:
    """A hundred clusters in fifteen places; the same two faults."""
    return _with_two_faults(world_inventory())


def _with_two_faults(inventory: Inventory) -> Snapshot:
    broken, weak = inventory.links[10], inventory.links[30]
    down = replace(
        tunnel_down_finding(),
        components=_both(broken),
        summary=Prose(f"Nothing crosses the tunnel between {broken.source} and {broken.target}."),
        next_step=Prose(f"On {broken.target}/gw: is the WireGuard daemon running?"),
    )
    lossy = replace(
        lossy_finding(),
        components=_both(weak),
        summary=Prose(f"The tunnel between {weak.source} and {weak.target} loses about 30 % of its packets."),
    )
    losses = dict.fromkeys(down.components, 1.0) | dict.fromkeys(lossy.components, 0.3)
    return snapshot_of(inventory, lossy=losses, findings=(down, lossy))


def _both(link: Link) -> tuple[Component, Component]:
    return part.tunnel(link.source, link.target), part.tunnel(link.target, link.source)


EVERY = {
    "healthy": healthy,
    "tunnel-down": tunnel_down,
    "agent-sick": agent_sick,
    "agent-cut-off": agent_cut_off,
    "several": several,
}
"""The small fleets by name, for parametrised tests."""
