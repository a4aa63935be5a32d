"""Numbers of a fleet's components, so that legs can be arrays; those that every node has are computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from netprobe.model.arrays import IntArray
from netprobe.model.component import (
    Component,
    ComponentKind,
    firewall_rule,
    node_in,
    node_out,
    overlay,
    pod_in,
    pod_out,
    service_proxy,
    service_proxy_for_dns,
)
from netprobe.model.names import NodeId

PER_NODE = 9
"""Components per node: node, pods (each in and out), three firewall rules and two service proxies."""
OUT, IN, POD_OUT, POD_IN, ICMP, UDP, TCP, PROXY, NAMES = range(PER_NODE)


@dataclass(eq=False)
class PartNumbers:
    """Numbers of components: nine per node by arithmetic, the others in order of appearance."""

    nodes: tuple[NodeId, ...]
    port: int
    place_of: dict[NodeId, int]
    number_of: dict[Component, int] = field(default_factory=dict)
    overlay_of: dict[int, int] = field(default_factory=dict)
    """Numbers of plain overlays, by their first node's number times all nodes plus the second's."""

    @property
    def size(self) -> int:
        """Number of components that have a number."""
        return PER_NODE * len(self.nodes) + len(self.number_of) + len(self.overlay_of)

    def number(self, part: Component) -> int:
        """The number of a component that has none by arithmetic."""
        if part.kind is ComponentKind.OVERLAY and not part.detail:
            near, far = part.node, part.target_node
            if near is not None and far is not None:
                return self.number_overlay(self.place_of[near] * len(self.nodes) + self.place_of[far])
        return self.number_of.setdefault(part, self.size)

    def number_overlay(self, code: int) -> int:
        """The number of an overlay by its code."""
        known = self.overlay_of.get(code)
        return self.overlay_of.setdefault(code, self.size) if known is None else known

    def number_overlays(self, codes: list[int]) -> IntArray:
        """The numbers of many overlays, each code once."""
        new = [code for code in codes if code not in self.overlay_of]
        self.overlay_of.update(zip(new, range(self.size, self.size + len(new)), strict=True))
        return np.array([self.overlay_of[code] for code in codes], np.int64)

    @cached_property
    def _by_number(self) -> dict[int, Component]:
        named = {number: part for part, number in self.number_of.items()}
        for code, number in self.overlay_of.items():
            one, other = divmod(code, len(self.nodes))
            named[number] = overlay(self.nodes[one], self.nodes[other])
        return named

    def component(self, number: int) -> Component:
        """The component with a number."""
        kind, place = divmod(number, len(self.nodes))
        if kind >= PER_NODE:
            return self._by_number[number]
        node = self.nodes[place]
        ports = {ICMP: "icmp", UDP: f"udp/{self.port}", TCP: f"tcp/{self.port}"}
        if kind in ports:
            return firewall_rule(node, port=ports[kind])
        if kind == NAMES:
            return service_proxy_for_dns(node)
        made = {OUT: node_out, IN: node_in, POD_OUT: pod_out, POD_IN: pod_in, PROXY: service_proxy}
        return made[kind](node)
