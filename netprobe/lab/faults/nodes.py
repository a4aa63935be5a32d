"""Faults of nodes: the overlay between two nodes, a missing route, a node down."""

from __future__ import annotations

from netprobe.errors import InputError
from netprobe.lab.faults.base import (
    Arguments,
    FaultKind,
    FaultPlan,
    LinksDown,
    NftTable,
    Parameter,
    RoutesGone,
)
from netprobe.lab.plan import LabPlan, PlannedCluster
from netprobe.model.component import (
    cluster_route,
    gateway_in,
    gateway_out,
    node_in,
    node_out,
    overlay,
)
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import NodeId

_NODE = Parameter("node", "CLUSTER/NODE")


def _plan_overlay_blocked(arguments: Arguments) -> FaultPlan:
    one, other = arguments.node("source"), arguments.node("target")
    if one.cluster != other.cluster or one == other:
        raise InputError("source and target must be two nodes of one cluster", where="target")
    cluster = arguments.plan.find_cluster(one.cluster)
    assert cluster is not None
    label = GroundTruth(Cause.OVERLAY_BLOCKED, (overlay(one, other), overlay(other, one)))
    pairs = ((one, other), (other, one))
    return FaultPlan(
        label, tuple(_drop_overlay(arguments.plan, cluster, at=at, sender=sender) for at, sender in pairs)
    )


def _drop_overlay(plan: LabPlan, cluster: PlannedCluster, *, at: NodeId, sender: NodeId) -> NftTable:
    """Drop at the node *at* what *sender* sends to or from pods and other clusters, not host to host."""
    host = plan.host(str(sender))
    if host.vxlans:
        vxlan = host.vxlans[0]
        rules = [f"ip saddr {vxlan.local} udp dport {vxlan.port} drop"]
    else:
        nodes_v4, nodes_v6 = cluster.node_cidrs
        start = f'iifname "eth0" ether saddr {plan.mac(host.name, "eth0")}'
        rules = [
            f"{start} ip saddr != {nodes_v4} drop",
            f"{start} ip daddr != {nodes_v4} drop",
            f"{start} ip6 saddr != {{ {nodes_v6}, fe80::/10 }} drop",
            f"{start} ip6 daddr != {{ {nodes_v6}, fe80::/10, ff00::/8 }} drop",
        ]
    lines = "\n".join(f"  {rule}" for rule in rules)
    return NftTable(
        str(at),
        f" chain arriving {{\n  type filter hook prerouting priority raw; policy accept\n{lines}\n }}",
    )


def _plan_route_missing(arguments: Arguments) -> FaultPlan:
    node, far = arguments.node("node"), arguments.cluster("cluster")
    own = arguments.plan.find_cluster(node.cluster)
    assert own is not None
    if node == own.gateway:
        raise InputError(f"{node} is the gateway; choose a worker", where="node")
    link = arguments.plan.find_tunnel(own.name, far.name)
    if link is None:
        raise InputError(f"no link connects {own.name} and {far.name}", where="cluster")
    label = GroundTruth(
        Cause.ROUTE_MISSING,
        (cluster_route(node, gateway=own.gateway, target=far.name),),
    )
    return FaultPlan(label, (RoutesGone(str(node), link.end(far.name).inner_ranges),))


def _all_links(plan: LabPlan, node: NodeId) -> LinksDown:
    host = plan.host(str(node))
    return LinksDown(host.name, (*(vxlan.name for vxlan in host.vxlans), *plan.interfaces(host.name)))


def _plan_node_down(arguments: Arguments) -> FaultPlan:
    node = arguments.node("node")
    cluster = arguments.plan.find_cluster(node.cluster)
    assert cluster is not None
    if node == cluster.gateway:
        raise InputError(f"{node} is a gateway; use the fault gateway-down", where="node")
    label = GroundTruth(Cause.NODE_DOWN, (node_out(node), node_in(node)))
    return FaultPlan(label, (_all_links(arguments.plan, node),))


def _plan_gateway_down(arguments: Arguments) -> FaultPlan:
    gateway = arguments.cluster("cluster").gateway
    label = GroundTruth(Cause.GATEWAY_DOWN, (gateway_out(gateway), gateway_in(gateway)))
    return FaultPlan(label, (_all_links(arguments.plan, gateway),))


OVERLAY_BLOCKED = FaultKind(
    "overlay-blocked",
    "pod traffic between two nodes is dropped in both directions; host to host works",
    (Parameter("source", "CLUSTER/NODE"), Parameter("target", "CLUSTER/NODE")),
    _plan_overlay_blocked,
)
ROUTE_MISSING = FaultKind(
    "route-missing",
    "one node has no routes to another cluster",
    (_NODE, Parameter("cluster", "CLUSTER")),
    _plan_route_missing,
)
NODE_DOWN = FaultKind("node-down", "all links of a worker go down", (_NODE,), _plan_node_down)
GATEWAY_DOWN = FaultKind(
    "gateway-down",
    "all links of a cluster's gateway go down",
    (Parameter("cluster", "CLUSTER"),),
    _plan_gateway_down,
)
