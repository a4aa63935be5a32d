"""A class of traffic: the conditions that its packets meet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Attribute(StrEnum):
    """What is known of a packet where it crosses a part; source and target are those of the packet itself."""

    PROTOCOL = "protocol"
    FAMILY = "family"
    SIZE = "size"
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
