"""What the packets of a check are like, as one small number, so that rows can be counted as arrays.

A *profile* is a number in mixed radix with one digit per attribute of `VALUES`. Ends (nodes, clusters, and
whether they are in one cluster) are left out: a class by its end is found by the checks of that end.
"""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from netprobe.model.arrays import IntArray
from netprobe.model.check import Check
from netprobe.model.names import NodeId
from netprobe.model.traffic import Attribute, TrafficCondition, describe_packets

VALUES: dict[Attribute, tuple[str, ...]] = {
    Attribute.PROTOCOL: ("icmp", "udp", "tcp"),
    Attribute.FAMILY: ("IPv4", "IPv6"),
    Attribute.SIZE: ("small", "large"),
    Attribute.FLOW: ("kept", "new"),
    Attribute.ROLE: ("request", "answer"),
    Attribute.SOURCE_PLANE: ("pod", "host", "outer"),
    Attribute.TARGET_PLANE: ("pod", "host", "outer"),
    Attribute.SOURCE_ROLE: ("gateway", "forwarded"),
    Attribute.TARGET_ROLE: ("gateway", "forwarded"),
}
WEIGHTS: dict[Attribute, int] = dict(
    zip(VALUES, np.cumprod([1, *map(len, VALUES.values())]).tolist(), strict=False)
)
PROFILES = int(np.prod([len(values) for values in VALUES.values()]))
CONDITIONS: tuple[TrafficCondition, ...] = tuple(
    TrafficCondition(attribute, value)
    for attribute, values in VALUES.items()
    for value in values
    if value != "outer"
)
"""Every class of one attribute. An outer address is a part of its own, the underlay, and no class."""
_PLACES = tuple(list(Attribute).index(attribute) for attribute in VALUES)
_CODE_OF = tuple(
    {value: code * WEIGHTS[attribute] for code, value in enumerate(values)}
    for attribute, values in VALUES.items()
)


def encode(**values: str) -> int:
    """The sum of the digits of some attributes, by the name of each in lower case.

    >>> encode(protocol="udp") + encode(family="IPv6")
    4
    """
    found = {Attribute[name.upper()]: value for name, value in values.items()}
    return sum(VALUES[attribute].index(value) * WEIGHTS[attribute] for attribute, value in found.items())


def find_profile(check: Check, gateways: Container[NodeId], *, is_answer: bool) -> int:
    """The profile of a check's requests or answers; of a probe of another kind than ICMP, UDP and TCP −1."""
    told = describe_packets(check, gateways, is_answer=is_answer)
    if told[0] not in _CODE_OF[0]:
        return -1
    return sum(codes[told[place]] for codes, place in zip(_CODE_OF, _PLACES, strict=True))


def digits(profiles: IntArray, attribute: Attribute) -> IntArray:
    """The code of *attribute* in each profile."""
    return profiles // WEIGHTS[attribute] % len(VALUES[attribute])
