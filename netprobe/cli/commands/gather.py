"""``netprobe gather``: one archive to attach to a bug report.

Exit codes: 0 everything was gathered, 1 some of it could not be (each is named), 2 nothing was written.
"""

from __future__ import annotations

from pathlib import Path

import click

from netprobe.cli.options.clusters import ContextSelection, context_options
from netprobe.cli.options.source import Source, source_options


@click.command()
@source_options
@context_options
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", required=True,
              help="Where the archive goes: a name that ends with .tar.gz.")  # fmt: skip
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=20.0, show_default=True,
              metavar="SECONDS", help="How long one cluster may take.")  # fmt: skip
@click.pass_context
def gather(
    context: click.Context, *, source: Source, selection: ContextSelection, output: Path, timeout_s: float
) -> None:
    """Write an archive for a bug report: evidence, fabric objects, versions.

    Evidence comes from a lab, a collector or a saved bundle. With --context or --all-contexts, what these
    clusters are and the objects of their fabrics are in it too, with no Secret. Names of clusters and
    nodes, and their addresses, are in it: look at it before you attach it.
    """
    from netprobe.cli.actions.gather import run_gather

    context.exit(run_gather(source, selection, output, timeout_s=timeout_s))
