"""Places of the lab's default topology at which the score breaks something: names, interfaces, addresses.

Addresses are those that the lab's planner derives from the topology's ranges.
"""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.component import (
    Component,
    bus_way,
    cluster_route,
    gateway_in,
    gateway_out,
    node_in,
    node_out,
    overlay,
    pod_in,
    pod_out,
    tunnel,
)
from netprobe.model.names import AgentId, ClusterName, NodeId, NodeName, Plane
from netprobe.model.traffic import Attribute, TrafficCondition

PROD, STAGING, DEV = (
    ClusterName("prod-us-west-1"),
    ClusterName("staging-eu-central-1"),
    ClusterName("dev-on-premise"),
)
_NUMBERS = {PROD: 11, STAGING: 12, DEV: 13}
"""The second byte of each cluster's node range; a hundred more is its pods', two hundred its services'."""
_NODES = ("gw", "w1", "w2")
_FIRST_HOST = 11


@dataclass(frozen=True, slots=True)
class LabNode:
    """A node: its names, its addresses and the parts of it that can break."""

    id: NodeId

    @property
    def host(self) -> str:
        """Its name in the lab."""
        return str(self.id)

    @property
    def number(self) -> int:
        """The second byte of its cluster's node addresses."""
        return _NUMBERS[self.id.cluster]

    @property
    def _index(self) -> int:
        return _NODES.index(self.id.node)

    @property
    def address(self) -> str:
        """Its own IPv4 address."""
        return f"10.{self.number}.0.{_FIRST_HOST + self._index}"

    @property
    def hosts(self) -> str:
        """The IPv4 range of its cluster's nodes."""
        return f"10.{self.number}.0.0/24"

    @property
    def pods(self) -> str:
        """The IPv4 range of its pods."""
        return f"10.{100 + self.number}.{self._index}.0/24"

    @property
    def pod(self) -> str:
        """The IPv4 address of its agent's pod."""
        return f"10.{100 + self.number}.{self._index}.10"

    @property
    def dns_service(self) -> str:
        """The IPv4 address at which its cluster's names are asked."""
        return f"10.{200 + self.number}.0.10"

    @property
    def echo_service(self) -> str:
        """The IPv4 address of its cluster's service."""
        return f"10.{200 + self.number}.0.11"

    @property
    def overlay_device(self) -> str:
        """The interface that leads to other nodes' pods."""
        return "overlay0" if self.id.cluster == PROD else "eth0"

    @property
    def gateway(self) -> LabNode:
        """Its cluster's gateway."""
        return LabNode(NodeId(self.id.cluster, NodeName("gw")))

    @property
    def both(self) -> tuple[Component, Component]:
        """The ways into it and out of it."""
        return node_in(self.id), node_out(self.id)

    @property
    def pod_ways(self) -> tuple[Component, Component]:
        """The ways into its pods and out of them."""
        return pod_in(self.id), pod_out(self.id)

    @property
    def bus_ways(self) -> tuple[Component, ...]:
        """The ways to the bus of its pod's agent, of its own, and of both."""
        return bus_way(self.agent(Plane.POD)), bus_way(self.agent(Plane.HOST)), bus_way(self.id)

    def agent(self, plane: Plane) -> AgentId:
        """Its agent on that plane."""
        return AgentId.parse(f"{self.id}/{plane.value}")

    def route_to(self, cluster: ClusterName) -> Component:
        """Its route to another cluster."""
        return cluster_route(self.id, gateway=self.gateway.id, target=cluster)


def node(cluster: ClusterName, name: str) -> LabNode:
    """The node of that name."""
    return LabNode(NodeId(cluster, NodeName(name)))


@dataclass(frozen=True, slots=True)
class LabWay:
    """One direction of a link: the gateways at both ends, and the interfaces there."""

    source: LabNode
    target: LabNode
    out: str
    into: str

    @property
    def there(self) -> Component:
        """The link in this direction."""
        return tunnel(self.source.id.cluster, self.target.id.cluster)

    @property
    def back(self) -> Component:
        """The other direction."""
        return self.there.reverse()

    @property
    def near(self) -> tuple[Component, ...]:
        """What a packet crosses from one gateway to the other: a drop there may be in any of them."""
        return self.there, gateway_out(self.source.id), gateway_in(self.target.id)

    @property
    def beside(self) -> tuple[Component, ...]:
        """The way back of answers, which counts where a check's directions cannot be told apart."""
        return self.back, gateway_out(self.target.id), gateway_in(self.source.id)

    def behind(self, far: LabNode) -> tuple[Component, ...]:
        """What a packet for *far* crosses behind the far gateway."""
        if far == self.target:
            return far.pod_ways
        return overlay(self.target.id, far.id), *far.both, *far.pod_ways


PROD_TO_STAGING = LabWay(node(PROD, "gw"), node(STAGING, "gw"), "link0a", "link0b")
STAGING_TO_DEV = LabWay(node(STAGING, "gw"), node(DEV, "gw"), "link1a", "link1b")
DEV_TO_PROD = LabWay(node(DEV, "gw"), node(PROD, "gw"), "link2b", "link2a")
OUTER = {PROD: "100.64.0.9", STAGING: "100.64.0.17", DEV: "100.64.0.25"}
"""The address of each gateway on the wide-area network."""


def when(attribute: Attribute, *values: object) -> tuple[TrafficCondition, ...]:
    """Conditions of a label, any of which a finding must say."""
    return tuple(TrafficCondition(attribute, str(value)) for value in values)


def from_network(cluster: ClusterName, plane: str, family: str = "IPv4") -> tuple[TrafficCondition, ...]:
    """The ways in which a class of senders may be said: by network, by plane, by role, or by cluster."""
    return (
        *when(Attribute.SOURCE_NETWORK, f"{cluster} {plane} {family}"),
        *when(Attribute.SOURCE_CLUSTER, cluster),
        *when(Attribute.SOURCE_PLANE, plane),
    )


def to_network(cluster: ClusterName, plane: str, family: str = "IPv4") -> tuple[TrafficCondition, ...]:
    """The ways in which a class of receivers may be said."""
    return (
        *when(Attribute.TARGET_NETWORK, f"{cluster} {plane} {family}"),
        *when(Attribute.TARGET_CLUSTER, cluster),
        *when(Attribute.TARGET_PLANE, plane),
    )


def to_range(far: LabNode, plane: str, family: str = "IPv4") -> tuple[TrafficCondition, ...]:
    """The ways in which the addresses of one node may be said."""
    return (
        *when(Attribute.TARGET_RANGE, f"{far.id} {plane} {family}"),
        *when(Attribute.TARGET_NODE, far.id),
        *to_network(far.id.cluster, plane, family),
    )
