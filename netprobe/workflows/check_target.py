"""What people mean by SOURCE and TARGET of ``netprobe check``: names of the inventory, turned into a check.

Rule: only what the inventory names, or what its ``allowed_targets`` let through, can be asked. Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netprobe.analysis.queries.endpoints import find_cluster
from netprobe.errors import InputError
from netprobe.model.check import Check, Layer, Probe, Target, TargetKind, check_id
from netprobe.model.inventory import Inventory, Service
from netprobe.model.names import AgentId, ClusterName, NodeId, NodeName, Plane
from netprobe.probes import registry
from netprobe.probes.kind import ProbeKind
from netprobe.probes.packet_options import packet_options_of

_LAYERS = {
    TargetKind.AGENT: Layer.POD,
    TargetKind.NODE: Layer.NODE,
    TargetKind.GATEWAY_OUTER: Layer.OUTER,
    TargetKind.SERVICE: Layer.SERVICE,
    TargetKind.ENDPOINT: Layer.ENDPOINT,
    TargetKind.DNS: Layer.DNS,
    TargetKind.OUTSIDE: Layer.OUTSIDE,
}


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What the options of the command say; None and empty where they say nothing."""

    kind: str | None = None
    port: int | None = None
    size: int = 0
    name: str = ""
    timeout_s: float | None = None
    version: int | None = None
    """4 or 6."""
    options: tuple[tuple[str, str], ...] = ()
    count: int | None = None
    """None: once, or once from each of the source ports that the options name."""


def find_source(inventory: Inventory, text: str) -> AgentId:
    """The agent that shall ask; ``cluster/node`` means its pod plane, else its host plane."""
    agents = set(inventory.iter_agents())
    planes = [""] if text.count("/") >= 2 else [f"/{Plane.POD}", f"/{Plane.HOST}"]
    candidates = [AgentId.parse(text + plane) for plane in planes]
    for agent in candidates:
        if agent in agents:
            return agent
    raise InputError(f"{candidates[0]} is not an agent of this fleet", where="SOURCE")


def make_check(inventory: Inventory, source: str, target: str, wanted: CheckRequest) -> Check:
    """The question; :class:`InputError` where a name, an address or a parameter cannot be meant."""
    source, target = (_in_full(inventory, text) for text in (source, target))
    agent = find_source(inventory, source)
    own = _addresses(inventory, agent)
    versions = [wanted.version] if wanted.version else sorted({_version_of(address) for address in own})
    aim = find_target(inventory, target, versions=versions)
    kind = registry.get_kind(wanted.kind) if wanted.kind else find_default_kind(aim.kind)
    probe = Probe(
        kind=kind.name,
        port=_port(inventory, aim, kind, dict(wanted.options)) if wanted.port is None else wanted.port,
        size=wanted.size,
        name=wanted.name or _name(inventory, aim, kind),
        timeout_ns=round(wanted.timeout_s * 1e9) if wanted.timeout_s else kind.default_timeout_ns,
        options=tuple(
            sorted({**_options(inventory, aim, kind, wanted.port), **dict(wanted.options)}.items())
        ),
    )
    count = wanted.count or len(packet_options_of(probe).source_ports) or 1
    return Check(check_id(agent, aim, probe), agent, aim, probe, _LAYERS[aim.kind], count)


def find_default_kind(target: TargetKind) -> ProbeKind:
    """The kind that asks such a target unless another one is given."""
    return next(kind for kind in registry.iter_kinds() if target in kind.default_for)


def _in_full(inventory: Inventory, text: str) -> str:
    """*text* with its cluster's whole name, where it begins with the leading words of one cluster's."""
    head, slash, rest = text.partition("/")
    cluster = find_cluster(inventory, head) if slash else None
    return f"{cluster.name}/{rest}" if cluster else text


def find_target(inventory: Inventory, text: str, *, versions: list[int]) -> Target:
    """What *text* names, at its first address of one of *versions*."""
    candidates = list(_named(inventory, text)) or list(_addressed(inventory, text))
    if not candidates:
        raise InputError(
            f"{text!r} is not an agent, node, service or DNS of this fleet, nor an allowed address",
            where="TARGET",
        )
    fitting = [target for target in candidates if _version_of(target.address) in versions]
    if not fitting:
        raise InputError(
            f"{text} has no IPv{' or IPv'.join(map(str, versions))} address in common with SOURCE",
            where="TARGET",
        )
    return min(fitting, key=lambda target: versions.index(_version_of(target.address)))


def _named(inventory: Inventory, text: str) -> Iterator[Target]:
    head, _, rest = text.partition("/")
    cluster = inventory.find_cluster(head)
    if cluster is None or not rest:
        return
    for node in cluster.nodes:
        where = NodeId(cluster.name, node.name)
        if rest == node.name:
            yield from (Target(TargetKind.NODE, each, text, where) for each in node.host_addresses)
        for plane in Plane:
            if rest == f"{node.name}/{plane}":
                yield from (Target(TargetKind.AGENT, each, text, where) for each in node.addresses(plane))
        if rest == f"{node.name}/outer":
            yield from (Target(TargetKind.GATEWAY_OUTER, each, text, where) for each in node.outer_addresses)
    for service in cluster.services:
        if rest == service.qualified:
            yield from (Target(TargetKind.SERVICE, each, text) for each in service.addresses)
    if rest == "dns":
        yield from (Target(TargetKind.DNS, each, text) for each in cluster.dns_addresses)


def _addressed(inventory: Inventory, text: str) -> Iterator[Target]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return
    known = next((aim for aim in _everything(inventory) if aim.address == str(address)), None)
    if known is not None:
        yield known
    elif any(address in ipaddress.ip_network(each) for each in inventory.allowed_targets):
        yield Target(TargetKind.OUTSIDE, str(address), str(address))


def find_owner(inventory: Inventory, address: str) -> str:
    """The node that has *address*, as ``cluster/node``; empty where the inventory knows none."""
    for cluster in inventory.clusters:
        for node in cluster.nodes:
            if address in {*node.host_addresses, *node.outer_addresses, *node.pod_addresses}:
                return f"{cluster.name}/{node.name}"
    return ""


def _everything(inventory: Inventory) -> Iterator[Target]:
    for cluster in inventory.clusters:
        for node in cluster.nodes:
            for suffix in ("pod", "host", "outer"):
                yield from _named(inventory, f"{cluster.name}/{node.name}/{suffix}")
        for service in cluster.services:
            yield from _named(inventory, f"{cluster.name}/{service.qualified}")
            name = f"{cluster.name}/{service.qualified}"
            yield from (Target(TargetKind.ENDPOINT, each, f"{name}/{each}") for each in service.endpoints)
        yield from _named(inventory, f"{cluster.name}/dns")


def _addresses(inventory: Inventory, agent: AgentId) -> tuple[str, ...]:
    node = inventory.find_node(NodeId(ClusterName(agent.cluster), NodeName(agent.node)))
    return node.addresses(agent.plane) if node else ()


def _port(inventory: Inventory, aim: Target, kind: ProbeKind, options: Mapping[str, str]) -> int:
    """The port that is meant where none is given; 0 where the kind has none or knows its own."""
    if not kind.has_port(options):
        return 0
    service = _service(inventory, aim)
    if service is not None:
        return service.port if aim.kind is TargetKind.SERVICE else service.target_port
    if aim.kind in {TargetKind.AGENT, TargetKind.NODE} and kind.asks_agent_port:
        return inventory.agent_port
    return 0


def _options(inventory: Inventory, aim: Target, kind: ProbeKind, port: int | None) -> dict[str, str]:
    """Options that the inventory can fill in: the agents' port, unless that port itself is asked."""
    is_at_agents = aim.kind in {TargetKind.AGENT, TargetKind.NODE} and port != inventory.agent_port
    if kind.agent_port_option and is_at_agents:
        return {kind.agent_port_option: str(inventory.agent_port)}
    is_agents_own = aim.kind in {TargetKind.AGENT, TargetKind.NODE} and port in {None, inventory.agent_port}
    return dict(kind.options_at_agents) if is_agents_own else {}


def _name(inventory: Inventory, aim: Target, kind: ProbeKind) -> str:
    """A DNS server is asked for its cluster's first service unless a name is given."""
    if not kind.asks_service_name:
        return ""
    cluster = inventory.find_cluster(aim.cluster) if aim.cluster else None
    service = cluster.services[0] if cluster and cluster.services else None
    named = f"{service.name}.{service.namespace}" if service else "kubernetes.default"
    return f"{named}.svc.cluster.local"


def _service(inventory: Inventory, aim: Target) -> Service | None:
    cluster = inventory.find_cluster(aim.cluster) if aim.cluster else None
    services = cluster.services if cluster else ()
    return next((each for each in services if each.qualified == aim.service_name), None)


def _version_of(address: str) -> int:
    return ipaddress.ip_address(address).version
