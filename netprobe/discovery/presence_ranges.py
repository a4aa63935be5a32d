"""Where addresses that agents tell of themselves may lie, while the API of their cluster is away.

Rules. Pure. An agent may not point the probes of the fleet at a stranger. A pod's address lies in the pod
ranges of its cluster; a node's lies in the network of a node that is known, which is taken to be a /16, or a
/48 for IPv6. Where no range is known, what agents say is kept, and that is said.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from netprobe.model.inventory import Cluster
from netprobe.model.names import Plane

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NODE_PREFIX = {4: 16, 6: 48}


@dataclass(frozen=True, slots=True)
class PresenceRanges:
    """The ranges of one cluster; a plane without any is unknown."""

    pods: tuple[Network, ...] = ()
    nodes: tuple[Network, ...] = ()

    @classmethod
    def of(cls, clusters: Iterable[Cluster]) -> PresenceRanges:
        """What several sources say about one cluster."""
        pods: set[Network] = set()
        nodes: set[Network] = set()
        for cluster in clusters:
            pods |= {ipaddress.ip_network(each, strict=False) for each in cluster.pod_cidrs}
            nodes |= {_around(each) for node in cluster.nodes for each in node.host_addresses}
        return cls(tuple(sorted(pods, key=str)), tuple(sorted(nodes, key=str)))

    def known(self, plane: Plane) -> tuple[Network, ...]:
        """The ranges of *plane*; none where they are unknown."""
        return self.nodes if plane is Plane.HOST else self.pods

    def keep(self, plane: Plane, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """Those of *addresses* that may be one of *plane*."""
        ranges = self.known(plane)
        return tuple(each for each in addresses if not ranges or _is_within(each, ranges))


def _is_within(address: str, ranges: tuple[Network, ...]) -> bool:
    """Whether a range of its own family has it; a family without a range is unknown too."""
    found = ipaddress.ip_address(address)
    same = [each for each in ranges if each.version == found.version]
    return not same or any(found in each for each in same)


def _around(address: str) -> Network:
    found = ipaddress.ip_address(address)
    return ipaddress.ip_network(f"{found}/{_NODE_PREFIX[found.version]}", strict=False)
