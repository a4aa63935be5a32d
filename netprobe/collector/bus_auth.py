"""The collector's front door: who comes in by a token, and the certificate that it shows.

Rule: a certificate that is renewed on disk is shown from then on; no connection is cut for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from netprobe.bus.login import ServerTrust
from netprobe.bus.server import ServerTls
from netprobe.collector.admission import Admission
from netprobe.collector.cluster_watchers import ClusterWatchers, FleetView
from netprobe.model.check import Plan
from netprobe.model.collector_health import AuthStats
from netprobe.model.expected_agents import ExpectedAgents
from netprobe.model.names import AgentId
from netprobe.wire.messages import Presence

LOOK_S = 5.0
FindPresent = Callable[[frozenset[AgentId]], Awaitable[tuple[Presence, ...]]]
"""Asks the bus which of some agents have said in time that they are there."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BusAuth:
    """What lets agents of Kubernetes in; without registered clusters only nkeys count."""

    admission: Admission
    gathering: ClusterWatchers | None
    survey: FleetView

    def show(self, plans: Iterable[Plan], bus: tuple[str, ...]) -> Iterator[Plan]:
        """*plans*; agents of the cluster that we run in are told where the *bus* itself is.

        Agents of others come by the way that people gave them, which need not be the one that is tested.
        """
        home = self.gathering.home if self.gathering else None
        for plan in plans:
            yield replace(plan, bus=bus) if home in {None, plan.agent.cluster} else plan

    async def muster(
        self, awaited: frozenset[AgentId], find_present: FindPresent, *, now_ns: int
    ) -> ExpectedAgents:
        """Who is said to run; of those that are *awaited*, who was not let in, and who is on the bus."""
        refused = self.admission.find_turned_away(awaited, now_ns=now_ns)
        present = await find_present(awaited) if awaited else ()
        return replace(
            self.survey.muster(), refused=refused, present=frozenset(told.agent for told in present)
        )

    def entrance(self) -> AuthStats | None:
        """Who came in, and who did not; None where nobody comes by token."""
        if self.gathering is None:
            return None
        return AuthStats(
            tokens_admitted=self.admission.admitted,
            tokens_unchecked=self.admission.unchecked,
            tokens_refused={str(reason): count for reason, count in sorted(self.admission.refused.items())},
            registrations_refused=self.gathering.refused,
            clusters_away={found.name: found.away for found in self.gathering.known() if found.away},
        )


def own_trust(tls: ServerTls | None) -> ServerTrust | None:
    """How the collector itself trusts its own server: by the very certificate, whatever names it has."""
    if tls is None:
        return None
    if tls.ca is None:
        return ServerTrust(pinned=tls.certificate)
    return ServerTrust(certificate=tls.certificate, key=tls.key, pinned=tls.certificate)


async def follow_certificate(tls: ServerTls, reload: Callable[[], None]) -> None:
    """Call *reload* whenever a file of *tls* has changed."""
    seen = _stamps(tls)
    while True:
        await asyncio.sleep(LOOK_S)
        found = _stamps(tls)
        if found != seen and None not in found:
            logger.info("the bus shows the renewed certificate %s", tls.certificate)
            reload()
            seen = found


def _stamps(tls: ServerTls) -> tuple[tuple[int, int] | None, ...]:
    return tuple(_stamp(file) for file in (tls.certificate, tls.key, tls.ca) if file is not None)


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        told = file.stat()
    except OSError:
        return None
    return told.st_ino, told.st_mtime_ns
