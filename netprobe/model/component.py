"""What can break: parts with a direction (design: one part, one way).

Datapaths of multi-cluster fabrics are asymmetric: out through the overlay to the gateway, in through the
CNI. So ``node-out`` and ``node-in``, ``gateway-out`` and ``gateway-in``, ``tunnel(a→b)`` and
``tunnel(b→a)`` are different components.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from netprobe.errors import InputError
from netprobe.model.names import ClusterName, NodeId

_WRITTEN = re.compile(r"(?P<kind>[a-z-]+)\((?P<source>[^ →]+)(?:→(?P<target>[^ →]+))?(?: (?P<detail>.+))?\)")


class ComponentKind(StrEnum):
    """The kinds of parts."""

    AGENT = "agent"
    NODE_OUT = "node-out"
    NODE_IN = "node-in"
    POD_OUT = "pod-out"
    POD_IN = "pod-in"
    OVERLAY = "overlay"
    GATEWAY_OUT = "gateway-out"
    GATEWAY_IN = "gateway-in"
    TUNNEL = "tunnel"
    UNDERLAY = "underlay"
    SERVICE_PROXY = "service-proxy"
    SERVICE = "service"
    DNS = "dns"
    FIREWALL_RULE = "firewall-rule"
    INTENT = "intent"
    BUS_WAY = "bus-way"


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """One part that can break. *source* is where it stands; *target* is set where it leads somewhere.

    >>> str(Component(ComponentKind.TUNNEL, "prod", "dev"))
    'tunnel(prod→dev)'
    """

    kind: ComponentKind
    source: str
    target: str = ""
    detail: str = ""
    """What tells two parts of the same kind apart: a port, a zone, a link name."""

    def __str__(self) -> str:
        where = f"{self.source}→{self.target}" if self.target else self.source
        return f"{self.kind}({where}{' ' + self.detail if self.detail else ''})"

    @classmethod
    def parse(cls, text: str) -> Component:
        """Read a component as it is written.

        >>> Component.parse("overlay(prod/w1→prod/gw to dev)").detail
        'to dev'
        """
        match = _WRITTEN.fullmatch(text)
        if match is None or match["kind"] not in set(ComponentKind):
            raise InputError(f"{text!r} is not a component such as tunnel(prod→dev)")
        return cls(
            ComponentKind(match["kind"]), match["source"], match["target"] or "", match["detail"] or ""
        )


def node_out(node: NodeId) -> Component:
    """Everything a node's packets cross on their way out of it."""
    return Component(ComponentKind.NODE_OUT, str(node))


def node_in(node: NodeId) -> Component:
    """Everything packets cross on their way into a node."""
    return Component(ComponentKind.NODE_IN, str(node))


def pod_out(node: NodeId) -> Component:
    """The CNI's way from a node's pods out to the node."""
    return Component(ComponentKind.POD_OUT, str(node))


def pod_in(node: NodeId) -> Component:
    """The CNI's way from a node in to its pods."""
    return Component(ComponentKind.POD_IN, str(node))


def overlay(source: NodeId, target: NodeId) -> Component:
    """The overlay (or route) that carries pod traffic from one node to another inside a cluster."""
    return Component(ComponentKind.OVERLAY, str(source), str(target))


def gateway_out(node: NodeId) -> Component:
    """A gateway node forwarding from its cluster into tunnels and links."""
    return Component(ComponentKind.GATEWAY_OUT, str(node))


def gateway_in(node: NodeId) -> Component:
    """A gateway node forwarding from tunnels and links into its cluster."""
    return Component(ComponentKind.GATEWAY_IN, str(node))


def tunnel(source: ClusterName, target: ClusterName, *, link: str = "") -> Component:
    """One direction of a VPN tunnel or direct link between two clusters."""
    return Component(ComponentKind.TUNNEL, source, target, link)


def underlay(source: str, target: str) -> Component:
    """The network below the tunnels, from one gateway's outer address to another's."""
    return Component(ComponentKind.UNDERLAY, source, target)


def service_proxy(node: NodeId) -> Component:
    """kube-proxy (or its replacement) on one node."""
    return Component(ComponentKind.SERVICE_PROXY, str(node))


def service(cluster: ClusterName, name: str) -> Component:
    """One service of a cluster: its endpoints as everybody sees them."""
    return Component(ComponentKind.SERVICE, cluster, detail=name)


def dns(cluster: ClusterName, *, zone: str = "") -> Component:
    """A cluster's DNS server; *zone* narrows it to what it forwards (``clusterset.local``)."""
    return Component(ComponentKind.DNS, cluster, detail=zone)


def firewall_rule(where: str, *, port: str) -> Component:
    """A rule at *where* (a node, a gateway, a router) that drops or rejects *port* (``tcp/8080``)."""
    return Component(ComponentKind.FIREWALL_RULE, where, detail=port)


def intent_rule(source: str, target: str, *, rule: str) -> Component:
    """What a rule of an intent says about the way from one cluster to another, or to an address outside."""
    return Component(ComponentKind.INTENT, source, target, rule)


def bus_way(where: object, *, plane: str = "") -> Component:
    """The way to the bus from an agent, a node or a cluster; *plane* narrows it to its agents there."""
    return Component(ComponentKind.BUS_WAY, str(where), detail=f"{plane} plane" if plane else "")


def agent(agent_id: object) -> Component:
    """The measuring process itself."""
    return Component(ComponentKind.AGENT, str(agent_id))
