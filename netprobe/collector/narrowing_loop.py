"""Narrows ambiguous findings down with on-demand checks, beside the service."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from netprobe.bus.operator import Access, ask_check
from netprobe.collector.adaptive_checks import Ask, is_ambiguous, narrow_down
from netprobe.collector.analysis_loop import AnalysisLoop
from netprobe.collector.incident_archive import incident_key
from netprobe.errors import NetprobeError
from netprobe.model.check import Check
from netprobe.model.outcome import OutcomeKind
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.wire.messages import CheckAnswer

MAX_ROUNDS = 3
"""Rounds per finding in which no agent could answer."""
_ASK_TIMEOUT_S = 8.0

logger = logging.getLogger(__name__)


class NarrowingLoop:
    """Asks one round of checks for every ambiguous finding, until a round had an answer."""

    def __init__(self, analysis: AnalysisLoop) -> None:
        self._analysis = analysis

    async def run(self, ask: Ask, *, every_s: float) -> None:
        """Narrow findings every *every_s* seconds; each bus connection starts counting rounds at zero."""
        rounds: Counter[tuple[str, int]] = Counter()
        while True:
            await self.narrow_findings(ask, rounds)
            await asyncio.sleep(every_s)

    async def narrow_findings(self, ask: Ask, rounds: Counter[tuple[str, int]]) -> None:
        """One round for each finding that needs one; *rounds* counts them per incident."""
        conclusion = self._analysis.conclusion
        for finding in conclusion.findings if conclusion is not None else ():
            incident = incident_key(finding)
            if rounds[incident] >= MAX_ROUNDS or not is_ambiguous(finding):
                continue
            graph = ClusterGraph(self._analysis.inventory)
            narrowed = await narrow_down(finding, graph, able=self._analysis.alive_agents, ask=ask)
            rounds[incident] = MAX_ROUNDS if narrowed.answers else rounds[incident] + 1
            self._analysis.narrow(finding.id, narrowed.left, narrowed.answers)


async def ask_once(access: Access, check: Check) -> bool | None:
    """Whether *check* is answered now; None where its agent declines, cannot measure or is away."""
    try:
        reply = await ask_check(access, check, asked_by="collector", timeout_s=_ASK_TIMEOUT_S)
    except NetprobeError as error:
        logger.info("%s could not be asked: %s", check.source, error)
        return None
    kinds = {outcome.kind for outcome in reply.outcomes} if isinstance(reply, CheckAnswer) else set()
    if OutcomeKind.REACHED in kinds:
        return True
    return False if kinds and OutcomeKind.NOT_MEASURED not in kinds else None
