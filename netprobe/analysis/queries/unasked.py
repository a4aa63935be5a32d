"""Kinds of question that no check of a plan asks, so that no finding can come of them.

Rule: read off the checks, never off what a plan is meant to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from netprobe.model.check import Check
from netprobe.model.inventory import Inventory
from netprobe.probes.packet_options import packet_options_of

_WITH_DATA = frozenset({"http", "grpc", "tls"})


class Question(StrEnum):
    """What a standing plan may leave to questions on demand."""

    DSCP = "dscp"
    """Packets with a DSCP mark."""
    FRAGMENTS = "fragments"
    DATA = "data"
    """Data after the handshake of a connection between clusters."""
    NODE_PORT = "node-port"
    """Services at the ports of nodes."""


_ASKS: dict[Question, Callable[[Check], bool]] = {
    Question.DSCP: lambda check: bool(packet_options_of(check.probe).dscp),
    Question.FRAGMENTS: lambda check: packet_options_of(check.probe).in_fragments,
    Question.DATA: lambda check: check.probe.kind in _WITH_DATA and _is_between_clusters(check),
}


def find_unasked(inventory: Inventory, checks: Iterable[Check]) -> tuple[Question, ...]:
    """The kinds of question that none of *checks* asks, in the order of `Question`."""
    every = tuple(checks)
    at_node_ports = {
        f"{cluster.name}/{served.qualified}"
        for cluster in inventory.clusters
        for served in cluster.services
        if served.node is not None
    }
    asks = _ASKS | {Question.NODE_PORT: lambda check: check.target.name in at_node_ports}
    return tuple(question for question in Question if not any(map(asks[question], every)))


def _is_between_clusters(check: Check) -> bool:
    return check.target.cluster not in {None, check.source.cluster}
