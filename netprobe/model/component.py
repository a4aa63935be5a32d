"""What can break: parts with a direction (design: one part, one way).

Datapaths of multi-cluster fabrics are asymmetric: out through the overlay to the gateway, in through the
CNI. So ``node-out`` and ``node-in``, ``gateway-out`` and ``gateway-in``, ``tunnel(a→b)`` and
``tunnel(b→a)`` are different components.

Rule: a component keeps its ends as they are written (`Written`), because components are the keys of plans of
100,000 checks and a string keeps its hash. What an end names is asked of the component (`Component.node`,
`Component.clusters`, `Component.port` …); to the type checker the written form cannot be taken apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from netprobe.errors import InputError
from netprobe.model.names import AgentId, ClusterName, NodeId, NodeName, Plane

if TYPE_CHECKING:
    from typing import final

    @final
    class Written:
        """An end or a detail of a component as it is written: compared, sorted and shown, never parsed.

        At run time it is ``str``, so it costs nothing and every codec knows it.
        """

        def __init__(self, name: str | NodeId | AgentId = "") -> None: ...

        def __hash__(self) -> int: ...

        def __lt__(self, other: Written) -> bool: ...

        def __str__(self) -> str: ...

        def __bool__(self) -> bool: ...

else:
    Written = str

NOTHING = Written("")
_ROUTE_TO = "to "
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
    COLLECTOR = "collector"


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """One part that can break. *source* is where it is; *target* is set where it leads somewhere else.

    Ends are clusters, nodes (``cluster/node``), agents (``cluster/node/plane``) or, for an intent, an
    address. Make one with the functions below.

    >>> str(tunnel(ClusterName("prod"), ClusterName("dev")))
    'tunnel(prod→dev)'
    """

    kind: ComponentKind
    source: Written
    target: Written = NOTHING
    detail: Written = NOTHING
    """What tells two parts of the same kind apart: a port, a zone, a link name."""

    def __str__(self) -> str:
        where = f"{self.source}→{self.target}" if self.target else self.source
        return f"{self.kind}({where}{f' {self.detail}' if self.detail else ''})"

    @classmethod
    def parse(cls, text: str) -> Component:
        """Read a component as it is written.

        >>> Component.parse("overlay(prod/w1→prod/gw to dev)").route_target
        'dev'
        """
        match = _WRITTEN.fullmatch(text)
        if match is None or match["kind"] not in set(ComponentKind):
            raise InputError(f"{text!r} is not a component such as tunnel(prod→dev)")
        source, target, detail = (Written(match[name] or "") for name in ("source", "target", "detail"))
        return cls(ComponentKind(match["kind"]), source, target, detail)

    # --- what the ends name -------------------------------------------------------------------

    @property
    def node(self) -> NodeId | None:
        """The node it is on, also that of an agent; None where it belongs to a whole cluster."""
        return _node_in(self.source)

    @property
    def target_node(self) -> NodeId | None:
        """The node it leads to; None where it leads to none."""
        return _node_in(self.target)

    @property
    def agent(self) -> AgentId | None:
        """The agent it names or begins at, or None."""
        return AgentId.find(str(self.source))

    @property
    def cluster(self) -> ClusterName:
        """The cluster it is in."""
        return ClusterName(str(self.source).partition("/")[0])

    @property
    def target_cluster(self) -> ClusterName | None:
        """The cluster it leads to; None where it has one end only."""
        return ClusterName(str(self.target).partition("/")[0]) if self.target else None

    @property
    def clusters(self) -> frozenset[ClusterName]:
        """The clusters of its ends."""
        far = self.target_cluster
        return frozenset((self.cluster,) if far is None else (self.cluster, far))

    @property
    def ends(self) -> frozenset[Written]:
        """Both ends without their order, as a key: equal for both directions."""
        return frozenset((self.source, self.target))

    def is_at(self, node: NodeId) -> bool:
        """Whether it is on *node* or leads to it."""
        return Written(node) in (self.source, self.target)

    # --- what the detail says ------------------------------------------------------------------

    @property
    def route_target(self) -> ClusterName | None:
        """The remote cluster that a node's route leads to; None where it is not a route."""
        if self.kind is not ComponentKind.OVERLAY or not self.detail:
            return None
        return ClusterName(str(self.detail).removeprefix(_ROUTE_TO))

    @property
    def link(self) -> str:
        """The name that tells one of several tunnels between two clusters from the others; may be empty."""
        return str(self.detail) if self.kind is ComponentKind.TUNNEL else ""

    @property
    def port(self) -> str:
        """What a firewall rule drops or rejects (``tcp/8080``)."""
        return str(self.detail) if self.kind is ComponentKind.FIREWALL_RULE else ""

    @property
    def zone(self) -> str:
        """The zone that a DNS server forwards; empty for the server itself."""
        return str(self.detail) if self.kind is ComponentKind.DNS else ""

    @property
    def service_name(self) -> str:
        """The service (``namespace/name``)."""
        return str(self.detail) if self.kind is ComponentKind.SERVICE else ""

    # --- others like it ------------------------------------------------------------------------

    def reverse(self) -> Component:
        """The other direction."""
        return Component(self.kind, self.target, self.source, self.detail)

    def is_reverse_of(self, other: Component) -> bool:
        """Whether it leads from where *other* leads to, to where that comes from, whatever its detail."""
        return (self.source, self.target) == (other.target, other.source)

    def without_detail(self) -> Component:
        """The part as a whole: every link between two clusters, a DNS server with all its zones."""
        return Component(self.kind, self.source, self.target)

    def of_plane(self, plane: Plane | None) -> Component:
        """A firewall rule towards one plane of its node only; None where it is not known which."""
        return Component(self.kind, self.source, Written(plane or ""), self.detail)

    def of_every_plane(self) -> Component:
        """The opposite of `of_plane`."""
        return Component(self.kind, self.source, detail=self.detail)


def _node_in(end: Written) -> NodeId | None:
    cluster, *words = str(end).split("/")
    return NodeId(ClusterName(cluster), NodeName(words[0])) if len(words) in {1, 2} else None


def node_out(node: NodeId) -> Component:
    """Everything a node's packets cross on their way out of it."""
    return Component(ComponentKind.NODE_OUT, Written(node))


def node_in(node: NodeId) -> Component:
    """Everything packets cross on their way into a node."""
    return Component(ComponentKind.NODE_IN, Written(node))


def pod_out(node: NodeId) -> Component:
    """The CNI's way from a node's pods out to the node."""
    return Component(ComponentKind.POD_OUT, Written(node))


def pod_in(node: NodeId) -> Component:
    """The CNI's way from a node in to its pods."""
    return Component(ComponentKind.POD_IN, Written(node))


def overlay(source: NodeId, target: NodeId) -> Component:
    """The overlay (or route) that carries pod traffic from one node to another inside a cluster."""
    return Component(ComponentKind.OVERLAY, Written(source), Written(target))


def cluster_route(node: NodeId, *, gateway: NodeId, target: ClusterName) -> Component:
    """The routes on one node that send packets for a remote cluster to the cluster's own gateway."""
    return Component(ComponentKind.OVERLAY, Written(node), Written(gateway), Written(f"{_ROUTE_TO}{target}"))


def gateway_out(node: NodeId) -> Component:
    """A gateway node forwarding from its cluster into tunnels and links."""
    return Component(ComponentKind.GATEWAY_OUT, Written(node))


def gateway_in(node: NodeId) -> Component:
    """A gateway node forwarding from tunnels and links into its cluster."""
    return Component(ComponentKind.GATEWAY_IN, Written(node))


def tunnel(source: ClusterName, target: ClusterName, *, link: str = "") -> Component:
    """One direction of a VPN tunnel or direct link between two clusters."""
    return Component(ComponentKind.TUNNEL, Written(source), Written(target), Written(link))


def underlay(source: ClusterName, target: ClusterName) -> Component:
    """The network below the tunnels, from one cluster's gateway to another's."""
    return Component(ComponentKind.UNDERLAY, Written(source), Written(target))


def service_proxy(node: NodeId) -> Component:
    """kube-proxy (or its replacement) on one node."""
    return Component(ComponentKind.SERVICE_PROXY, Written(node))


def service_proxy_for_dns(node: NodeId) -> Component:
    """What the service proxy of one node does with questions to the DNS server."""
    return Component(ComponentKind.SERVICE_PROXY, Written(node), detail=Written("dns"))


def service(cluster: ClusterName, name: str) -> Component:
    """One service of a cluster: its endpoints as everybody sees them."""
    return Component(ComponentKind.SERVICE, Written(cluster), detail=Written(name))


def dns(cluster: ClusterName, *, zone: str = "") -> Component:
    """A cluster's DNS server; *zone* narrows it to what it forwards (``clusterset.local``)."""
    return Component(ComponentKind.DNS, Written(cluster), detail=Written(zone))


def firewall_rule(node: NodeId, *, port: str) -> Component:
    """A rule on a node that drops or rejects *port* (``tcp/8080``)."""
    return Component(ComponentKind.FIREWALL_RULE, Written(node), detail=Written(port))


def intent_rule(source: ClusterName, target: str, *, rule: str) -> Component:
    """What a rule of an intent says about the way from one cluster to another, or to an address outside."""
    return Component(ComponentKind.INTENT, Written(source), Written(target), Written(rule))


def bus_way(where: AgentId | NodeId | ClusterName, *, plane: Plane | None = None) -> Component:
    """The way to the bus from an agent, a node or a cluster; *plane* narrows it to its agents there."""
    detail = Written(f"{plane} plane" if plane else "")
    return Component(ComponentKind.BUS_WAY, Written(where), detail=detail)


def agent(agent_id: AgentId) -> Component:
    """The measuring process itself."""
    return Component(ComponentKind.AGENT, Written(agent_id))


def collector() -> Component:
    """The collector itself; it belongs to no cluster that is measured."""
    return Component(ComponentKind.COLLECTOR, Written("collector"))
