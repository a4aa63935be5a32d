"""Decides which agents may connect with a ServiceAccount token: by trusted clusters and existing pods.

Rules. A token is valid if its cluster's key verifies it and the cluster's watch knows its pod. A token that
outlives its pod is refused without a request to the API. While the list of pods is incomplete (no watch, or
the API is away), a verified token is admitted for a few minutes at a time, unless its pod was seen to be
deleted: netprobe is needed most when an API server is away. Every refusal is counted by reason; one line per
reason and minute is logged. See docs/decisions/0005.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from netprobe.bus.callout import Caller
from netprobe.bus.tokens import Bearer, PodRef, RefusalReason, TokenRefusal, TrustedCluster, verify
from netprobe.collector.limited_log import LimitedLog
from netprobe.logs import printable
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
        self._said = LimitedLog()
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
        return self.conclude(caller, self.verify(caller, now_ns=now_ns), now_ns=now_ns)

    def verify(self, caller: Caller, *, now_ns: int) -> Bearer | TokenRefusal:
        """What the token alone says; changes nothing, so that it can be asked in another thread."""
        if caller.agent is None or not caller.token:
            return TokenRefusal(RefusalReason.NO_TOKEN, "shows no token and no known key")
        clusters = tuple(self._clusters.values())
        try:
            return verify(caller.token, claimed=caller.agent, clusters=clusters, now_ns=now_ns)
        except Exception:
            # The library that reads tokens must not end the logins of others.
            logger.exception("a token could not be verified")
            return TokenRefusal(RefusalReason.MALFORMED, "its token could not be verified")

    def conclude(
        self, caller: Caller, verdict: Bearer | TokenRefusal, *, now_ns: int
    ) -> Bearer | TokenRefusal:
        """The verdict on the token, and on the pod that it is of; counted, and said where it is a refusal."""
        if isinstance(verdict, Bearer):
            verdict = self._check_pod(verdict, now_ns)
        match verdict:
            case Bearer(agent=agent):
                self.admitted += 1
                self._refused_agents.pop(agent, None)
                logger.debug("admitted: %s from %s", printable(str(agent)), caller.host or "?")
            case TokenRefusal(reason, why, is_own):
                self.refused[reason] += 1
                if caller.agent is not None and caller.agent.cluster in self._clusters:
                    if is_own:
                        self._remember(caller.agent, now_ns, f"{reason}: {why}")
                    if reason is RefusalReason.UNKNOWN_KEY:
                        self.stale.add(caller.agent.cluster)
                self._log(caller, reason, why, now_ns)
        return verdict

    def find_refused(self, among: Iterable[AgentId], *, now_ns: int) -> dict[AgentId, str]:
        """Agents *among* these that were refused lately, and why. Their cluster has signed for them."""
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
            return TokenRefusal(RefusalReason.POD_GONE, why, is_own=True)
        self.unchecked += 1
        return replace(bearer, expires_ns=min(bearer.expires_ns, now_ns + UNCHECKED_NS))

    def _log(self, caller: Caller, reason: RefusalReason, why: str, now_ns: int) -> None:
        left_out = self._said.take(reason, now_ns=now_ns)
        if left_out is None:
            return
        told = f"{caller.agent or repr(caller.name)} from {caller.host or '?'}: {why}"
        others = f"; {left_out} more before" if left_out else ""
        logger.warning("refused: %s (%s%s)", printable(told), reason, others)


def _refuse_wrong_node(pod: PodRef, node: NodeName) -> TokenRefusal:
    return TokenRefusal(RefusalReason.WRONG_NODE, f"its pod {pod} runs on {node}", is_own=True)
