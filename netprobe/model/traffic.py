"""A class of traffic: the conditions that its packets meet, and what the packets of a check are like."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.check import Check, TargetKind
from netprobe.model.names import NodeId, Plane

NEW_FLOW = "new"
KEPT_FLOW = "kept"
FORWARDED = "forwarded"
_OUTER = "outer"
"""The plane of a gateway's outer address."""


class Attribute(StrEnum):
    """What is known of a packet where it crosses a part; source and target are those of the packet itself."""

    PROTOCOL = "protocol"
    FAMILY = "family"
    SIZE = "size"
    FLOW = "flow"
    """``new`` where each probe opens a flow, else ``kept``."""
    ROLE = "role"
    """``request`` or ``answer``."""
    SOURCE_PLANE = "source plane"
    TARGET_PLANE = "target plane"
    SOURCE_ROLE = "source role"
    """``gateway`` for a gateway's own addresses; ``forwarded`` for pods and nodes that it forwards for."""
    TARGET_ROLE = "target role"
    SCOPE = "scope"
    """``within`` a cluster or ``between`` two."""
    SOURCE_CLUSTER = "source cluster"
    TARGET_CLUSTER = "target cluster"
    SOURCE_NODE = "source node"
    TARGET_NODE = "target node"
    SOURCE_NETWORK = "source network"
    """Addresses of one cluster, plane and family, as in ``prod pod IPv4``."""
    TARGET_NETWORK = "target network"
    SOURCE_RANGE = "source range"
    """Addresses of one node, plane and family, as in ``prod/w1 pod IPv4``."""
    TARGET_RANGE = "target range"


RANGES = frozenset(
    {Attribute.SOURCE_NETWORK, Attribute.TARGET_NETWORK, Attribute.SOURCE_RANGE, Attribute.TARGET_RANGE}
)
"""Attributes that are conjunctions by themselves: routes and filters are written for ranges of addresses."""


@dataclass(frozen=True, slots=True, order=True)
class TrafficCondition:
    """One attribute of a packet compared with a value: ``protocol = tcp``."""

    attribute: str
    value: str
    is_equal: bool = True
    """Whether the packets have the value; if not, they have any other one."""


_KEEPING = frozenset({"udp", "icmp"})
"""Kinds of probe that send packet after packet in one flow."""


def opens_new_flows(check: Check) -> bool:
    """Whether each probe is the first of a flow: a connection, or UDP from a fresh source port."""
    return check.probe.kind not in _KEEPING or check.probe.option("flow") == NEW_FLOW


def describe_packets(check: Check, gateways: Container[NodeId], *, is_answer: bool) -> tuple[str, ...]:
    """The attributes of a check's requests or answers, in the order of `Attribute`."""
    source, target = check.source.node_id, check.target.node or check.source.node_id
    asked = check.target.agent if check.target.kind is TargetKind.AGENT else None
    plane = asked.plane.value if asked else _OUTER
    family = "IPv6" if ":" in check.target.address else "IPv4"
    ends = [
        (check.source.plane.value, _role_of(source, check.source.plane.value, gateways), source),
        (plane, _role_of(target, plane, gateways), target),
    ]
    (sent_plane, sent_role, sender), (to_plane, to_role, receiver) = reversed(ends) if is_answer else ends
    return (
        check.probe.kind,
        family,
        "large" if check.probe.size else "small",
        NEW_FLOW if opens_new_flows(check) else KEPT_FLOW,
        "answer" if is_answer else "request",
        sent_plane,
        to_plane,
        sent_role,
        to_role,
        "within" if sender.cluster == receiver.cluster else "between",
        str(sender.cluster),
        str(receiver.cluster),
        str(sender),
        str(receiver),
        f"{sender.cluster} {sent_plane} {family}",
        f"{receiver.cluster} {to_plane} {family}",
        f"{sender} {sent_plane} {family}",
        f"{receiver} {to_plane} {family}",
    )


def _role_of(node: NodeId, plane: str, gateways: Container[NodeId]) -> str:
    return "gateway" if node in gateways and plane != Plane.POD else FORWARDED
