"""``netprobe clusters``: which clusters the kubeconfig leads to, and what they are.

Exit codes: 0 all could be read, 1 some could not, 2 the question was wrong.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import click

from netprobe.cli.options.output import form_option, print_view
from netprobe.discovery.inventory.context_names import read_pattern
from netprobe.discovery.k8s.clusters import UnreadableCluster, read_clusters
from netprobe.discovery.k8s.kubeconfig import Context, find_kubeconfigs, read_contexts
from netprobe.errors import InputError
from netprobe.render.terminal.clusters import clusters_document, clusters_table
from netprobe.workflows.ssh_forwards import Forwards, forwards_option, open_forwards


@click.command()
@click.option("--context", "names", multiple=True, metavar="NAME", help="A context; repeat it for several.")
@click.option("--all-contexts", is_flag=True, help="Every context of every file.")
@click.option("--kubeconfig", "files", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
              help="A kubeconfig file; repeatable. By default $KUBECONFIG, or ~/.kube/config.")  # fmt: skip
@click.option("--name-pattern", metavar="REGEX", envvar="NETPROBE_NAME_PATTERN", show_envvar=True,
              help="How names are read here: groups environment, region, ordinal.")  # fmt: skip
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=20.0, show_default=True,
              metavar="SECONDS", help="How long one cluster may take.")  # fmt: skip
@forwards_option
@form_option
@click.pass_context
def clusters(
    context: click.Context,
    *,
    names: tuple[str, ...],
    all_contexts: bool,
    files: tuple[Path, ...],
    name_pattern: str | None,
    timeout_s: float,
    forwards: Path | None,
    form: str,
) -> None:
    """List clusters: version, reachability, address ranges, nodes, agents, multi-cluster system.

    Only reads, and only from the API server. Exit code 1 if a cluster cannot be read.
    """
    if names and all_contexts:
        raise InputError("--context and --all-contexts exclude each other")
    pattern = read_pattern(name_pattern) if name_pattern else None
    found = files or find_kubeconfigs(os.environ, home=Path.home())
    if not found:
        raise InputError("no kubeconfig: give --kubeconfig FILE or set KUBECONFIG")
    chosen = _lead(read_contexts(found).choose(names, everything=all_contexts), open_forwards(forwards))
    readings = asyncio.run(read_clusters(chosen, timeout_s=timeout_s, pattern=pattern))
    print_view(form, table=lambda: clusters_table(readings), document=lambda: clusters_document(readings))
    context.exit(1 if any(isinstance(reading, UnreadableCluster) for reading in readings) else 0)


def _lead(contexts: tuple[Context, ...], forwards: Forwards) -> tuple[Context, ...]:
    """Contexts whose server is declared as a forward go through it."""
    return tuple(replace(context, through=_way(context.server, forwards)) for context in contexts)


def _way(server: str, forwards: Forwards) -> str:
    try:
        parts = urlsplit(server)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return ""  # whoever reads the context says what is wrong with it
    return forwards.find(parts.hostname or "", port) or ""
