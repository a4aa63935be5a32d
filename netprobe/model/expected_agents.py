"""Who is said to run: agents' pods as their clusters' APIs tell them, and what was seen of them at the bus.

Rule: evidence, never truth. An API says that a process was started and what its kubelet last heard of it;
that the agent is well, only its own reports say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netprobe.model.names import AgentId, ClusterName, NodeId


@dataclass(frozen=True, slots=True)
class AgentPod:
    """The pod of an agent, whatever its phase, until its object is gone."""

    uid: str
    namespace: str
    name: str
    agent: AgentId
    runs: bool = False
    """Whether it is called running and is not about to end; it may still be waiting for its container."""
    since_ns: int | None = None
    """When its container was started, by its node's clock (wall time); None while none runs."""
    waits: str = ""
    """Why its container does not run, in the kubelet's word: ``CrashLoopBackOff``; empty while it runs."""
    is_ready: bool = False
    """Whether its readiness probe passes: whose last report the bus has taken."""


@dataclass(frozen=True, slots=True)
class ExpectedAgents:
    """Everybody who is said to run, at one moment."""

    pods: tuple[AgentPod, ...] = ()
    not_ready: frozenset[NodeId] = frozenset()
    """Nodes that their API does not call ready."""
    unsure: frozenset[ClusterName] = frozenset()
    """Clusters whose API is away: what it told last may be old."""
    home: ClusterName | None = None
    """The cluster that the bus itself runs in, where it is one of them."""
    refused: Mapping[AgentId, str] = field(default_factory=dict)
    """Who asked to be let in since the last muster and was not, and why."""
    present: frozenset[AgentId] = frozenset()
    """Of those that do not report, who has said on the bus that it is there."""
