"""What install, status and uninstall share: the selected clusters and the hub, opened, each with its name."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from netprobe.cli.options.clusters import ContextSelection
from netprobe.deploy.install.installation import InstallTarget
from netprobe.discovery.cluster_sources.context_matches import match_contexts
from netprobe.discovery.cluster_sources.registry import SOURCES
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.clusters import name_clusters
from netprobe.discovery.k8s.declared_clusters import read_sources
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.errors import InputError, SystemRefusedError

_READ_S = 20.0
"""How long one system may take to be read."""
_NAMED = 5


@dataclass(frozen=True, slots=True)
class SelectedContexts:
    """The contexts that the options name."""

    contexts: tuple[Context, ...]
    hub: Context
    """Where the collector runs."""


def read_selection(selection: ContextSelection, hub: str | None) -> SelectedContexts:
    """Read the kubeconfigs; :class:`InputError` for a context that does not exist."""
    contexts = selection.read()
    return SelectedContexts(contexts, selection.read_one(hub) if hub else contexts[0])


def read_declared_selection(
    selection: ContextSelection, hub: str | None, sources: Sequence[str]
) -> SelectedContexts:
    """The contexts that lead to the clusters which *sources* know behind the selected contexts.

    :class:`InputError` where a cluster has no context, and where no cluster is known at all;
    :class:`SystemRefusedError` where a system cannot be read. Nothing was changed then.
    """
    places = selection.read()
    chosen = [source for source in SOURCES if source.name in sources]
    readings = asyncio.run(read_sources(places, chosen, timeout_s=_READ_S))
    for reading in readings:
        if reading.why:
            raise SystemRefusedError(reading.why)
    declared = [one for reading in readings for one in reading.declared.clusters]
    found = match_contexts(declared, selection.read_all())
    if found.unreached:
        missing = ", ".join(
            f"{one.name} ({one.address.server or one.address.problem})" for one in found.unreached[:_NAMED]
        )
        more = len(found.unreached) - _NAMED
        told = f"{missing} and {more} more" if more > 0 else missing
        raise InputError(f"no context of your kubeconfig leads to {told}: add one for each", where="--from")
    if not found.contexts:
        problems = "; ".join(str(one) for reading in readings for one in reading.declared.unread)
        raise InputError(f"no cluster is known there{f': {problems}' if problems else ''}", where="--from")
    return SelectedContexts(found.contexts, selection.read_one(hub) if hub else places[0])


@asynccontextmanager
async def open_targets(
    contexts: Sequence[Context], servers: dict[str, str]
) -> AsyncIterator[list[InstallTarget]]:
    """Every cluster, named; *servers* says by context where the hub reaches an API, if not as we do."""
    names = name_clusters(contexts)
    async with AsyncExitStack() as stack:
        targets = []
        for context in contexts:
            api = await stack.enter_async_context(open_api(context))
            authority = base64.b64encode(api.read_authority()).decode()
            server = servers.get(context.name, api.server)
            targets.append(InstallTarget(api, names[context], server, authority))
        yield targets
