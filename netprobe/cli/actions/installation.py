"""What install, status and uninstall share: the selected clusters and the hub, opened, each with its name."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from netprobe.cli.options.clusters import ContextSelection
from netprobe.deploy.install.installation import InstallTarget
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.clusters import name_clusters
from netprobe.discovery.k8s.kubeconfig import Context


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
