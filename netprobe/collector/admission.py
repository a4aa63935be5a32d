"""Who comes in with a ServiceAccount token: the registry of trusted clusters and of the pods that exist.

Rules. A token is good when its cluster's key verifies it and its pod is one that the cluster's watch knows
now; so a token that outlives its pod is refused without asking anybody. While nobody can say which pods
exist (no watch, or its API is away) a good token of a pod that was never seen to go is let in for a few
minutes at a time: the tool is needed most when an API server is away. Every refusal is counted by its
kind, and told in one line, the same line at most once a minute. See docs/decisions/0005.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from netprobe.bus.callout import Caller
from netprobe.bus.tokens import Bearer, PodRef, Reason, Refusal, TrustedCluster, verify
from netprobe.model.names import AgentId, ClusterName, NodeName

UNCHECKED_NS = 300_000_000_000
"""How long one is let in whose pod nobody can vouch for."""
_SILENCE_NS = 60_000_000_000
_MOST_LINES = 10_000
_MOST_GONE = 100_000

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pods:
    """The agent pods of one cluster: name of the node by the pod's UID."""

    there: Mapping[str, NodeName] = field(default_factory=dict)
    gone: dict[str, None] = field(default_factory=dict)
    """UIDs that were there and are no more, oldest first."""
    vouched: bool = False
    """Whether *there* is all there is right now."""


class Admission:
    """Judges every caller. Pure but for the log: time is an argument."""

    def __init__(self, clusters: Iterable[TrustedCluster] = ()) -> None:
        self._clusters = {cluster.name: cluster for cluster in clusters}
        self._pods: dict[ClusterName, _Pods] = {}
        self._said: dict[tuple[str, ...], int] = {}
        self.refused: Counter[Reason] = Counter()
        """Refusals since the start, by kind."""
        self.admitted = 0
        self.unchecked = 0
        """How many of the admitted nobody could vouch for."""
        self._turned_away: dict[AgentId, tuple[int, str]] = {}
        """Who was refused last, when and why; whoever came in since is not among them."""
        self.stale: set[ClusterName] = set()
        """Clusters that a token named an unknown key of: their keys may have been rotated."""

    def trust(self, clusters: Iterable[TrustedCluster]) -> None:
        """Trust these clusters, with these keys, and no others."""
        self._clusters = {cluster.name: cluster for cluster in clusters}
        self._pods = {name: pods for name, pods in self._pods.items() if name in self._clusters}

    def know_pods(self, cluster: ClusterName, pods: Mapping[str, NodeName], *, vouched: bool) -> None:
        """These are the agent pods of *cluster*; not *vouched*: as far as is known while its API is away."""
        known = self._pods.setdefault(cluster, _Pods())
        known.gone |= dict.fromkeys(known.there.keys() - pods.keys())
        for uid in list(known.gone)[: max(0, len(known.gone) - _MOST_GONE)]:
            del known.gone[uid]
        known.there, known.vouched = dict(pods), vouched

    def judge(self, caller: Caller, *, now_ns: int) -> Bearer | Refusal:
        """Whether *caller* may come in at *now_ns* (wall time), and as whom."""
        verdict = verify(caller.token, claimed=caller.agent, clusters=self._clusters.values(), now_ns=now_ns)
        if isinstance(verdict, Bearer):
            verdict = self._check_pod(verdict, now_ns)
        match verdict:
            case Bearer(agent=agent):
                self.admitted += 1
                self._turned_away.pop(agent, None)
                logger.debug("admitted: %s from %s", agent, caller.host or "?")
            case Refusal(reason, why):
                self.refused[reason] += 1
                if caller.agent.cluster in self._clusters:
                    self._remember(caller.agent, now_ns, f"{reason}: {why}")
                if reason is Reason.UNKNOWN_KEY and caller.agent.cluster in self._clusters:
                    self.stale.add(caller.agent.cluster)
                self._tell(caller, reason, why, now_ns)
        return verdict

    def find_turned_away(self, among: Iterable[AgentId], *, now_ns: int) -> dict[AgentId, str]:
        """Who of *among* was refused lately, and why. Whoever came so named is meant: nobody proved it."""
        known = ((agent, self._turned_away.get(agent)) for agent in among)
        return {agent: told[1] for agent, told in known if told and now_ns - told[0] <= _SILENCE_NS}

    def _remember(self, agent: AgentId, now_ns: int, why: str) -> None:
        if len(self._turned_away) >= _MOST_LINES:
            self._turned_away.clear()
        self._turned_away[agent] = now_ns, why

    def _check_pod(self, bearer: Bearer, now_ns: int) -> Bearer | Refusal:
        pods = self._pods.get(bearer.agent.cluster) or _Pods()
        node = pods.there.get(bearer.pod.uid)
        if node is not None:
            return bearer if node == bearer.agent.node else _elsewhere(bearer.pod, node)
        if pods.vouched or bearer.pod.uid in pods.gone:
            told = f"its pod {bearer.pod} (UID {bearer.pod.uid}) is gone, or not yet known"
            return Refusal(Reason.POD_GONE, told)
        self.unchecked += 1
        return replace(bearer, expires_ns=min(bearer.expires_ns, now_ns + UNCHECKED_NS))

    def _tell(self, caller: Caller, reason: Reason, why: str, now_ns: int) -> None:
        key = (str(caller.agent), reason, caller.host)
        if self._said.get(key, 0) > now_ns:
            return
        if len(self._said) >= _MOST_LINES:
            self._said.clear()
        self._said[key] = now_ns + _SILENCE_NS
        logger.warning("refused: %s from %s: %s (%s)", caller.agent, caller.host or "?", why, reason)


def _elsewhere(pod: PodRef, node: NodeName) -> Refusal:
    return Refusal(Reason.WRONG_NODE, f"its pod {pod} stands on {node}")
