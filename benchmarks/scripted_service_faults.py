"""Scripted faults of names, services and the way of reports, each kind at two places."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.lab_places import DEV, PROD, STAGING, LabNode, node
from netprobe.lab.fault_script import HostScript, ScriptedFault, write_chain
from netprobe.model.component import Component, bus_way, dns, service, service_proxy, service_proxy_for_dns
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import AgentId, ClusterName, NodeId, Plane

_MANY_WINDOWS = 40
_ECHO = "netprobe/echo"
_BUS = "{ 4222, 4223, 443 }"


def service_faults() -> Iterator[ScriptedFault]:
    """Every kind, at its first place and at its second."""
    for at in (node(PROD, "w2"), node(STAGING, "gw")):
        yield _names_lost_at_node(at)
        yield _endpoint_dead_at_node(at)
    for cluster in (PROD, STAGING):
        yield _names_lost_at_server(node(cluster, "w1"))
    for cluster in (STAGING, DEV):
        both = (node(cluster, "gw"), node(cluster, "w1"))
        yield _endpoint_dead(both)
        yield _second_server_dead(both)
    for at in (node(STAGING, "w1"), node(DEV, "gw")):
        yield _no_way_to_itself(at)
    for at in (node(PROD, "w1"), node(DEV, "gw")):
        yield _pod_cut_off(at)
    for at in (node(PROD, "w1"), node(STAGING, "w1")):
        yield _node_cut_off(at)
    for cluster in (DEV, STAGING):
        yield _cluster_cut_off(cluster)


def _on_both_ways(rule: str, *, kind: str = "filter", priority: str = "-150") -> tuple[str, str]:
    """*rule* for what others send through the host, and for what it sends itself."""
    begin, end = write_chain("prerouting", rule, kind=kind, priority=priority)
    also, rest = write_chain("output", rule, kind=kind, priority=priority, name="-own")
    return f"{begin}; {also}", f"{end}; {rest}"


def _names_lost_at_node(at: LabNode) -> ScriptedFault:
    rule = f"ip daddr {at.dns_service} udp dport 53 numgen random mod 100 < 25 drop"
    label = GroundTruth(Cause.SERVICE_LOSSY, (service_proxy_for_dns(at.id),))
    script = HostScript(at.host, *_on_both_ways(rule))
    return ScriptedFault("names-lost-at-node", at.host, (script,), label, patience=_MANY_WINDOWS)


def _names_lost_at_server(at: LabNode) -> ScriptedFault:
    begin, end = write_chain("forward", 'oifname "pod1" udp dport 53 numgen random mod 100 < 25 drop')
    label = GroundTruth(Cause.SERVICE_LOSSY, (dns(at.id.cluster),))
    script = HostScript(at.host, begin, end)
    return ScriptedFault("names-lost-at-server", at.host, (script,), label, patience=_MANY_WINDOWS)


def _to_dead(at: LabNode, address: str, port: int) -> tuple[str, str]:
    """Every other new flow to a service address is led to an address where no pod is."""
    dead = f"{at.pod.rpartition('.')[0]}.99:{port}"
    what = f"ip daddr {address} meta l4proto {{ tcp, udp }} th dport {{ 53, 80 }}"
    rule = f"{what} numgen random mod 2 == 0 dnat ip to {dead}"
    return _on_both_ways(rule, kind="nat", priority="-110")


def _endpoint_dead_at_node(at: LabNode) -> ScriptedFault:
    script = HostScript(at.host, *_to_dead(at, at.echo_service, 9771))
    label = GroundTruth(Cause.SERVICE_LOSSY, (service_proxy(at.id),))
    return ScriptedFault("endpoint-dead-at-node", at.host, (script,), label, patience=_MANY_WINDOWS)


def _endpoint_dead(nodes: tuple[LabNode, ...]) -> ScriptedFault:
    cluster = nodes[0].id.cluster
    scripts = tuple(HostScript(at.host, *_to_dead(nodes[-1], at.echo_service, 9771)) for at in nodes)
    label = GroundTruth(Cause.SERVICE_LOSSY, (service(cluster, _ECHO),))
    return ScriptedFault("one-endpoint-dead", cluster, scripts, label, patience=_MANY_WINDOWS)


def _second_server_dead(nodes: tuple[LabNode, ...]) -> ScriptedFault:
    cluster = nodes[0].id.cluster
    scripts = tuple(HostScript(at.host, *_to_dead(nodes[-1], at.dns_service, 53)) for at in nodes)
    label = GroundTruth(Cause.SERVICE_LOSSY, (dns(cluster),))
    return ScriptedFault("one-name-server-dead", cluster, scripts, label, patience=_MANY_WINDOWS)


def _no_way_to_itself(at: LabNode) -> ScriptedFault:
    """A pod that is led to itself by its own service gets no answer."""
    begin, end = write_chain("forward", 'iifname "pod0" oifname "pod0" drop')
    label = GroundTruth(Cause.SERVICE_LOSSY, (service_proxy(at.id),))
    script = HostScript(at.host, begin, end)
    return ScriptedFault("pod-cannot-reach-itself", at.host, (script,), label, patience=_MANY_WINDOWS)


def _cut_off(where: AgentId | NodeId | ClusterName, agents: tuple[Component, ...] = ()) -> GroundTruth:
    """*agents* are the ways of single agents: each is cut off, though one finding would be better."""
    return GroundTruth(Cause.AGENT_CUT_OFF, (bus_way(where),), agents)


def _pod_cut_off(at: LabNode) -> ScriptedFault:
    begin, end = write_chain("prerouting", f'iifname "pod0" tcp dport {_BUS} drop', priority="-150")
    script = HostScript(at.host, begin, end)
    return ScriptedFault("agent-cut-off-from-bus", at.host, (script,), _cut_off(at.agent(Plane.POD)))


def _at_edge(kind: str, cluster: ClusterName, place: str, rule: str, label: GroundTruth) -> ScriptedFault:
    edge = f"{cluster}/edge"
    begin, end = write_chain("forward", f'iifname "br0" {rule} drop')
    return ScriptedFault(kind, place, (HostScript(edge, begin, end),), label)


def _node_cut_off(at: LabNode) -> ScriptedFault:
    rule = f"ip saddr {{ {at.address}, {at.pod} }} tcp dport {_BUS}"
    return _at_edge("node-cut-off-from-bus", at.id.cluster, at.host, rule, _cut_off(at.id, at.bus_ways))


def _cluster_cut_off(cluster: ClusterName) -> ScriptedFault:
    rule = f"tcp dport {_BUS}"
    agents = (way for name in ("gw", "w1") for way in node(cluster, name).bus_ways)
    return _at_edge("cluster-cut-off-from-bus", cluster, cluster, rule, _cut_off(cluster, tuple(agents)))
