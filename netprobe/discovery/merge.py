"""One inventory out of all that tells about a fleet: what people wrote, what APIs say, who is there.

Rules. Pure. Who exists in a registered cluster its API says; roles, links, outer addresses and everything
else that no API knows a person says, in the inventory file, under the same names. Where a person says nothing
about them, a fabric does (`fabric_merge`). Each node and link keeps who said it. Where the API of a cluster
is away, or was never reached, its agents speak for it: an agent that is present has a node. Such a cluster is
marked. An address that cannot be one is left out, and so is one that an agent names outside of its cluster's
ranges (`discovery.presence_ranges`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from netprobe.discovery.fabric_merge import add_fabrics
from netprobe.discovery.inventory.context_names import read_place
from netprobe.discovery.k8s.facts import ClusterFacts
from netprobe.discovery.presence_ranges import PresenceRanges
from netprobe.model.fabric import FabricFacts
from netprobe.model.inventory import Cluster, Inventory, KnownFrom, Node, NodeRole
from netprobe.model.names import AgentId, ClusterName, NodeName, Plane

NEVER_READ = "its API has not been read yet"
NO_ACCESS = "the collector has no access to its API"

Present = Mapping[AgentId, tuple[str, ...]]
"""Agents that are there, with the addresses at which their peers reach them."""


@dataclass(frozen=True, slots=True)
class KnownCluster:
    """What is known of one registered cluster."""

    name: ClusterName
    facts: ClusterFacts | None = None
    """What its API told last; None where it never did."""
    away: str = ""
    """Why it cannot be asked at the moment."""
    fabrics: tuple[FabricFacts, ...] = ()
    """What the fabrics in it say."""


def merge_inventory(written: Inventory, known: Iterable[KnownCluster], present: Present) -> Inventory:
    """The fleet as far as it is known."""
    registered = {found.name: found for found in known}
    if not registered:
        return written
    clusters = {cluster.name: cluster for cluster in written.clusters}
    agents = {agent for agent in written.iter_agents() if agent.cluster not in registered}
    for name, found in registered.items():
        here = {agent: told for agent, told in present.items() if agent.cluster == name}
        ranges = ranges_of(written, found)
        cluster = _cluster_of(found, {agent: keep_own(ranges, agent, told) for agent, told in here.items()})
        clusters[name] = _overlay(cluster, clusters[name]) if name in clusters else cluster
        agents |= found.facts.agents if found.facts is not None else frozenset()
        agents |= here.keys() if cluster.away else frozenset()
    whole = replace(written, clusters=tuple(clusters.values()), agents=frozenset(agents))
    return add_fabrics(whole, {name: found.fabrics for name, found in registered.items()}, written)


def ranges_of(written: Inventory, found: KnownCluster) -> PresenceRanges:
    """Where the agents of a registered cluster may be."""
    said = written.find_cluster(found.name)
    told = found.facts.cluster if found.facts is not None else None
    plain = None if told is None else replace(told, nodes=tuple(map(_plain, told.nodes)))
    return PresenceRanges.of(each for each in (plain, said) if each is not None)


def keep_own(ranges: PresenceRanges, agent: AgentId, told: Iterable[str]) -> tuple[str, ...]:
    """The addresses that *agent* may have, of those that it tells."""
    return ranges.keep(agent.plane, _usable(told))


def _cluster_of(found: KnownCluster, here: Present) -> Cluster:
    if found.facts is None:
        place = read_place(found.name)
        cluster = Cluster(found.name, environment=place.environment, region=place.region)
        return _with_present(replace(cluster, away=found.away or NEVER_READ), here)
    cluster = replace(found.facts.cluster, nodes=tuple(map(_plain, found.facts.cluster.nodes)))
    return _with_present(replace(cluster, away=found.away), here) if found.away else cluster


def _with_present(cluster: Cluster, here: Present) -> Cluster:
    """*cluster* with the nodes of agents that are connected although no source lists them."""
    nodes = {node.name: node for node in cluster.nodes}
    for agent, told in sorted(here.items()):
        node = nodes.get(agent.node) or Node(NodeName(agent.node), known_from=KnownFrom.AGENT)
        addresses = tuple(told)
        if agent.plane is Plane.HOST:
            node = replace(node, host_addresses=node.host_addresses or addresses)
        else:
            node = replace(node, pod_addresses=node.pod_addresses or addresses)
        nodes[agent.node] = node
    return replace(cluster, nodes=tuple(nodes[name] for name in sorted(nodes)))


def _overlay(cluster: Cluster, written: Cluster) -> Cluster:
    """*cluster* with what a person says about it."""
    said = {node.name: node for node in written.nodes}
    services = {found.qualified: found for found in (*cluster.services, *written.services)}
    return replace(
        cluster,
        nodes=tuple(_overlay_node(node, said.get(node.name)) for node in cluster.nodes),
        services=tuple(services[name] for name in sorted(services)),
        environment=written.environment or cluster.environment,
        region=written.region or cluster.region,
        pod_cidrs=cluster.pod_cidrs or written.pod_cidrs,
        service_cidrs=cluster.service_cidrs or written.service_cidrs,
        dns_addresses=cluster.dns_addresses or written.dns_addresses,
        pod_mtu=written.pod_mtu,
        transit=written.transit,
    )


def _overlay_node(node: Node, said: Node | None) -> Node:
    if said is None:
        return node
    known_from = KnownFrom.FILE if said.role is NodeRole.GATEWAY else node.known_from
    return replace(
        node, role=said.role, outer_addresses=said.outer_addresses, passive=said.passive, ssh=said.ssh,
        known_from=known_from,
    )  # fmt: skip


def _plain(node: Node) -> Node:
    return replace(
        node, host_addresses=_usable(node.host_addresses), pod_addresses=_usable(node.pod_addresses)
    )


def _usable(addresses: Iterable[str]) -> tuple[str, ...]:
    """Addresses of hosts, in canonical form; what is none, or leads nowhere, is left out."""
    found = []
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not (
            address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local
        ):
            found.append(str(address))
    return tuple(dict.fromkeys(found))
