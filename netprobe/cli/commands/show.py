"""``netprobe show``: one view of the snapshot, as a table for people or a document for machines.

Exit codes: 0 nothing broken, 1 something is, 2 the snapshot could not be loaded.
"""

from __future__ import annotations

from collections.abc import Iterable

import click

from netprobe.cli.options.output import form_option
from netprobe.cli.options.registry import RegistryChoice
from netprobe.cli.options.source import Source, source_options

VIEWS = ("topology", "matrix", "agents", "coverage", "findings", "weak-points")


def _planes() -> Iterable[str]:
    from netprobe.model.names import Plane

    return Plane


def _levels() -> Iterable[str]:
    from netprobe.render.reachability import Level

    return Level


@click.command()
@click.argument("view", type=click.Choice(VIEWS), default="topology")
@source_options
@form_option
@click.option("--plane", type=RegistryChoice(_planes), help="matrix: only checks of this plane's agents.")
@click.option("--by", "level", type=RegistryChoice(_levels),
              help="matrix: rows are nodes or clusters. Default: what fits.")  # fmt: skip
@click.pass_context
def show(
    context: click.Context, view: str, *, form: str, plane: str | None, level: str | None, source: Source
) -> None:
    """Show the topology, the reachability matrix, the agents, the coverage, the findings or weak points.

    Live from a lab or a collector, or from a saved evidence bundle. Exit code 1 if something is broken.
    """
    from netprobe.cli.actions.show import run_show

    context.exit(run_show(source, view, form=form, plane=plane, level=level))
