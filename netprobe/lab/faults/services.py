"""Faults of services and DNS."""

from __future__ import annotations

from ipaddress import ip_network

from netprobe.errors import InputError
from netprobe.lab.exports import CLUSTERSET_ZONE
from netprobe.lab.faults.base import (
    Arguments,
    FaultKind,
    FaultPlan,
    Killed,
    NftChange,
    NftTable,
    Parameter,
    ZoneDenied,
)
from netprobe.lab.plan import LabPlan, PlannedCluster, PlannedService
from netprobe.lab.processes import dns_name
from netprobe.lab.services import TABLE, endpoints_of, map_elements, map_name
from netprobe.model.component import dns, service, service_proxy
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import NodeId

_CLUSTER = Parameter("cluster", "CLUSTER")
_SERVICE = Parameter("service", "NAMESPACE/NAME", "netprobe/echo")
_DEAD_POD = 99  # of a node's pod range; no pod has it
_CLOSED_PORT = 9


def _plan_stale(arguments: Arguments) -> FaultPlan:
    node = arguments.node("node")
    cluster = arguments.plan.find_cluster(node.cluster)
    assert cluster is not None
    stale = arguments.service(cluster, "service")
    changes = tuple(_point_at_dead(cluster, node, stale, version) for version in (4, 6))
    return FaultPlan(
        GroundTruth(Cause.SERVICE_PROXY_STALE, (service_proxy(node),)), changes, forget_flows=(str(node),)
    )


def _point_at_dead(cluster: PlannedCluster, node: NodeId, stale: PlannedService, version: int) -> NftChange:
    """Point the map of one node at a deleted pod of another node."""
    ranges = dict(cluster.node_pod_cidrs)
    elsewhere = next((ranges[other] for other in cluster.nodes if other != node), ranges[node])
    dead = str(ip_network(elsewhere[version == 6])[_DEAD_POD])
    right = endpoints_of(stale, version)
    name = map_name(stale, version)
    return NftChange(
        str(node),
        script=_fill_map(name, (dead,) * len(right)),
        undo=_fill_map(name, right),
    )


def _fill_map(name: str, addresses: tuple[str, ...]) -> str:
    elements = map_elements(addresses)
    return f"flush map inet {TABLE} {name}\nadd element inet {TABLE} {name} {{ {elements} }}\n"


def _plan_no_endpoints(arguments: Arguments) -> FaultPlan:
    cluster = arguments.cluster("cluster")
    empty = arguments.service(cluster, "service")
    tables = tuple(_reject_service(arguments.plan, node, empty) for node in cluster.nodes)
    label = GroundTruth(Cause.NO_ENDPOINTS, (service(cluster.name, empty.qualified),))
    return FaultPlan(label, tables, forget_flows=tuple(map(str, cluster.nodes)))


def _reject_service(plan: LabPlan, node: NodeId, empty: PlannedService) -> NftTable:
    """Reject at once, as kube-proxy does for a service without endpoints.

    The node's own UDP is redirected to a closed port instead, because a reject in the output path would
    return EPERM to the sender instead of the port-unreachable that others get.
    """
    reject, redirect = [], []
    for address in empty.addresses:
        family = "ip6" if ":" in address else "ip"
        lan = plan.host(str(node)).address("eth0", 6 if family == "ip6" else 4)
        reject.append(f"  {family} daddr {address} tcp dport {empty.port} reject with tcp reset")
        redirect.append(
            f"  {family} daddr {address} udp dport {empty.port} dnat {family} to {_at(lan, _CLOSED_PORT)}"
        )
    udp = [
        line.replace("tcp dport", "udp dport").replace("tcp reset", "icmpx port-unreachable")
        for line in reject
    ]
    return NftTable(
        str(node),
        "\n".join(
            [
                " chain arriving {",
                "  type filter hook prerouting priority raw; policy accept",
                *reject,
                *udp,
                " }",
                " chain leaving {",
                "  type filter hook output priority raw; policy accept",
                *reject,
                " }",
                " chain redirecting {",
                "  type nat hook output priority -110; policy accept",
                *redirect,
                " }",
            ]
        ),
    )


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _dns_cluster(arguments: Arguments) -> PlannedCluster:
    cluster = arguments.cluster("cluster")
    if not cluster.dns_addresses:
        raise InputError(f"{cluster.name} has no DNS server", where="cluster")
    return cluster


def _plan_dns_down(arguments: Arguments) -> FaultPlan:
    cluster = _dns_cluster(arguments)
    return FaultPlan(GroundTruth(Cause.DNS_DOWN, (dns(cluster.name),)), (Killed(dns_name(cluster.name)),))


def _plan_forward_missing(arguments: Arguments) -> FaultPlan:
    cluster = _dns_cluster(arguments)
    label = GroundTruth(Cause.DNS_FORWARD_MISSING, (dns(cluster.name, zone=CLUSTERSET_ZONE),))
    return FaultPlan(label, (ZoneDenied(cluster.name, CLUSTERSET_ZONE),))


SERVICE_PROXY_STALE = FaultKind(
    "service-proxy-stale",
    "one node still forwards a service to a deleted pod",
    (Parameter("node", "CLUSTER/NODE"), _SERVICE),
    _plan_stale,
)
NO_ENDPOINTS = FaultKind(
    "no-endpoints",
    "every node of a cluster rejects the service at once",
    (_CLUSTER, _SERVICE),
    _plan_no_endpoints,
)
DNS_DOWN = FaultKind(
    "dns-down",
    "a cluster's DNS server is stopped; its address still answers pings",
    (_CLUSTER,),
    _plan_dns_down,
)
DNS_FORWARD_MISSING = FaultKind(
    "dns-forward-missing",
    "a cluster's DNS server answers NXDOMAIN for clusterset.local",
    (_CLUSTER,),
    _plan_forward_missing,
)
