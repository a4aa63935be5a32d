"""Decides which agents may connect with a ServiceAccount token: by trusted clusters and existing pods.

Rules. A token is valid if its cluster's key verifies it and the cluster's watch knows its pod. A token that
outlives its pod is refused without a request to the API. While the list of pods is incomplete (no watch, or
the API is away), a verified token is admitted for a few minutes at a time, unless its pod was seen to be
deleted: netprobe is needed most when an API server is away. Every refusal is counted by reason and logged in
one line, the same line at most once a minute. See docs/decisions/0005.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from netprobe.bus.callout import Caller
from netprobe.bus.tokens import Bearer, PodRef, RefusalReason, TokenRefusal, TrustedCluster, verify
from netprobe.model.names import AgentId, ClusterName, NodeName

UNCHECKED_NS = 300_000_000_000
"""How long a verified token is admitted while its pod cannot be checked."""
_REPEAT_AFTER_NS = 60_000_000_000
_MOST_LINES = 10_000
_MOST_GONE = 100_000

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pods:
    """The agent pods of one cluster: node name by pod UID."""

    there: Mapping[str, NodeName] = field(default_factory=dict)
    gone: dict[str, None] = field(default_factory=dict)
    """UIDs of deleted pods, oldest first."""
    vouched: bool = False
    """Whether *there* is the complete list now."""


class Admission:
    """Judges every caller. Pure except for the log: time is an argument."""

    def __init__(self, clusters: Iterable[TrustedCluster] = ()) -> None:
        self._clusters = {cluster.name: cluster for cluster in clusters}
        self._pods: dict[ClusterName, _Pods] = {}
        self._said: dict[tuple[str, ...], int] = {}
        self.refused: Counter[RefusalReason] = Counter()
        """Refusals since the start, by kind."""
        self.admitted = 0
        self.unchecked = 0
        """How many of the admitted were of pods that could not be checked."""
        self._refused_agents: dict[AgentId, tuple[int, str]] = {}
        """By agent: when it was refused last, and why; removed when the agent is admitted."""
        self.stale: set[ClusterName] = set()
        """Clusters of tokens with an unknown key: their keys may have been rotated."""

    def trust(self, clusters: Iterable[TrustedCluster]) -> None:
        """Trust these clusters, with these keys, and no others."""
        self._clusters = {cluster.name: cluster for cluster in clusters}
        self._pods = {name: pods for name, pods in self._pods.items() if name in self._clusters}

    def know_pods(self, cluster: ClusterName, pods: Mapping[str, NodeName], *, vouched: bool) -> None:
        """Set the agent pods of *cluster*; *vouched* says that the list is complete."""
        known = self._pods.setdefault(cluster, _Pods())
        known.gone |= dict.fromkeys(known.there.keys() - pods.keys())
        for uid in list(known.gone)[: max(0, len(known.gone) - _MOST_GONE)]:
            del known.gone[uid]
        known.there, known.vouched = dict(pods), vouched

    def judge(self, caller: Caller, *, now_ns: int) -> Bearer | TokenRefusal:
        """Whether *caller* may connect at *now_ns* (wall time), and as which agent."""
        verdict = verify(caller.token, claimed=caller.agent, clusters=self._clusters.values(), now_ns=now_ns)
        if isinstance(verdict, Bearer):
            verdict = self._check_pod(verdict, now_ns)
        match verdict:
            case Bearer(agent=agent):
                self.admitted += 1
                self._refused_agents.pop(agent, None)
                logger.debug("admitted: %s from %s", agent, caller.host or "?")
            case TokenRefusal(reason, why):
                self.refused[reason] += 1
                if caller.agent.cluster in self._clusters:
                    self._remember(caller.agent, now_ns, f"{reason}: {why}")
                if reason is RefusalReason.UNKNOWN_KEY and caller.agent.cluster in self._clusters:
                    self.stale.add(caller.agent.cluster)
                self._log(caller, reason, why, now_ns)
        return verdict

    def find_refused(self, among: Iterable[AgentId], *, now_ns: int) -> dict[AgentId, str]:
        """Agents *among* these that were refused lately, and why. The name is claimed, not verified."""
        known = ((agent, self._refused_agents.get(agent)) for agent in among)
        return {agent: last[1] for agent, last in known if last and now_ns - last[0] <= _REPEAT_AFTER_NS}

    def _remember(self, agent: AgentId, now_ns: int, why: str) -> None:
        if len(self._refused_agents) >= _MOST_LINES:
            self._refused_agents.clear()
        self._refused_agents[agent] = now_ns, why

    def _check_pod(self, bearer: Bearer, now_ns: int) -> Bearer | TokenRefusal:
        pods = self._pods.get(bearer.agent.cluster) or _Pods()
        node = pods.there.get(bearer.pod.uid)
        if node is not None:
            return bearer if node == bearer.agent.node else _refuse_wrong_node(bearer.pod, node)
        if pods.vouched or bearer.pod.uid in pods.gone:
            why = f"its pod {bearer.pod} (UID {bearer.pod.uid}) was deleted, or is not known yet"
            return TokenRefusal(RefusalReason.POD_GONE, why)
        self.unchecked += 1
        return replace(bearer, expires_ns=min(bearer.expires_ns, now_ns + UNCHECKED_NS))

    def _log(self, caller: Caller, reason: RefusalReason, why: str, now_ns: int) -> None:
        key = (str(caller.agent), reason, caller.host)
        if self._said.get(key, 0) > now_ns:
            return
        if len(self._said) >= _MOST_LINES:
            self._said.clear()
        self._said[key] = now_ns + _REPEAT_AFTER_NS
        logger.warning("refused: %s from %s: %s (%s)", caller.agent, caller.host or "?", why, reason)


def _refuse_wrong_node(pod: PodRef, node: NodeName) -> TokenRefusal:
    return TokenRefusal(RefusalReason.WRONG_NODE, f"its pod {pod} runs on {node}")
