"""``netprobe clusters --from``: clusters that a management system declares, and whether they answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from netprobe.cli.actions.output import print_view
from netprobe.discovery.cluster_sources.registry import SOURCES
from netprobe.discovery.k8s.api_liveness import probe_addresses
from netprobe.discovery.k8s.declared_clusters import SourceReading, read_sources
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.model.declared_cluster import ApiOutcome
from netprobe.render.terminal.declared_clusters import (
    Answers,
    declared_document,
    declared_table,
    find_disagreements,
)

_FINE = frozenset({ApiOutcome.ANSWERS, ApiOutcome.NOT_ASKED})


def run_declared(
    contexts: Sequence[Context], names: Sequence[str], *, probe: bool, timeout_s: float, form: str
) -> int:
    """Print every declared cluster; 0 all well, 1 something is unreadable, silent or contradicted."""
    readings, answers = asyncio.run(_read(contexts, names, probe=probe, timeout_s=timeout_s))
    print_view(
        form,
        table=lambda: declared_table(readings, answers, now_ns=time.time_ns()),
        document=lambda: declared_document(readings, answers),
    )
    is_bad = any(reading.why for reading in readings) or any(
        answer.outcome not in _FINE for answer in (answers or {}).values()
    )
    return 1 if is_bad or find_disagreements(readings, answers or {}) else 0


async def _read(
    contexts: Sequence[Context], names: Sequence[str], *, probe: bool, timeout_s: float
) -> tuple[tuple[SourceReading, ...], Answers | None]:
    chosen = [source for source in SOURCES if source.name in names]
    readings = await read_sources(contexts, chosen, timeout_s=timeout_s)
    if not probe:
        return readings, None
    addresses = (one.address for reading in readings for one in reading.declared.clusters)
    return readings, await probe_addresses(addresses, timeout_s=timeout_s)
