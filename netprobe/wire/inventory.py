"""Schema of the inventory as a YAML document, converted to the model and back.

Rule: only the shape is defined here; consistency is validated in ``discovery``. The structs mirror
``model.inventory`` field by field; fields at their default are left out when written.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole, Service
from netprobe.model.names import AgentId, ClusterName, NodeName
from netprobe.model.ssh import SshAccess, SshForward, SshHop
from netprobe.wire.documents import parse_document

NAME_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\Z"
"""Names as Kubernetes allows them, plus capitals; never a slash, which separates the parts of an id."""

Name = str
Port = int


class _InventoryStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mapping of a document: unknown fields are errors, defaults are not written."""


class HopDoc(_InventoryStruct, frozen=True):
    """One SSH server on the way to a node."""

    host: str
    user: str = ""
    port: Port | None = None
    key: str = ""
    certificate: str = ""
    host_key: str = ""
    known_hosts: str = ""


class SshDoc(_InventoryStruct, frozen=True):
    """SSH access to a node."""

    target: HopDoc
    jumps: tuple[HopDoc, ...] = ()
    agent: bool = True
    sudo: bool = False
    bus_port: Port | None = None


class NodeDoc(_InventoryStruct, frozen=True):
    """One node of a cluster."""

    name: Name
    role: Literal["gateway", "worker"] = "worker"
    host_addresses: tuple[str, ...] = ()
    pod_addresses: tuple[str, ...] = ()
    outer_addresses: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()
    zone: str = ""
    passive: bool = False
    ssh: SshDoc | None = None


class ServiceDoc(_InventoryStruct, frozen=True):
    """One service of a cluster; *target_port* defaults to *port*."""

    name: Name
    namespace: Name
    addresses: tuple[str, ...]
    port: Port
    target_port: Port | None = None
    endpoints: tuple[str, ...] = ()
    protocol: Literal["tcp", "udp"] = "tcp"
    exported: bool = False
    speaks: str = "http"
    node: Name | None = None


class ClusterDoc(_InventoryStruct, frozen=True):
    """One cluster or site."""

    name: Name
    environment: str = ""
    region: str = ""
    is_site: bool = False
    transit: bool = False
    pod_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    dns_addresses: tuple[str, ...] = ()
    remapped_cidrs: tuple[str, ...] = ()
    pod_mtu: int = 1500
    nodes: tuple[NodeDoc, ...] = ()
    services: tuple[ServiceDoc, ...] = ()


class LinkDoc(_InventoryStruct, frozen=True):
    """A tunnel or direct link between two clusters."""

    source: Name
    target: Name
    kind: Literal["tunnel", "direct"]
    mechanism: str = ""
    source_gateway: Name | None = None
    target_gateway: Name | None = None
    mtu: int = 1500
    outer_port: int = 0
    balanced: bool = False
    source_addresses: tuple[str, ...] = ()
    target_addresses: tuple[str, ...] = ()
    is_remapped: bool = False
    carries_hosts: bool = True


class ForwardDoc(_InventoryStruct, frozen=True):
    """A TCP service that is reached through a host behind SSH."""

    name: Name
    host: str
    port: Port
    through: SshDoc


class InventoryDoc(_InventoryStruct, frozen=True):
    """The whole document."""

    clusters: tuple[ClusterDoc, ...]
    links: tuple[LinkDoc, ...] = ()
    allowed_targets: tuple[str, ...] = ()
    agent_port: Port = 9771
    agents: tuple[str, ...] = ()
    forwards: tuple[ForwardDoc, ...] = ()


def parse_inventory(text: str, *, source: str) -> InventoryDoc:
    """Read the document *text*; *source* is the file named in errors (:class:`InputError`)."""
    return parse_document(text, InventoryDoc, source=source)


def write_inventory(inventory: Inventory) -> str:
    """The YAML text that reads back as *inventory*."""
    import yaml  # noqa: PLC0415 - imported only when a document is written

    plain = msgspec.to_builtins(_document_of(inventory))
    return yaml.safe_dump(plain, sort_keys=False, width=100)


def inventory_of(document: InventoryDoc) -> Inventory:
    """The inventory of a document whose agent names have been validated."""
    return Inventory(
        clusters=tuple(_cluster_of(cluster) for cluster in document.clusters),
        links=tuple(_link_of(link) for link in document.links),
        allowed_targets=document.allowed_targets,
        agent_port=document.agent_port,
        agents=frozenset(AgentId.parse(agent) for agent in document.agents),
        forwards=tuple(
            SshForward(forward.name, forward.host, forward.port, _access_of(forward.through))
            for forward in document.forwards
        ),
    )


def _cluster_of(doc: ClusterDoc) -> Cluster:
    fields = msgspec.structs.asdict(doc)
    fields["name"] = ClusterName(doc.name)
    fields["nodes"] = tuple(_node_of(node) for node in doc.nodes)
    fields["services"] = tuple(_service_of(service) for service in doc.services)
    return Cluster(**fields)


def _node_of(doc: NodeDoc) -> Node:
    ssh = None if doc.ssh is None else _access_of(doc.ssh)
    named = {"name": NodeName(doc.name), "role": NodeRole(doc.role), "ssh": ssh}
    return Node(**(msgspec.structs.asdict(doc) | named))


def _access_of(doc: SshDoc) -> SshAccess:
    target, *jumps = (SshHop(**msgspec.structs.asdict(hop)) for hop in (doc.target, *doc.jumps))
    return SshAccess(target, tuple(jumps), doc.agent, doc.sudo, doc.bus_port)


def _service_of(doc: ServiceDoc) -> Service:
    target_port = doc.port if doc.target_port is None else doc.target_port
    named = {"target_port": target_port, "node": None if doc.node is None else NodeName(doc.node)}
    return Service(**(msgspec.structs.asdict(doc) | named))


def _link_of(doc: LinkDoc) -> Link:
    return Link(**(msgspec.structs.asdict(doc) | {"kind": LinkKind(doc.kind)}))


def _document_of(inventory: Inventory) -> InventoryDoc:
    plain = msgspec.to_builtins(inventory) | {"agents": sorted(str(agent) for agent in inventory.agents)}
    for cluster in plain["clusters"]:
        del cluster["away"]  # the current state of a cluster's API is not part of the document
    for known in (*plain["links"], *(node for cluster in plain["clusters"] for node in cluster["nodes"])):
        del known["known_from"]  # what a person writes is known from that person
    return msgspec.convert(plain, InventoryDoc)
