"""Agents that should run, as the APIs of their clusters report, and their logins at the bus.

Rule: this is evidence, never truth. An API reports that a process was started and what its kubelet last saw;
only an agent's own reports show that it works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netprobe.model.names import AgentId, ClusterName, NodeId


@dataclass(frozen=True, slots=True)
class AgentPod:
    """The pod of an agent, in any phase, until its object is deleted."""

    uid: str
    namespace: str
    name: str
    agent: AgentId
    runs: bool = False
    """Whether its phase is Running and it is not being deleted; its container may still be waiting."""
    since_ns: int | None = None
    """Start of its container by its node's clock (wall time); None if no container runs."""
    waits: str = ""
    """The kubelet's reason why its container does not run (``CrashLoopBackOff``); empty if it runs."""
    is_ready: bool = False
    """Whether its readiness probe passes, which means that the bus accepted its last report."""


@dataclass(frozen=True, slots=True)
class ExpectedAgents:
    """All agents that should run at one moment."""

    pods: tuple[AgentPod, ...] = ()
    not_ready: frozenset[NodeId] = frozenset()
    """Nodes that are not ready, as their API reports."""
    unsure: frozenset[ClusterName] = frozenset()
    """Clusters whose API cannot be reached, so that the data may be old."""
    home: ClusterName | None = None
    """The cluster in which the bus runs, if it is one of them."""
    refused: Mapping[AgentId, str] = field(default_factory=dict)
    """Agents whose login was refused since the last reading, and the reason."""
    present: frozenset[AgentId] = frozenset()
    """Agents that do not report but are connected to the bus."""
