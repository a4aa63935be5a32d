"""The network that joins the clusters: one segment per cluster, and the holder's namespace as router between.

Rule: no route leads out. Whatever crosses from one cluster to the other passes the ``forward`` hook of the
router, where the tests cut it; each node has a network namespace of its own below ``/run/netns``.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """Name and address of one node; *place* counts from 1 within its cluster."""

    name: str
    cluster: int
    place: int

    @property
    def address(self) -> str:
        """The address of the node itself."""
        return f"10.250.{self.cluster}.{10 + self.place}"

    @property
    def zone(self) -> str:
        """Every node of a cluster stands in another zone."""
        return "abc"[self.place - 1]


@dataclass(frozen=True, slots=True)
class Layout:
    """Names and addresses of one cluster; *number* is 1 or 2."""

    name: str
    number: int
    node_names: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Where its API server listens; its nodes' way to everywhere else, too."""
        return f"10.250.{self.number}.1"

    @property
    def services(self) -> str:
        """The range of its service addresses."""
        return f"10.9{self.number}.0.0/16"

    @property
    def pods(self) -> str:
        """The range of its pods."""
        return f"10.4{self.number}.0.0/16"

    @property
    def dns(self) -> str:
        """The address of its DNS."""
        return f"10.9{self.number}.0.10"

    @property
    def nodes(self) -> tuple[NodeLayout, ...]:
        """Its nodes, in order."""
        return tuple(NodeLayout(name, self.number, 1 + at) for at, name in enumerate(self.node_names))


def make_router(layouts: tuple[Layout, ...]) -> None:
    """Bring up the segments in the namespace we are in."""
    _ip("link set lo up")
    for layout in layouts:
        segment = f"lan{layout.number}"
        _ip(f"link add {segment} type bridge")
        _ip(f"addr add {layout.address}/24 dev {segment}")
        _ip(f"link set {segment} up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def join_node(layout: Layout, node: NodeLayout) -> None:
    """Make the namespace of *node* and join it to the segment of its cluster."""
    outside = f"v{node.cluster}-{node.place}"
    _ip(f"netns add {node.name}")
    _ip(f"link add {outside} type veth peer name eth0 netns {node.name}")
    _ip(f"link set {outside} master lan{node.cluster} up")
    for command in (
        "link set lo up", f"addr add {node.address}/24 dev eth0", "link set eth0 up",
        f"route add default via {layout.address}",
    ):  # fmt: skip
        _ip(f"-n {node.name} {command}")


def route_pods(layouts: tuple[Layout, ...], pod_cidrs: dict[str, str]) -> None:
    """Lead to the pods of every node: from neighbours directly, from the other cluster over the router."""
    for layout in layouts:
        for node in layout.nodes:
            route = f"route replace {pod_cidrs[node.name]} via {node.address}"
            _ip(route)
            for other in layout.nodes:
                if other != node:
                    _ip(f"-n {other.name} {route}")


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)
