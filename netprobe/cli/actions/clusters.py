"""``netprobe clusters``: reads every selected cluster, through a declared forward where there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from netprobe.cli.actions.declared_clusters import run_declared
from netprobe.cli.actions.output import print_view
from netprobe.cli.options.clusters import ContextSelection
from netprobe.discovery.inventory.context_names import read_pattern
from netprobe.discovery.k8s.clusters import UnreadableCluster, read_clusters
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.render.terminal.clusters import clusters_document, clusters_table
from netprobe.workflows.ssh_forwards import Forwards, open_forwards


def run_clusters(
    selection: ContextSelection,
    *,
    name_pattern: str | None,
    timeout_s: float,
    forwards: Path | None,
    form: str,
) -> int:
    """Print every cluster; 0 all could be read, 1 some could not."""
    pattern = read_pattern(name_pattern) if name_pattern else None
    chosen = _route_through_forwards(selection.read(), open_forwards(forwards))
    readings = asyncio.run(read_clusters(chosen, timeout_s=timeout_s, pattern=pattern))
    print_view(form, table=lambda: clusters_table(readings), document=lambda: clusters_document(readings))
    return 1 if any(isinstance(reading, UnreadableCluster) for reading in readings) else 0


def run_declared_clusters(
    selection: ContextSelection,
    sources: Sequence[str],
    *,
    probe: bool,
    timeout_s: float,
    forwards: Path | None,
    form: str,
) -> int:
    """Print the clusters that systems declare behind these contexts; 0 all well, 1 something is not."""
    chosen = _route_through_forwards(selection.read(), open_forwards(forwards))
    return run_declared(chosen, sources, probe=probe, timeout_s=timeout_s, form=form)


def _route_through_forwards(contexts: tuple[Context, ...], forwards: Forwards) -> tuple[Context, ...]:
    """Contexts whose server is declared as a forward go through it."""
    return tuple(replace(context, through=_find_forward(context.server, forwards)) for context in contexts)


def _find_forward(server: str, forwards: Forwards) -> str:
    try:
        parts = urlsplit(server)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return ""  # reading the context reports what is wrong with it
    return forwards.find(parts.hostname or "", port) or ""
