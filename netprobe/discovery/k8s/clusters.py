"""Several clusters at once: each is read by itself, and one that cannot be read hides no other.

Rule: a context is how a cluster is reached; which cluster it is, its identity says. Two contexts that lead to
the same cluster are told apart from two clusters of the same name.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from netprobe.discovery.inventory.context_names import ClusterPlace, read_place, short_name
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.fabric_objects import read_fabrics
from netprobe.discovery.k8s.facts import ClusterFacts, parse_cluster, read_objects
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.errors import NetprobeError
from netprobe.model.fabric import FabricFacts
from netprobe.model.names import ClusterName

_TOGETHER = 16
"""Clusters read at the same time."""


@dataclass(frozen=True, slots=True)
class ReadableCluster:
    """A cluster that told what it is."""

    context: Context
    facts: ClusterFacts
    fabrics: tuple[FabricFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class UnreadableCluster:
    """A cluster that could not be read, and why: one line that names the context."""

    context: Context
    name: ClusterName
    place: ClusterPlace
    why: str


Reading = ReadableCluster | UnreadableCluster


def name_clusters(contexts: Sequence[Context]) -> dict[Context, ClusterName]:
    """A name for the cluster behind each context: short where that is unique, else the whole context's."""
    short = [short_name(context.name) for context in contexts]
    names: dict[Context, ClusterName] = {}
    for context, name in zip(contexts, short, strict=True):
        whole = re.sub(r"[^A-Za-z0-9._-]+", "-", context.name).strip("-._") or name
        names[context] = ClusterName(name if short.count(name) == 1 else whole)
    return names


async def read_clusters(
    contexts: Sequence[Context], *, timeout_s: float, pattern: re.Pattern[str] | None = None
) -> tuple[Reading, ...]:
    """Read every context, at most *timeout_s* for each; one reading per context, in their order."""
    gate = asyncio.Semaphore(_TOGETHER)
    names = name_clusters(contexts)

    async def read(context: Context) -> Reading:
        place = read_place(context.name, pattern)
        try:
            async with gate, asyncio.timeout(timeout_s), open_api(context) as api:
                facts = parse_cluster(names[context], await read_objects(api), place)
                return ReadableCluster(context, facts, await read_fabrics(api))
        except TimeoutError:
            why = f"{context}: {context.server} gave no answer within {timeout_s:g} s"
        except NetprobeError as error:
            why = str(error)
        return UnreadableCluster(context, names[context], place, why)

    return tuple(await asyncio.gather(*(read(context) for context in contexts)))


def find_duplicates(readings: Sequence[Reading]) -> tuple[tuple[str, ...], ...]:
    """Groups of contexts that lead to one and the same cluster."""
    contexts_of: dict[str, list[str]] = {}
    for reading in readings:
        if isinstance(reading, ReadableCluster) and reading.facts.identity:
            contexts_of.setdefault(reading.facts.identity, []).append(reading.context.name)
    return tuple(tuple(names) for names in contexts_of.values() if len(names) > 1)
