"""``netprobe show``: one view of the snapshot, as a table for people or a document for machines.

Exit codes: 0 nothing broken, 1 something is, 2 the question could not be asked.
"""

from __future__ import annotations

import click
from rich.console import RenderableType

from netprobe.cli.options.output import form_option, print_view
from netprobe.cli.options.source import Source, source_options
from netprobe.model.names import Plane
from netprobe.model.snapshot import Snapshot
from netprobe.render.documents import snapshot as documents
from netprobe.render.labels import is_broken
from netprobe.render.reachability import Level
from netprobe.render.terminal import tables
from netprobe.render.terminal.matrix import matrix_table
from netprobe.render.terminal.weak_points import weak_points_document, weak_points_table

TABLES = {
    "topology": tables.topology_table,
    "agents": tables.agents_table,
    "coverage": tables.coverage_table,
    "findings": tables.findings_table,
    "weak-points": weak_points_table,
}
DOCUMENTS = {
    "topology": documents.topology_document,
    "agents": documents.agents_document,
    "coverage": documents.coverage_document,
    "findings": documents.findings_document,
    "weak-points": weak_points_document,
}
VIEWS = ("topology", "matrix", "agents", "coverage", "findings", "weak-points")


@click.command()
@click.argument("view", type=click.Choice(VIEWS), default="topology")
@source_options
@form_option
@click.option("--plane", type=click.Choice(tuple(plane.value for plane in Plane)),
              help="matrix: only what this plane's agents asked.")  # fmt: skip
@click.option("--by", "level", type=click.Choice(tuple(level.value for level in Level)),
              help="matrix: rows are nodes or clusters; by default what fits.")  # fmt: skip
@click.pass_context
def show(
    context: click.Context,
    view: str,
    *,
    form: str,
    plane: str | None,
    level: str | None,
    source: Source,
) -> None:
    """Show the topology, the reachability matrix, the agents, the coverage, the findings or weak points.

    Live from a lab or a collector, or from a saved evidence bundle. Exit code 1 if something is broken.
    """
    snapshot = source.load()
    asked_plane, asked_level = Plane(plane) if plane else None, Level(level) if level else None
    print_view(
        form,
        table=lambda: _tabulate(snapshot, view, asked_plane, asked_level),
        document=lambda: _document(snapshot, view, asked_plane, asked_level),
    )
    context.exit(1 if is_broken(snapshot) else 0)


def _tabulate(snapshot: Snapshot, view: str, plane: Plane | None, level: Level | None) -> RenderableType:
    if view == "matrix":
        return matrix_table(snapshot, plane=plane, level=level)
    return TABLES[view](snapshot)


def _document(snapshot: Snapshot, view: str, plane: Plane | None, level: Level | None) -> documents.Document:
    if view == "matrix":
        return documents.matrix_document(snapshot, plane=plane, level=level)
    return DOCUMENTS[view](snapshot)
