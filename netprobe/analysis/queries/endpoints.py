"""Who is meant: the agent, node, cluster or service behind the words a person types.

Rule: a name is taken if it fits exactly one thing; otherwise one line says what it could have been. A cluster
may be written by its leading words where no other cluster begins like that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from netprobe.errors import InputError
from netprobe.model.check import Check
from netprobe.model.inventory import Cluster, Inventory
from netprobe.model.names import AgentId, ClusterName, NodeId, Plane

_LISTED = 6


class EndpointKind(StrEnum):
    """What can ask or be asked."""

    AGENT = "agent"
    NODE = "node"
    CLUSTER = "cluster"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a question."""

    kind: EndpointKind
    name: str
    """``cluster``, ``cluster/node``, ``cluster/node/plane`` or ``cluster/namespace/service``."""
    cluster: ClusterName
    """Where it is."""
    nodes: tuple[NodeId, ...] = ()
    """The nodes meant; none for a service."""
    agent: AgentId | None = None
    """The agent meant, where it is one."""
    service_name: str = ""
    """The service meant (``namespace/name``), where it is one."""

    def holds(self, agent: AgentId) -> bool:
        """Whether *agent* is meant."""
        return agent == self.agent if self.agent is not None else agent.node_id in self.nodes

    def is_asked_by(self, check: Check) -> bool:
        """Whether *check* asks this end."""
        target = check.target
        if self.kind is EndpointKind.SERVICE:
            return (target.cluster, target.service_name) == (self.cluster, self.service_name)
        return target.agent == self.agent if self.agent is not None else target.node in self.nodes


def find_end(inventory: Inventory, text: str) -> Endpoint:
    """The end called *text*. Raises `InputError` where nothing, or more than one thing, is called so."""
    words = text.split("/")
    if not all(words) or len(words) > 3:
        raise InputError(f"{text!r} is not a cluster, cluster/node[/plane] or cluster/namespace/service")
    if len(words) == 1:
        return _find_short(inventory, text)
    cluster = find_cluster(inventory, words[0])
    if cluster is None:
        raise InputError(f"no cluster is called {words[0]!r}; there are {_list(_clusters(inventory))}")
    if len(words) == 2:
        return _find_node(cluster, words[1])
    if words[2] in set(Plane):
        return _find_agent(inventory, cluster, words[1], Plane(words[2]))
    return _find_service(cluster, f"{words[1]}/{words[2]}")


def _find_short(inventory: Inventory, text: str) -> Endpoint:
    cluster = find_cluster(inventory, text)
    if cluster is not None:
        nodes = tuple(cluster.node_id(node) for node in cluster.nodes)
        return Endpoint(EndpointKind.CLUSTER, cluster.name, cluster.name, nodes)
    nodes = tuple(c.node_id(node) for c in inventory.clusters for node in c.nodes if node.name == text)
    if len(nodes) > 1:
        raise InputError(f"{text!r} is ambiguous: {_list(map(str, nodes))}")
    if not nodes:
        raise InputError(f"nothing is called {text!r}; clusters are {_list(_clusters(inventory))}")
    return Endpoint(EndpointKind.NODE, str(nodes[0]), nodes[0].cluster, nodes)


def find_cluster(inventory: Inventory, text: str) -> Cluster | None:
    """The cluster of that name, or the only one that begins with these words."""
    exact = inventory.find_cluster(ClusterName(text))
    found = [cluster for cluster in inventory.clusters if cluster.name.startswith(f"{text}-")]
    if exact is None and len(found) > 1:
        raise InputError(f"{text!r} is ambiguous: {_list(cluster.name for cluster in found)}")
    return exact or (found[0] if found else None)


def _find_node(cluster: Cluster, name: str) -> Endpoint:
    for node in cluster.nodes:
        if node.name == name:
            return Endpoint(
                EndpointKind.NODE, f"{cluster.name}/{name}", cluster.name, (cluster.node_id(node),)
            )
    has = _list(node.name for node in cluster.nodes)
    raise InputError(f"{cluster.name} has no node {name!r}; it has {has}")


def _find_agent(inventory: Inventory, cluster: Cluster, name: str, plane: Plane) -> Endpoint:
    node = _find_node(cluster, name)
    agent = AgentId(cluster.name, node.nodes[0].node, plane)
    if agent not in set(inventory.iter_agents()):
        raise InputError(f"no agent is meant to run at {agent}")
    return Endpoint(EndpointKind.AGENT, str(agent), cluster.name, node.nodes, agent)


def _find_service(cluster: Cluster, qualified: str) -> Endpoint:
    if any(service.qualified == qualified for service in cluster.services):
        name = f"{cluster.name}/{qualified}"
        return Endpoint(EndpointKind.SERVICE, name, cluster.name, service_name=qualified)
    has = _list(service.qualified for service in cluster.services)
    raise InputError(f"{cluster.name} has no service {qualified!r}; it has {has or 'none that is asked'}")


def _clusters(inventory: Inventory) -> Iterable[str]:
    return (cluster.name for cluster in inventory.clusters)


def _list(names: Iterable[str]) -> str:
    told = list(names)
    more = f" and {len(told) - _LISTED} more" if len(told) > _LISTED else ""
    return ", ".join(told[:_LISTED]) + more
