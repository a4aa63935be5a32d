"""The routers between the clusters: wires, addresses, shortest routes.

Rule: an edge router has routes only to the hub and to outer addresses, not to another cluster's nodes or
pods, so that no traffic bypasses a broken tunnel over the WAN; no router has a default route, so nothing
leaves the lab.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from netprobe.lab.plan import Address, Cable, CableEnd, Route
from netprobe.lab.topology import Topology


@dataclass(frozen=True, slots=True)
class Wire:
    """A wire between two hosts; each end has an IPv4 and an IPv6 address."""

    one: CableEnd
    other: CableEnd
    ranges: tuple[str, str]
    one_addresses: tuple[str, str]
    other_addresses: tuple[str, str]

    def ends(self) -> Iterator[tuple[CableEnd, tuple[str, str], CableEnd, tuple[str, str]]]:
        """Near end and addresses, far end and addresses, for both sides."""
        yield self.one, self.one_addresses, self.other, self.other_addresses
        yield self.other, self.other_addresses, self.one, self.one_addresses

    def cable(self) -> Cable:
        """The wire without its addresses."""
        return Cable(self.one, self.other)


@dataclass(frozen=True, slots=True)
class Wan:
    """All wires of the WAN."""

    wires: tuple[Wire, ...]
    gateway_wires: dict[str, Wire] = field(default_factory=dict)
    """By cluster: the wire from its gateway (one) to its edge router (other)."""
    link_ends: dict[int, Wire] = field(default_factory=dict)
    """By number of a link that shares flows: the ranges and addresses of its own ends; no cable."""

    def addresses(self, host: str) -> tuple[Address, ...]:
        """The addresses of *host* on its wires."""
        found = []
        for wire in self.wires:
            for near, texts, _, _ in wire.ends():
                if near.host == host:
                    lengths = (text.partition("/")[2] for text in wire.ranges)
                    pairs = zip(texts, lengths, strict=True)
                    found += [Address(near.interface, f"{text}/{length}") for text, length in pairs]
        return tuple(found)

    def end_addresses(self, link: int, *, is_source: bool) -> tuple[str, ...]:
        """Addresses of one end of the link with that number, with prefix lengths; empty if it has none."""
        wire = self.link_ends.get(link)
        if wire is None:
            return ()
        texts = wire.one_addresses if is_source else wire.other_addresses
        lengths = (text.partition("/")[2] for text in wire.ranges)
        return tuple(f"{text}/{length}" for text, length in zip(texts, lengths, strict=True))


def plan_wan(topology: Topology) -> Wan:
    """Plan the wires: transit routers in a line, edges and hub attached to them, gateways to edges."""
    numbers = _WireAllocator(topology.wan.cidrs)
    transits = topology.wan.transits
    wires = [
        numbers.wire(CableEnd(left, "right0"), CableEnd(right, "left0"))
        for left, right in itertools.pairwise(transits)
    ]
    gateway_wires = {}
    for index, cluster in enumerate(topology.clusters):
        edge = f"{cluster.name}/edge"
        wires.append(numbers.wire(CableEnd(edge, "up0"), CableEnd(cluster.transit, f"edge{index}")))
        gateway = CableEnd(f"{cluster.name}/{cluster.gateway.name}", "wan0")
        gateway_wires[cluster.name] = numbers.wire(gateway, CableEnd(edge, "gw0"))
        wires.append(gateway_wires[cluster.name])
    gateways = {cluster.name: f"{cluster.name}/{cluster.gateway.name}" for cluster in topology.clusters}
    link_ends = {
        index: numbers.wire(
            CableEnd(gateways[link.source], f"link{index}a"), CableEnd(gateways[link.target], f"link{index}b")
        )
        for index, link in enumerate(topology.links)
        if link.balanced
    }
    return Wan(tuple(wires), gateway_wires, link_ends)


class _WireAllocator:
    """Allocates a /30 and a /126 per wire."""

    def __init__(self, cidrs: list[str]) -> None:
        self._v4 = ipaddress.IPv4Network(cidrs[0]).subnets(new_prefix=30)
        self._v6 = ipaddress.IPv6Network(cidrs[1]).subnets(new_prefix=126)

    def wire(self, one: CableEnd, other: CableEnd) -> Wire:
        v4, v6 = next(self._v4), next(self._v6)
        return Wire(
            one, other, (str(v4), str(v6)), (str(v4[1]), str(v6[1])), (str(v4[2]), str(v6[2]))
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prefix:
    """A range, the router it is attached to, and whether it is inside a cluster."""

    text: str
    owner: str
    inside: bool


def plan_router_routes(topology: Topology, wan: Wan) -> dict[str, tuple[Route, ...]]:
    """Return every router's static routes: shortest routes, by breadth-first search."""
    edges = {f"{cluster.name}/edge" for cluster in topology.clusters}
    routers = [*topology.wan.transits, *sorted(edges)]
    prefixes = _prefixes(topology, wan)
    found: dict[str, tuple[Route, ...]] = {}
    for router in routers:
        hops = _first_hops(router, routers, wan)
        near = {
            text for wire in wan.wires if router in (wire.one.host, wire.other.host) for text in wire.ranges
        }
        found[router] = tuple(
            Route(prefix.text, hops[prefix.owner][0], via=hops[prefix.owner][1][":" in prefix.text])
            for prefix in prefixes
            if prefix.owner != router and prefix.text not in near and not (prefix.inside and router in edges)
        )
    return found


def _prefixes(topology: Topology, wan: Wan) -> list[Prefix]:
    found = [Prefix(text, topology.hub.transit, inside=False) for text in topology.hub.cidrs]
    for cluster in topology.clusters:
        inside = [*cluster.node_cidrs, *cluster.pod_cidrs]
        found += [Prefix(text, f"{cluster.name}/edge", inside=True) for text in inside]
        found += [
            Prefix(text, f"{cluster.name}/edge", inside=False)
            for text in wan.gateway_wires[cluster.name].ranges
        ]
    gateway_wires = set(wan.gateway_wires.values())
    for wire in wan.wires:
        if wire not in gateway_wires:
            found += [Prefix(text, wire.one.host, inside=False) for text in wire.ranges]
    return found


def _first_hops(router: str, routers: list[str], wan: Wan) -> dict[str, tuple[str, tuple[str, str]]]:
    """For each other router: the interface and next-hop addresses on the shortest route to it."""
    hops: dict[str, tuple[str, tuple[str, str]]] = {}
    queue = deque([router])
    while queue:
        at = queue.popleft()
        for wire in wan.wires:
            for near, _, far, far_addresses in wire.ends():
                if near.host != at or far.host not in routers or far.host == router or far.host in hops:
                    continue
                hops[far.host] = (near.interface, far_addresses) if at == router else hops[at]
                queue.append(far.host)
    return hops
