"""What install, status and uninstall share: which clusters, opened, with a name each."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TypeVar

import click

from netprobe.deploy.install.installation import InstallTarget
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.clusters import name_clusters
from netprobe.discovery.k8s.kubeconfig import Context, find_kubeconfigs, read_contexts
from netprobe.errors import InputError

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class SelectedContexts:
    """The contexts that the options name."""

    contexts: tuple[Context, ...]
    hub: Context
    """Where the collector stands."""


def fleet_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command ``--context``, ``--all-contexts``, ``--kubeconfig`` and ``--hub`` as *chosen*."""

    @wraps(command)
    def with_fleet(
        *args: object,
        names: tuple[str, ...],
        all_contexts: bool,
        files: tuple[Path, ...],
        hub: str | None,
        **rest: object,
    ) -> R:
        return command(*args, chosen=choose(names, files, hub, everything=all_contexts), **rest)

    options = (
        click.option("--context", "names", multiple=True, metavar="NAME",
                     help="A context of the kubeconfig; repeat it for several clusters."),
        click.option("--all-contexts", is_flag=True, help="Every context of every file."),
        click.option("--kubeconfig", "files", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
                     help="A kubeconfig file; repeatable. By default $KUBECONFIG, or ~/.kube/config."),
        click.option("--hub", metavar="NAME",
                     help="The context of the cluster where the collector stands; by default the first."),
    )  # fmt: skip
    for option in reversed(options):
        with_fleet = option(with_fleet)
    return with_fleet


def choose(
    names: Sequence[str], files: Sequence[Path], hub: str | None, *, everything: bool
) -> SelectedContexts:
    """Read the kubeconfigs; :class:`InputError` for a context that is not there."""
    if names and everything:
        raise InputError("--context and --all-contexts exclude each other")
    found = tuple(files) or find_kubeconfigs(os.environ, home=Path.home())
    if not found:
        raise InputError("no kubeconfig: give --kubeconfig FILE or set KUBECONFIG")
    known = read_contexts(found)
    contexts = known.choose(names, everything=everything)
    return SelectedContexts(contexts, known.choose([hub])[0] if hub else contexts[0])


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
