"""The static inventory: a YAML file that says who is there.

Rules: what is written must be canonical and must fit together, or one :class:`InputError` names file, line,
column and field. Overlapping ranges of two clusters are allowed: they are met in practice, and netprobe
shall find what they break; :func:`find_overlaps` names them.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from netprobe.discovery.inventory.field_error import FieldError as _FieldError
from netprobe.discovery.inventory.field_error import Step
from netprobe.discovery.inventory.ssh_validation import find_forward_errors, find_ssh_errors
from netprobe.errors import InputError
from netprobe.model.names import AgentId, NodeId, Plane
from netprobe.wire.documents import Located
from netprobe.wire.inventory import (
    NAME_PATTERN,
    ClusterDoc,
    InventoryDoc,
    LinkDoc,
    NodeDoc,
    ServiceDoc,
    inventory_of,
    parse_inventory,
    write_inventory,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from netprobe.model.inventory import Cluster, Inventory

_MAX_BYTES = 64 * 1024 * 1024
_MTU = range(576, 65_536)
_PORT = range(1, 65_536)
_MAX_NAME = 253


@dataclass(frozen=True, slots=True)
class Overlap:
    """Pod ranges of two clusters that hold common addresses."""

    one: str
    other: str
    range_of_one: str
    range_of_other: str

    def __str__(self) -> str:
        return (
            f"pod ranges overlap: {self.range_of_one} of {self.one} and {self.range_of_other} of {self.other}"
        )


def load_inventory(path: Path) -> Inventory:
    """Read the inventory file *path*; every mistake is one :class:`InputError` with its place."""
    try:
        raw = path.read_bytes()
        text = raw.decode()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 (byte {error.start})", where=str(path)) from error
    if len(raw) > _MAX_BYTES:
        raise InputError(f"is {len(raw)} bytes; an inventory may have {_MAX_BYTES}", where=str(path))
    return read_inventory(text, source=str(path))


def read_inventory(text: str, *, source: str) -> Inventory:
    """Read an inventory from YAML *text*; *source* is the file named in errors."""
    document = parse_inventory(text, source=source)
    fault = next(_find_errors(document), None)
    if fault is not None:
        raise Located(text, source=source).error(fault.what, *fault.path)
    inventory = inventory_of(document)
    for one, other in inventory.find_twins():
        at = _path_of(other, inventory)
        raise Located(text, source=source).error(f"node {str(one)!r} stands in this cluster too", *at)
    return inventory


def _path_of(node_id: NodeId, inventory: Inventory) -> tuple[Step, ...]:
    names = [cluster.name for cluster in inventory.clusters]
    number = names.index(node_id.cluster)
    nodes = [node.name for node in inventory.clusters[number].nodes]
    return "clusters", number, "nodes", nodes.index(node_id.node), "host_addresses"


def dump_inventory(inventory: Inventory) -> str:
    """The YAML text of *inventory*; :func:`read_inventory` gives the same inventory back."""
    return write_inventory(inventory)


def find_overlaps(inventory: Inventory) -> tuple[Overlap, ...]:
    """Every pair of pod ranges, of two clusters, that holds common addresses; in inventory order."""
    return tuple(
        Overlap(one.name, other.name, str(first), str(second))
        for one, other in combinations(inventory.clusters, 2)
        for first in _pod_ranges(one)
        for second in _pod_ranges(other)
        if first.version == second.version and first.overlaps(second)
    )


def _pod_ranges(cluster: Cluster) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    texts = cluster.pod_cidrs or tuple(cidr for node in cluster.nodes for cidr in node.pod_cidrs)
    return [ipaddress.ip_network(text) for text in texts]


def _find_errors(document: InventoryDoc) -> Iterator[_FieldError]:
    yield from _names((cluster.name for cluster in document.clusters), ("clusters",), "name")
    for index, cluster in enumerate(document.clusters):
        yield from _cluster_errors(cluster, ("clusters", index))
    for index, link in enumerate(document.links):
        yield from _link_errors(link, document, ("links", index))
    yield from _each(document.allowed_targets, _network_error, ("allowed_targets",))
    yield from _within(document.agent_port, _PORT, ("agent_port",))
    yield from _agent_errors(document)
    yield from _names((forward.name for forward in document.forwards), ("forwards",), "name")
    for index, forward in enumerate(document.forwards):
        yield from find_forward_errors(forward, ("forwards", index))


def _cluster_errors(cluster: ClusterDoc, at: tuple[Step, ...]) -> Iterator[_FieldError]:
    yield from _each(cluster.pod_cidrs, _network_error, (*at, "pod_cidrs"))
    yield from _each(cluster.service_cidrs, _network_error, (*at, "service_cidrs"))
    yield from _each(cluster.remapped_cidrs, _network_error, (*at, "remapped_cidrs"))
    yield from _each(cluster.dns_addresses, _address_error, (*at, "dns_addresses"))
    yield from _within(cluster.pod_mtu, _MTU, (*at, "pod_mtu"))
    yield from _names((node.name for node in cluster.nodes), (*at, "nodes"), "name")
    holders: dict[str, str] = {}
    for index, node in enumerate(cluster.nodes):
        yield from _node_errors(node, (*at, "nodes", index), holders)
    yield from _names(
        (f"{s.namespace}/{s.name}" for s in cluster.services), (*at, "services"), "name", parts=2
    )
    for index, service in enumerate(cluster.services):
        yield from _service_errors(service, (*at, "services", index))


def _node_errors(node: NodeDoc, at: tuple[Step, ...], holders: dict[str, str]) -> Iterator[_FieldError]:
    """Faults of one node; *holders* maps the addresses seen so far in its cluster to their nodes."""
    for field in ("host_addresses", "pod_addresses", "outer_addresses"):
        addresses = getattr(node, field)
        yield from _each(addresses, _address_error, (*at, field))
        for index, address in enumerate(addresses):
            holder = holders.setdefault(address, node.name)
            if holder != node.name:
                yield _FieldError(f"{address} already belongs to node {holder!r}", (*at, field, index))
    yield from _each(node.pod_cidrs, _network_error, (*at, "pod_cidrs"))
    if node.passive and node.role != "gateway":
        yield _FieldError(
            f"node {node.name!r} is a {node.role}; only a gateway can be passive", (*at, "passive")
        )
    if node.ssh is not None:
        yield from find_ssh_errors(node.ssh, (*at, "ssh"))


def _service_errors(service: ServiceDoc, at: tuple[Step, ...]) -> Iterator[_FieldError]:
    if not service.addresses:
        yield _FieldError("a service needs an address", (*at, "addresses"))
    yield from _each(service.addresses, _address_error, (*at, "addresses"))
    yield from _each(service.endpoints, _address_error, (*at, "endpoints"))
    yield from _within(service.port, _PORT, (*at, "port"))
    if service.target_port is not None:
        yield from _within(service.target_port, _PORT, (*at, "target_port"))


def _link_errors(link: LinkDoc, document: InventoryDoc, at: tuple[Step, ...]) -> Iterator[_FieldError]:
    clusters = {cluster.name: cluster for cluster in document.clusters}
    for side in ("source", "target"):
        name, gateway = getattr(link, side), getattr(link, f"{side}_gateway")
        cluster = clusters.get(name)
        if cluster is None:
            yield _FieldError(f"no cluster is called {name!r}", (*at, side))
        elif gateway is not None:
            yield from _gateway_errors(gateway, cluster, (*at, f"{side}_gateway"))
        addresses = getattr(link, f"{side}_addresses")
        yield from _each(addresses, _address_error, (*at, f"{side}_addresses"))
        if addresses and gateway is None:
            yield _FieldError(f"say by {side}_gateway whose addresses they are", (*at, f"{side}_addresses"))
    if link.source == link.target:
        yield _FieldError(f"joins {link.source!r} with itself", (*at, "target"))
    yield from _within(link.mtu, _MTU, (*at, "mtu"))
    yield from _within(link.outer_port, range(65_536), (*at, "outer_port"))


def _gateway_errors(gateway: str, cluster: ClusterDoc, at: tuple[Step, ...]) -> Iterator[_FieldError]:
    node = next((node for node in cluster.nodes if node.name == gateway), None)
    if node is None:
        yield _FieldError(f"cluster {cluster.name!r} has no node {gateway!r}", at)
    elif node.role != "gateway":
        yield _FieldError(f"node {gateway!r} of {cluster.name!r} is a {node.role}, not a gateway", at)


def _agent_errors(document: InventoryDoc) -> Iterator[_FieldError]:
    nodes = {(cluster.name, node.name): node for cluster in document.clusters for node in cluster.nodes}
    seen: set[str] = set()
    for index, text in enumerate(document.agents):
        at = ("agents", index)
        try:
            agent = AgentId.parse(text)
        except InputError as error:
            yield _FieldError(error.what, at)
            continue
        node = nodes.get((agent.cluster, agent.node))
        if text in seen:
            yield _FieldError(f"{text!r} is given twice", at)
        elif node is None:
            yield _FieldError(f"no node is called {str(agent.node_id)!r}", at)
        elif not (node.host_addresses if agent.plane is Plane.HOST else node.pod_addresses):
            yield _FieldError(f"node {str(agent.node_id)!r} has no {agent.plane} address", at)
        seen.add(text)


def _names(
    names: Iterable[str], at: tuple[Step, ...], field: str, *, parts: int = 1
) -> Iterator[_FieldError]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        split = name.split("/")
        if len(split) != parts or not all(re.match(NAME_PATTERN, part) for part in split):
            yield _FieldError(
                f"{name!r} is not a valid name: use letters, digits, '-', '_' and '.'", (*at, index, field)
            )
        if len(name) > _MAX_NAME:
            yield _FieldError(f"is {len(name)} characters; a name may have {_MAX_NAME}", (*at, index, field))
        if name in seen:
            yield _FieldError(f"{name!r} is given twice", (*at, index, field))
        seen.add(name)


def _each(
    texts: Iterable[str], find_fault: Callable[[str], str | None], at: tuple[Step, ...]
) -> Iterator[_FieldError]:
    for index, text in enumerate(texts):
        what = find_fault(text)
        if what is not None:
            yield _FieldError(what, (*at, index))


def _address_error(text: str) -> str | None:
    try:
        canonical = str(ipaddress.ip_address(text))
    except ValueError:
        return f"{text!r} is not an IP address"
    return None if canonical == text else f"{text!r} is not canonical, write {canonical!r}"


def _network_error(text: str) -> str | None:
    try:
        canonical = str(ipaddress.ip_network(text))
    except ValueError:
        return f"{text!r} is not a network such as 10.0.0.0/16"
    return None if canonical == text else f"{text!r} is not canonical, write {canonical!r}"


def _within(value: int, allowed: range, at: tuple[Step, ...]) -> Iterator[_FieldError]:
    if value not in allowed:
        yield _FieldError(f"{value} is outside {allowed.start}–{allowed.stop - 1}", at)
