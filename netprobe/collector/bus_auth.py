"""Token authentication for the bus: who may connect with a ServiceAccount token, and how many did."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

from netprobe.bus.callout import Caller
from netprobe.bus.tokens import Bearer, RefusalReason, TokenRefusal
from netprobe.collector.admission import Admission
from netprobe.collector.cluster_watchers import ClusterWatchers
from netprobe.model.collector_health import AuthStats
from netprobe.model.names import AgentId


@dataclass(frozen=True, slots=True)
class BusAuth:
    """Judges tokens of agents in registered clusters; without such clusters only nkeys are accepted."""

    admission: Admission
    watchers: ClusterWatchers | None

    async def judge(self, caller: Caller) -> Bearer | TokenRefusal:
        """Whether *caller* may connect now, and as which agent; signatures are verified beside the loop."""
        now_ns = time.time_ns()
        verdict = await asyncio.to_thread(self.admission.verify, caller, now_ns=now_ns)
        return self.admission.conclude(caller, verdict, now_ns=now_ns)

    def note_overload(self, host: str) -> None:
        """A caller from *host* was not judged because too many wait."""
        told = TokenRefusal(RefusalReason.TOO_MANY, "too many logins wait, or too many of this address")
        self.admission.conclude(Caller(None, "", host), told, now_ns=time.time_ns())

    def find_refused(self, among: Iterable[AgentId], *, now_ns: int) -> dict[AgentId, str]:
        """Agents *among* these that were refused lately, and why."""
        return self.admission.find_refused(among, now_ns=now_ns)

    def stats(self) -> AuthStats | None:
        """Tokens admitted and refused; None where no cluster is registered."""
        if self.watchers is None:
            return None
        return AuthStats(
            tokens_admitted=self.admission.admitted,
            tokens_unchecked=self.admission.unchecked,
            tokens_refused={str(reason): count for reason, count in sorted(self.admission.refused.items())},
            registrations_refused=self.watchers.refused,
            clusters_away={found.name: found.away for found in self.watchers.known() if found.away},
        )
