"""Identifiers of clusters, nodes, agents and checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from netprobe.errors import InputError

ClusterName = NewType("ClusterName", str)
NodeName = NewType("NodeName", str)
CheckId = NewType("CheckId", int)
"""A 63-bit stable hash of source, target and probe (63 so that it fits SQL's signed BIGINT)."""


class Plane(StrEnum):
    """The network of an agent. The same check from both planes separates a CNI fault from a node fault."""

    POD = "pod"
    HOST = "host"


@dataclass(frozen=True, slots=True, order=True)
class NodeId:
    """A node of a cluster; written ``cluster/node``."""

    cluster: ClusterName
    node: NodeName

    def __str__(self) -> str:
        return f"{self.cluster}/{self.node}"

    @classmethod
    def parse(cls, text: str) -> NodeId:
        """Read ``cluster/node``.

        >>> str(NodeId.parse("prod/w1"))
        'prod/w1'
        """
        parts = text.split("/")
        if len(parts) != 2 or not all(parts):
            raise InputError(f"{text!r} is not <cluster>/<node>")
        return cls(ClusterName(parts[0]), NodeName(parts[1]))


@dataclass(frozen=True, slots=True, order=True)
class AgentId:
    """One agent: one per node and plane; written ``cluster/node/plane``."""

    cluster: ClusterName
    node: NodeName
    plane: Plane

    def __str__(self) -> str:
        return f"{self.cluster}/{self.node}/{self.plane}"

    @property
    def node_id(self) -> NodeId:
        """The node this agent runs on."""
        return NodeId(self.cluster, self.node)

    @classmethod
    def find(cls, text: str) -> AgentId | None:
        """The agent that *text* names; None where it names something else.

        >>> AgentId.find("prod/netprobe/echo") is None
        True
        """
        parts = text.split("/")
        if len(parts) != 3 or not all(parts) or parts[2] not in set(Plane):
            return None
        return cls(ClusterName(parts[0]), NodeName(parts[1]), Plane(parts[2]))

    @classmethod
    def parse(cls, text: str) -> AgentId:
        """Read ``cluster/node/plane``.

        >>> AgentId.parse("prod/w1/pod").plane
        <Plane.POD: 'pod'>
        """
        found = cls.find(text)
        if found is None:
            raise InputError(f"{text!r} is not <cluster>/<node>/pod or <cluster>/<node>/host")
        return found
