"""A class of traffic in a few words."""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.model.traffic import NEW_FLOW, RANGES, Attribute, TrafficCondition

_PROTOCOLS = {"icmp": "ICMP", "udp": "UDP", "tcp": "TCP"}
_PLANES = {"pod": "pods", "host": "node addresses", "outer": "gateways' outer addresses"}
_ENDS = {
    Attribute.SOURCE_PLANE: "from",
    Attribute.SOURCE_ROLE: "from",
    Attribute.SOURCE_CLUSTER: "from",
    Attribute.SOURCE_NODE: "from",
    Attribute.TARGET_PLANE: "to",
    Attribute.TARGET_ROLE: "to",
    Attribute.TARGET_CLUSTER: "to",
    Attribute.TARGET_NODE: "to",
}
_ANY = {
    Attribute.SOURCE_PLANE: "addresses",
    Attribute.TARGET_PLANE: "addresses",
    Attribute.SOURCE_CLUSTER: "clusters",
    Attribute.TARGET_CLUSTER: "clusters",
    Attribute.SOURCE_NODE: "nodes",
    Attribute.TARGET_NODE: "nodes",
}


def describe_traffic(conditions: Iterable[TrafficCondition]) -> str:
    """The packets that meet *conditions*.

    >>> describe_traffic([TrafficCondition("protocol", "tcp"), TrafficCondition("source cluster", "prod")])
    'TCP packets from prod'
    >>> describe_traffic([TrafficCondition("protocol", "icmp", is_equal=False)])
    'packets other than ICMP'
    >>> describe_traffic([TrafficCondition("target range", "prod/w1 pod IPv4")])
    'IPv4 packets to pods of prod/w1'
    """
    before, noun, after = list[str](), "packets", list[str]()
    for one in sorted(conditions, key=lambda each: list(Attribute).index(Attribute(each.attribute))):
        attribute, value = Attribute(one.attribute), one.value
        match attribute:
            case Attribute.PROTOCOL | Attribute.FAMILY | Attribute.SIZE:
                word = _PROTOCOLS.get(value, value)
                if one.is_equal:
                    before.append(word)
                else:
                    after.append(f"other than {word}")
            case Attribute.FLOW:
                after.append("that open a flow" if value == NEW_FLOW else "of flows that are known")
            case Attribute.ROLE:
                noun = f"{value}s"
            case Attribute.SCOPE:
                after.append("between clusters" if value == "between" else "within the cluster")
            case _ if attribute in RANGES:
                way = "from" if attribute in {Attribute.SOURCE_NETWORK, Attribute.SOURCE_RANGE} else "to"
                where, plane, family = value.rsplit(" ", 2)
                before += [family] if one.is_equal else []
                name = f"{_PLANES.get(plane, plane)} of {where}"
                after.append(f"{way} {name}" if one.is_equal else f"{way} others than {family} {name}")
            case _:
                after.append(f"{_ENDS[attribute]} {_name_end(one, attribute)}")
    return " ".join((*before, noun, *after))


def _name_end(one: TrafficCondition, attribute: Attribute) -> str:
    name = _PLANES.get(one.value, one.value)
    if attribute in {Attribute.SOURCE_ROLE, Attribute.TARGET_ROLE}:
        is_own = (one.value == "gateway") == one.is_equal
        return "gateways themselves" if is_own else "hosts and pods behind gateways"
    return name if one.is_equal else f"{_ANY[attribute]} other than {name}"
