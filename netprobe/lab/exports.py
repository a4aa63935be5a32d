"""Exports of a lab: its inventory, the records of its DNS servers, its list of hosts. Pure."""

from __future__ import annotations

import json

from netprobe.lab.plan import HostRole, LabPlan, PlannedCluster, PlannedService, pod_host
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole, Service
from netprobe.model.names import NodeId

CLUSTER_ZONE = "cluster.local"
CLUSTERSET_ZONE = "clusterset.local"
_LAN = "eth0"


def make_inventory(plan: LabPlan, *, mechanism: str) -> Inventory:
    """The lab as an inventory; *mechanism* is that of its tunnels."""
    return Inventory(
        clusters=tuple(_cluster(plan, cluster) for cluster in plan.clusters),
        links=tuple(
            Link(
                source=tunnel.source.cluster,
                target=tunnel.target.cluster,
                kind=tunnel.kind,
                mechanism="direct" if tunnel.kind is LinkKind.DIRECT else tunnel.mechanism or mechanism,
                source_gateway=plan.host(tunnel.source.gateway).node.node,  # type: ignore[union-attr]
                target_gateway=plan.host(tunnel.target.gateway).node.node,  # type: ignore[union-attr]
                mtu=tunnel.mtu,
                outer_port=tunnel.port,
                balanced=tunnel.balanced,
                source_addresses=tunnel.source.own_addresses,
                target_addresses=tunnel.target.own_addresses,
            )
            for tunnel in plan.tunnels
        ),
        agent_port=plan.agent_port,
    )


def _cluster(plan: LabPlan, cluster: PlannedCluster) -> Cluster:
    return Cluster(
        name=cluster.name,
        nodes=tuple(_node(plan, cluster, node) for node in cluster.nodes),
        services=tuple(_service(service) for service in cluster.services),
        environment=cluster.environment,
        region=cluster.region,
        pod_cidrs=cluster.pod_cidrs,
        service_cidrs=cluster.service_cidrs,
        dns_addresses=cluster.dns_addresses,
        pod_mtu=cluster.pod_mtu,
    )


def _node(plan: LabPlan, cluster: PlannedCluster, node: NodeId) -> Node:
    is_gateway = node == cluster.gateway
    return Node(
        name=node.node,
        role=NodeRole.GATEWAY if is_gateway else NodeRole.WORKER,
        host_addresses=_addresses(plan, str(node), _LAN),
        pod_addresses=_addresses(plan, pod_host(node), _LAN),
        outer_addresses=_addresses(plan, str(node), "wan0") if is_gateway else (),
        pod_cidrs=dict(cluster.node_pod_cidrs)[node],
    )


def _addresses(plan: LabPlan, host: str, interface: str) -> tuple[str, ...]:
    found = plan.host(host).addresses
    return tuple(address.text.partition("/")[0] for address in found if address.interface == interface)


def _service(service: PlannedService) -> Service:
    return Service(
        name=service.name,
        namespace=service.namespace,
        addresses=service.addresses,
        port=service.port,
        target_port=service.target_port,
        endpoints=service.endpoints,
        exported=service.exported,
    )


def make_zone(plan: LabPlan, cluster: PlannedCluster) -> str:
    """The records of one cluster's DNS server, as JSON: name → addresses and port.

    ``NAME.NAMESPACE.svc.cluster.local`` is the cluster's own service; ``clusterset.local`` has the exported
    services of every cluster, its own first (Multi-Cluster Services API, KEP-1645).
    """
    records: dict[str, dict[str, object]] = {}
    for service in cluster.services:
        records[f"{service.name}.{service.namespace}.svc.{CLUSTER_ZONE}"] = _record([service])
    others = [each for each in plan.clusters if each is not cluster]
    exported: dict[str, list[PlannedService]] = {}
    for each in (cluster, *others):
        for service in each.services:
            if service.exported:
                exported.setdefault(f"{service.name}.{service.namespace}.svc.{CLUSTERSET_ZONE}", []).append(
                    service
                )
    records.update({name: _record(services) for name, services in exported.items()})
    return json.dumps(records, indent=1)


def _record(services: list[PlannedService]) -> dict[str, object]:
    addresses = [address for service in services for address in service.addresses]
    return {"addresses": addresses, "port": services[0].port}


def describe_hosts(plan: LabPlan) -> list[tuple[str, HostRole, list[str]]]:
    """Name, role and addresses of every host, without link-local addresses."""
    return [
        (
            host.name,
            host.role,
            [
                address.text.partition("/")[0]
                for address in host.addresses
                if not address.text.startswith("fe80:")
            ],
        )
        for host in plan.hosts
    ]
