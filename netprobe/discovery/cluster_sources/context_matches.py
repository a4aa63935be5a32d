"""Which contexts of a person lead to the clusters that a system declares.

Rule: a cluster is recognised by its API server, host, port and path, and never by its name: names of contexts
are a person's own, and credentials of a declared cluster are never taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from netprobe.discovery.cluster_sources.api_addresses import read_address
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.model.declared_cluster import DeclaredCluster

_Place = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class ContextMatches:
    """The contexts that lead to declared clusters, each once, and the clusters to which none leads."""

    contexts: tuple[Context, ...] = ()
    unreached: tuple[DeclaredCluster, ...] = ()


def match_contexts(declared: Iterable[DeclaredCluster], contexts: Sequence[Context]) -> ContextMatches:
    """Find a context for each cluster: one of the same name where several lead there, else the first."""
    found: dict[Context, None] = {}
    unreached = []
    for one in declared:
        place = _place_of(one.address.server)
        there = [context for context in contexts if place is not None and _place_of(context.server) == place]
        if there:
            found[next((context for context in there if context.name == one.name), there[0])] = None
        else:
            unreached.append(one)
    return ContextMatches(tuple(found), tuple(unreached))


def _place_of(server: str) -> _Place | None:
    """Host, port and path of a server; None for what is not a URL."""
    url = read_address(server).server
    if not url:
        return None
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), parts.path
