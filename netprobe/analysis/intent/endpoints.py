"""Who the groups of an intent mean, by an inventory. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from netprobe.errors import InputError
from netprobe.model.intent import Group, Intent
from netprobe.model.inventory import Cluster, Inventory, Node
from netprobe.model.names import AgentId, Plane


@dataclass(frozen=True, slots=True)
class IntentEndpoint:
    """What an intent can name: it can be asked and, with an agent, can ask."""

    name: str
    """As ``netprobe check`` takes it."""
    addresses: tuple[str, ...]
    cluster: str = ""
    environment: str = ""
    region: str = ""
    node: str = ""
    plane: str = ""
    role: str = ""
    service: str = ""
    """``namespace/name``."""
    labels: tuple[tuple[str, str], ...] = ()
    agent: AgentId | None = None

    @property
    def namespace(self) -> str:
        """Of a service; empty for nodes and pods of agents."""
        return self.service.partition("/")[0]


def find_endpoints(inventory: Inventory, intent: Intent) -> tuple[IntentEndpoint, ...]:
    """Every agent, service and single address that *intent* may mean, in inventory order."""
    found = [one for cluster in inventory.clusters for one in _of_cluster(cluster, inventory)]
    known = {address for one in found for address in one.addresses}
    outside = (text for group in intent.groups for text in group.cidrs)
    for text in dict.fromkeys(outside):
        network = ipaddress.ip_network(text)
        address = str(network.network_address)
        if network.num_addresses == 1 and address not in known:
            found.append(IntentEndpoint(address, (address,)))
    return tuple(found)


def _of_cluster(cluster: Cluster, inventory: Inventory) -> Iterator[IntentEndpoint]:
    here = (cluster.name, cluster.environment, cluster.region)
    agents = set(inventory.iter_agents())
    for node in cluster.nodes:
        for plane in Plane:
            agent = AgentId(cluster.name, node.name, plane)
            if node.addresses(plane):
                yield IntentEndpoint(
                    str(agent), node.addresses(plane), *here, node.name, plane, node.role,
                    labels=_labels(node), agent=agent if agent in agents else None,
                )  # fmt: skip
    for service in cluster.services:
        name = f"{cluster.name}/{service.qualified}"
        yield IntentEndpoint(name, service.addresses, *here, service=service.qualified)


def _labels(node: Node) -> tuple[tuple[str, str], ...]:
    hostname = ("kubernetes.io/hostname", str(node.name))
    return (hostname, ("topology.kubernetes.io/zone", node.zone)) if node.zone else (hostname,)


def expect_clusters(intent: Intent, clusters: Iterable[str]) -> None:
    """Raise :class:`InputError` for the first group that names a cluster which is none of *clusters*."""
    names = sorted(clusters)
    for group in intent.groups:
        for pattern in group.clusters:
            if not any(fnmatchcase(name, pattern) for name in names):
                what = (
                    f"the group {group.name!r} names the cluster {pattern!r}; there are: {', '.join(names)}"
                )
                raise InputError(what, where=group.where)


def find_members(group: Group, endpoints: tuple[IntentEndpoint, ...]) -> tuple[int, ...]:
    """Indices of the endpoints that *group* holds."""
    return tuple(index for index, one in enumerate(endpoints) if is_member(group, one))


def is_member(group: Group, one: IntentEndpoint) -> bool:
    """Whether every field that *group* gives fits *one*."""
    wanted = (
        (group.clusters, one.cluster),
        (group.environments, one.environment),
        (group.regions, one.region),
        (group.nodes, one.node),
        (group.planes, one.plane),
        (group.roles, one.role),
        (group.namespaces, one.namespace),
        (group.services, one.service),
    )
    return (
        all(any(fnmatchcase(value, each) for each in patterns) for patterns, value in wanted if patterns)
        and set(group.labels) <= set(one.labels)
        and (not group.cidrs or any(_lies_in(address, group.cidrs) for address in one.addresses))
    )


def _lies_in(address: str, cidrs: tuple[str, ...]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(text) for text in cidrs)


BUILT_IN = (
    Group("all"),
    Group("gateways", roles=("gateway",), planes=("host",)),
    Group("nodes", planes=("host",)),
    Group("pods", planes=("pod",)),
    Group("services", services=("*/*",)),
)
"""What ``model.intent.BUILT_IN_GROUPS`` names."""
