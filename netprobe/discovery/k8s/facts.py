"""One cluster as its API tells it: objects in, facts out.

Rules. Reading and parsing are separate: :func:`read_objects` does I/O, :func:`parse_cluster` is pure, so a
watch uses the same parser. Kinds that we may not list are named in ``unread``; the others are used. Virtual
nodes are left out: they send no packets. Only the collector and the command line read APIs; agents never do.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from netprobe.discovery.fabrics import SHARED_GROUPS, find_fabrics
from netprobe.discovery.inventory.context_names import ClusterPlace, read_place
from netprobe.discovery.k8s import schema
from netprobe.discovery.k8s.api_resources import read_groups
from netprobe.discovery.k8s.client import ApiRefusedError, ClusterApi
from netprobe.discovery.k8s.collection_watch import ObjectKind
from netprobe.discovery.k8s.services import find_services
from netprobe.model.expected_agents import AgentPod
from netprobe.model.inventory import Cluster, KnownFrom, Node, Service
from netprobe.model.names import AgentId, ClusterName, NodeName, Plane

AGENT_LABEL = "app.kubernetes.io/name=netprobe-agent"
"""Selects agent pods; the manifests set it."""
PLANE_LABEL = "netprobe.io/plane"
"""``pod`` or ``host``, on every agent pod; the manifests set it."""
_VIRTUAL = (
    "liqo.io/type", "type=virtual-kubelet", "type=kwok", "eks.amazonaws.com/compute-type=fargate",
)  # fmt: skip
"""The agents' node affinity says the same; a test compares them."""
_OS_LABEL = "kubernetes.io/os"
"""Every kubelet sets it."""
_ZONE = "topology.kubernetes.io/zone"
_IDENTITY = "cluster.clusterset.k8s.io"


KINDS = (
    ObjectKind("nodes", "/api/v1/nodes", schema.NodeObject),
    ObjectKind("pods", "/api/v1/pods", schema.Pod, AGENT_LABEL),
    ObjectKind("services", "/api/v1/services", schema.ServiceObject),
    ObjectKind("endpointslices", "/apis/discovery.k8s.io/v1/endpointslices", schema.EndpointSlice),
    ObjectKind("namespaces", "/api/v1/namespaces", schema.Named),
    ObjectKind("networkpolicies", "/apis/networking.k8s.io/v1/networkpolicies", schema.Named),
    ObjectKind("servicecidrs", "/apis/networking.k8s.io/v1/servicecidrs", schema.ServiceCidr),
)

_UNUSED_WHILE_WATCHING = frozenset({"networkpolicies"})
"""Shown to people who ask for a cluster; no plan and no verdict of a collector depends on them."""


def watched_kinds(namespace: str) -> tuple[ObjectKind, ...]:
    """What a collector reads of a cluster whose agents are in *namespace*: pods there, and nowhere else.

    The manifests grant exactly this.
    """
    return tuple(
        replace(kind, path=f"/api/v1/namespaces/{namespace}/pods") if kind.name == "pods" else kind
        for kind in KINDS
        if kind.name not in _UNUSED_WHILE_WATCHING
    )


@dataclass(frozen=True, slots=True)
class ClusterObjects:
    """Everything that was read from one cluster, by kind."""

    version: str = ""
    served: frozenset[str] = frozenset()
    """API groups and, of those that several systems share, ``plural.group`` of every resource."""
    identity: str = ""
    """ClusterProperty ``cluster.clusterset.k8s.io``, where there is one."""
    by_kind: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    """Kinds that we may not list, or that this server does not have."""

    def of(self, kind: str) -> tuple[Any, ...]:
        """The objects of one kind; none where it could not be read."""
        return self.by_kind.get(kind, ())


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What one cluster's API tells."""

    cluster: Cluster
    identity: str
    """Which cluster it is, whatever its context is called; empty where nothing could be read that says so."""
    version: str
    fabrics: tuple[str, ...] = ()
    ordinal: str = ""
    not_ready: frozenset[NodeName] = frozenset()
    virtual_nodes: int = 0
    windows_nodes: int = 0
    """Machines that no agent runs on."""
    agents: frozenset[AgentId] = frozenset()
    """Agents whose pods run."""
    agent_pods: tuple[AgentPod, ...] = ()
    """Pods that may show a token."""
    namespaces: tuple[str, ...] = ()
    network_policies: tuple[str, ...] = ()
    """``namespace/name`` of each."""
    unread: tuple[str, ...] = ()


async def read_objects(api: ClusterApi) -> ClusterObjects:
    """Read everything once; ``ApiError`` where the cluster cannot be read at all."""
    served = await read_served(api)
    by_kind: dict[str, tuple[Any, ...]] = {}
    unread: list[str] = []
    for kind in KINDS:
        try:
            by_kind[kind.name], _ = await api.list(kind.path, kind.shape, kind.selector)
        except ApiRefusedError as error:
            if error.code not in (403, 404):
                raise
            unread.append(kind.name)
    return replace(served, by_kind=by_kind, unread=tuple(unread))


async def read_served(api: ClusterApi) -> ClusterObjects:
    """Read what the server is: version, API groups, the identity that it was given; no objects."""
    version = await api.get("/version", schema.Version)
    served = await (await read_groups(api)).find_names(api, SHARED_GROUPS)
    identity = await _read_identity(api) if "about.k8s.io" in served else ""
    return ClusterObjects(version.git_version, served, identity)


async def _read_identity(api: ClusterApi) -> str:
    for version in ("v1", "v1beta1", "v1alpha1"):
        try:
            path = f"/apis/about.k8s.io/{version}/clusterproperties/{_IDENTITY}"
            return (await api.get(path, schema.ClusterProperty)).spec.value
        except ApiRefusedError as error:
            if error.code not in (403, 404):
                raise
    return ""


def parse_cluster(name: ClusterName, read: ClusterObjects, place: ClusterPlace | None = None) -> ClusterFacts:
    """Turn the objects of a cluster into facts; *place* overrides what its name says."""
    place = place or read_place(name)
    machines = [node for node in read.of("nodes") if not is_virtual(node)]
    real = [node for node in machines if not is_windows(node)]
    pods = [pod for pod in read.of("pods") if _is_running(pod)]
    nodes = tuple(_node_of(node, pods) for node in sorted(real, key=lambda node: node.metadata.name))
    services = find_services(
        read.of("services"),
        read.of("endpointslices"),
        asked_namespaces=_enabled_namespaces(read.of("namespaces")),
        nodes=nodes,
    )
    cluster = Cluster(
        name=name,
        nodes=nodes,
        services=services,
        environment=place.environment,
        region=place.region,
        pod_cidrs=_collapse(cidr for node in nodes for cidr in node.pod_cidrs),
        service_cidrs=_collapse(cidr for found in read.of("servicecidrs") for cidr in found.spec.cidrs),
        dns_addresses=_dns_addresses(services),
    )
    return ClusterFacts(
        cluster=cluster,
        identity=read.identity or _system_uid(read.of("namespaces")),
        version=read.version,
        fabrics=find_fabrics(read.served),
        ordinal=place.ordinal,
        not_ready=frozenset(NodeName(node.metadata.name) for node in real if not is_ready(node)),
        virtual_nodes=len(read.of("nodes")) - len(machines),
        windows_nodes=len(machines) - len(real),
        agents=frozenset(_agent_of(name, pod) for pod in pods),
        agent_pods=tuple(_agent_pod(name, pod) for pod in read.of("pods") if pod.spec.node_name),
        namespaces=tuple(sorted(found.metadata.name for found in read.of("namespaces"))),
        network_policies=tuple(
            sorted(
                f"{found.metadata.namespace}/{found.metadata.name}" for found in read.of("networkpolicies")
            )
        ),
        unread=read.unread,
    )


def is_virtual(node: schema.NodeObject) -> bool:
    """Whether a node stands for something else than a machine (Liqo, virtual-kubelet, kwok, Fargate)."""
    labels = node.metadata.labels
    return any(
        labels.get(key) == value if value else key in labels
        for key, _, value in (mark.partition("=") for mark in _VIRTUAL)
    )


def is_windows(node: schema.NodeObject) -> bool:
    """Whether a node runs Windows, where agents cannot run."""
    return node.metadata.labels.get(_OS_LABEL, "linux") == "windows"


def is_ready(node: schema.NodeObject) -> bool:
    """Whether the control plane calls the node ready: evidence, never truth."""
    return _has_ready_condition(node.status.conditions)


def _has_ready_condition(conditions: Iterable[schema.Condition]) -> bool:
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def _node_of(node: schema.NodeObject, pods: Iterable[schema.Pod]) -> Node:
    name = node.metadata.name
    on_pod_plane = [pod for pod in pods if pod.spec.node_name == name and _plane_of(pod) is Plane.POD]
    return Node(
        name=NodeName(name),
        host_addresses=tuple(found.address for found in node.status.addresses if found.type == "InternalIP"),
        pod_addresses=tuple(address.ip for pod in on_pod_plane[:1] for address in pod.status.pod_ips),
        pod_cidrs=node.spec.pod_cidrs or ((node.spec.pod_cidr,) if node.spec.pod_cidr else ()),
        zone=node.metadata.labels.get(_ZONE, ""),
        known_from=KnownFrom.API,
    )


def _is_running(pod: schema.Pod) -> bool:
    """Whether the pod of an agent runs and is not about to end."""
    return pod.status.phase == "Running" and bool(pod.status.pod_ips) and not pod.metadata.deletion_timestamp


def _plane_of(pod: schema.Pod) -> Plane:
    said = pod.metadata.labels.get(PLANE_LABEL, "")
    if said in set(Plane):
        return Plane(said)
    return Plane.HOST if pod.spec.host_network else Plane.POD


def _agent_of(cluster: ClusterName, pod: schema.Pod) -> AgentId:
    return AgentId(cluster, NodeName(pod.spec.node_name), _plane_of(pod))


def _enabled_namespaces(namespaces: Iterable[schema.Named]) -> frozenset[str]:
    return frozenset(
        found.metadata.name for found in namespaces if found.metadata.labels.get("netprobe.io/ask") == "true"
    )


def _agent_pod(cluster: ClusterName, pod: schema.Pod) -> AgentPod:
    meta, (since_ns, waits) = pod.metadata, _container_of(pod)
    return AgentPod(
        meta.uid, meta.namespace, meta.name, _agent_of(cluster, pod), runs=_is_running(pod),
        since_ns=since_ns, waits=waits, is_ready=_has_ready_condition(pod.status.conditions),
    )  # fmt: skip


def _container_of(pod: schema.Pod) -> tuple[int | None, str]:
    """Since when the agent's container runs, and why it does not; a moment that is none is not told."""
    state = pod.status.container_statuses[0].state if pod.status.container_statuses else None
    if state is None or state.running is None:
        idle = (state.waiting or state.terminated) if state is not None else None
        return None, idle.reason if idle is not None else ""
    try:
        return int(datetime.fromisoformat(state.running.started_at).timestamp()) * 1_000_000_000, ""
    except (ValueError, OverflowError):
        return None, ""


def _system_uid(namespaces: Iterable[schema.Named]) -> str:
    return next((found.metadata.uid for found in namespaces if found.metadata.name == "kube-system"), "")


def _dns_addresses(services: Iterable[Service]) -> tuple[str, ...]:
    return next(
        (service.addresses for service in services if service.qualified == "kube-system/kube-dns"), ()
    )


def _collapse(cidrs: Iterable[str]) -> tuple[str, ...]:
    """The ranges with neighbours joined, IPv4 first: a thousand nodes' /24s are one line."""
    ranges = [ipaddress.ip_network(cidr, strict=False) for cidr in cidrs]
    four = [found for found in ranges if isinstance(found, ipaddress.IPv4Network)]
    six = [found for found in ranges if isinstance(found, ipaddress.IPv6Network)]
    return tuple(map(str, (*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six))))
