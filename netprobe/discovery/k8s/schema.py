"""Kubernetes objects, as far as we read them: only fields that are used; all others are skipped.

Rule: shape only. Field names are the API's own; ``null`` and absence mean the same, as they do there.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class _Object(msgspec.Struct, frozen=True, rename="camel"):
    """Reads camelCase, ignores what it does not know."""


class Meta(_Object, frozen=True):
    """``metadata`` of an object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    deletion_timestamp: str | None = None


class ListMeta(_Object, frozen=True):
    """``metadata`` of a list."""

    resource_version: str = ""
    next_page: str = msgspec.field(default="", name="continue")


class ListOf(_Object, Generic[T], frozen=True):
    """A page of a list."""

    metadata: ListMeta = ListMeta()
    items: tuple[T, ...] = ()


class ApiStatus(_Object, frozen=True):
    """What the server says when it refuses; also the object of an ``ERROR`` event of a watch."""

    message: str = ""
    reason: str = ""
    code: int = 0


class WatchEvent(_Object, frozen=True):
    """One line of a watch; *object* is read by what *type* says."""

    type: str
    object: msgspec.Raw


class Version(_Object, frozen=True):
    """``/version``."""

    git_version: str


class ApiGroup(_Object, frozen=True):
    """One entry of ``/apis``."""

    name: str


class GroupList(_Object, frozen=True):
    """``/apis``: every API group that is served, aggregated ones too."""

    groups: tuple[ApiGroup, ...] = ()


class NodeAddress(_Object, frozen=True):
    """One address of a node."""

    type: str
    address: str


class Condition(_Object, frozen=True):
    """One condition of a status."""

    type: str
    status: str
    message: str = ""


class NodeObjectSpec(_Object, frozen=True):
    """``spec`` of a node."""

    pod_cidr: str = msgspec.field(default="", name="podCIDR")
    pod_cidrs: tuple[str, ...] = msgspec.field(default=(), name="podCIDRs")


class NodeObjectStatus(_Object, frozen=True):
    """``status`` of a node."""

    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[Condition, ...] = ()


class NodeObject(_Object, frozen=True):
    """A node."""

    metadata: Meta
    spec: NodeObjectSpec = NodeObjectSpec()
    status: NodeObjectStatus = NodeObjectStatus()


class PodIP(_Object, frozen=True):
    """One address of a pod."""

    ip: str


class PodSpec(_Object, frozen=True):
    """``spec`` of a pod."""

    node_name: str = ""
    host_network: bool = False


class ContainerStarted(_Object, frozen=True):
    """A container that runs."""

    started_at: str = ""


class ContainerWaiting(_Object, frozen=True):
    """A container that does not run, and why."""

    reason: str = ""
    message: str = ""


class ContainerState(_Object, frozen=True):
    """What a container is doing; at most one is set."""

    running: ContainerStarted | None = None
    waiting: ContainerWaiting | None = None
    terminated: ContainerWaiting | None = None


class ContainerStatus(_Object, frozen=True):
    """One container of a pod."""

    image: str = ""
    ready: bool = False
    state: ContainerState = ContainerState()


class PodStatus(_Object, frozen=True):
    """``status`` of a pod."""

    phase: str = ""
    message: str = ""
    pod_ips: tuple[PodIP, ...] = msgspec.field(default=(), name="podIPs")
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(_Object, frozen=True):
    """A pod."""

    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class WorkloadSpec(_Object, frozen=True):
    """``spec`` of a DaemonSet, which has no replicas, or of a Deployment."""

    replicas: int = 1


class WorkloadStatus(_Object, frozen=True):
    """``status`` of a DaemonSet (numbers) or a Deployment (replicas)."""

    observed_generation: int = 0
    desired_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_ready: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0


class Workload(_Object, frozen=True):
    """A DaemonSet or a Deployment."""

    metadata: Meta
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()


class ServicePort(_Object, frozen=True):
    """One port of a service."""

    port: int
    protocol: str = "TCP"
    name: str = ""
    app_protocol: str = ""
    node_port: int = 0


class ServiceObjectSpec(_Object, frozen=True):
    """``spec`` of a service."""

    type: str = "ClusterIP"
    cluster_ips: tuple[str, ...] = msgspec.field(default=(), name="clusterIPs")
    ports: tuple[ServicePort, ...] = ()


class LoadBalancerIngress(_Object, frozen=True):
    """One address of a load balancer: an IP address or a name."""

    ip: str = ""
    hostname: str = ""


class LoadBalancerStatus(_Object, frozen=True):
    """Addresses of a load balancer; none until it is provisioned."""

    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceObjectStatus(_Object, frozen=True):
    """``status`` of a service."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class ServiceObject(_Object, frozen=True):
    """A service."""

    metadata: Meta
    spec: ServiceObjectSpec = ServiceObjectSpec()
    status: ServiceObjectStatus = ServiceObjectStatus()


class EndpointConditions(_Object, frozen=True):
    """State of one endpoint; None means not reported. Of ``ready`` that counts as true, so says the API."""

    ready: bool | None = None
    serving: bool | None = None
    """Whether it answers, even while it terminates."""
    terminating: bool | None = None


class SliceEndpoint(_Object, frozen=True):
    """One endpoint of a slice."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()


class EndpointPort(_Object, frozen=True):
    """One port of a slice."""

    port: int | None = None
    protocol: str = "TCP"
    name: str | None = None


class EndpointSlice(_Object, frozen=True):
    """Endpoints of a service, of one address family."""

    metadata: Meta
    endpoints: tuple[SliceEndpoint, ...] | None = ()
    address_type: str = "IPv4"
    """``IPv4``, ``IPv6``, or ``FQDN``: then its addresses are names."""
    ports: tuple[EndpointPort, ...] | None = ()


class Named(_Object, frozen=True):
    """An object of which only the metadata matters: a namespace, a NetworkPolicy."""

    metadata: Meta


class ServiceCidrSpec(_Object, frozen=True):
    """``spec`` of a ServiceCIDR."""

    cidrs: tuple[str, ...] = ()


class ServiceCidr(_Object, frozen=True):
    """A range that service addresses come from (networking.k8s.io/v1, since Kubernetes 1.33)."""

    metadata: Meta
    spec: ServiceCidrSpec = ServiceCidrSpec()


class PropertySpec(_Object, frozen=True):
    """``spec`` of a ClusterProperty."""

    value: str = ""


class ClusterProperty(_Object, frozen=True):
    """A property of the cluster (About API, KEP-2149)."""

    metadata: Meta
    spec: PropertySpec = PropertySpec()
