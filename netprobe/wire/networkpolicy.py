"""Schema of NetworkPolicy manifests (strict), and of the pods and namespaces they select (lenient).

Rule: only the shape is defined here. An unknown field of a policy is an error, because ignoring it would
change the verdict; of pods and namespaces only the fields that policies use are read. ``null`` means the same
as an absent field, as in the API.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

TransportName = Literal["TCP", "UDP", "SCTP"]


class _Loose(msgspec.Struct, frozen=True, rename="camel"):
    """Ignores unknown fields."""


class _Strict(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Refuses unknown fields."""


class MetaDoc(_Loose, frozen=True):
    """``metadata``."""

    name: str
    namespace: str | None = None
    labels: dict[str, str] | None = None


class RequirementDoc(_Strict, frozen=True):
    """One entry of ``matchExpressions``."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] | None = None


class SelectorDoc(_Strict, frozen=True):
    """A label selector; an empty one selects everything."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[RequirementDoc, ...] | None = None


class BlockDoc(_Strict, frozen=True):
    """``ipBlock``."""

    cidr: str
    excepts: tuple[str, ...] | None = msgspec.field(default=None, name="except")


class PeerDoc(_Strict, frozen=True):
    """One entry of ``from`` or ``to``."""

    pod_selector: SelectorDoc | None = None
    namespace_selector: SelectorDoc | None = None
    ip_block: BlockDoc | None = None


class PortDoc(_Strict, frozen=True):
    """One entry of ``ports``."""

    protocol: TransportName | None = None
    port: int | str | None = None
    end_port: int | None = None


class IngressDoc(_Strict, frozen=True):
    """One entry of ``ingress``."""

    peers: tuple[PeerDoc, ...] | None = msgspec.field(default=None, name="from")
    ports: tuple[PortDoc, ...] | None = None


class EgressDoc(_Strict, frozen=True):
    """One entry of ``egress``."""

    peers: tuple[PeerDoc, ...] | None = msgspec.field(default=None, name="to")
    ports: tuple[PortDoc, ...] | None = None


class PolicySpecDoc(_Strict, frozen=True):
    """``spec`` of a NetworkPolicy. An absent ``podSelector`` is an empty one, as in the API."""

    pod_selector: SelectorDoc | None = None
    policy_types: tuple[Literal["Ingress", "Egress"], ...] | None = None
    ingress: tuple[IngressDoc, ...] | None = None
    egress: tuple[EgressDoc, ...] | None = None


class PolicyDoc(_Strict, frozen=True):
    """A NetworkPolicy."""

    metadata: MetaDoc
    spec: PolicySpecDoc
    kind: str = ""
    api_version: str = ""
    status: dict[str, Any] | None = None


class NamespaceDoc(_Loose, frozen=True):
    """A Namespace."""

    metadata: MetaDoc


class ContainerPortDoc(_Loose, frozen=True):
    """One entry of a container's ``ports``."""

    container_port: int
    name: str | None = None
    protocol: TransportName | None = None


class ContainerDoc(_Loose, frozen=True):
    """A container; ``restartPolicy: Always`` makes an init container a sidecar that keeps running."""

    ports: tuple[ContainerPortDoc, ...] | None = None
    restart_policy: str | None = None


class PodSpecDoc(_Loose, frozen=True):
    """``spec`` of a Pod."""

    containers: tuple[ContainerDoc, ...] = ()
    init_containers: tuple[ContainerDoc, ...] | None = None
    node_name: str | None = None
    host_network: bool | None = None


class PodAddressDoc(_Loose, frozen=True):
    """One entry of ``podIPs``."""

    ip: str


class PodStatusDoc(_Loose, frozen=True):
    """``status`` of a Pod."""

    phase: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: tuple[PodAddressDoc, ...] | None = msgspec.field(default=None, name="podIPs")


class PodDoc(_Loose, frozen=True):
    """A Pod."""

    metadata: MetaDoc
    spec: PodSpecDoc
    status: PodStatusDoc | None = None
