"""``netprobe show``: each view as a table and as a document."""

from __future__ import annotations

from rich.console import RenderableType

from netprobe.cli.actions.output import print_view
from netprobe.cli.options.source import Source
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


def run_show(source: Source, view: str, *, form: str, plane: str | None, level: str | None) -> int:
    """Print the view; 0 nothing broken, 1 something is."""
    snapshot = source.load()
    asked_plane, asked_level = Plane(plane) if plane else None, Level(level) if level else None
    print_view(
        form,
        table=lambda: _tabulate(snapshot, view, asked_plane, asked_level),
        document=lambda: _document(snapshot, view, asked_plane, asked_level),
    )
    return 1 if is_broken(snapshot) else 0


def _tabulate(snapshot: Snapshot, view: str, plane: Plane | None, level: Level | None) -> RenderableType:
    if view == "matrix":
        return matrix_table(snapshot, plane=plane, level=level)
    return TABLES[view](snapshot)


def _document(snapshot: Snapshot, view: str, plane: Plane | None, level: Level | None) -> documents.Document:
    if view == "matrix":
        return documents.matrix_document(snapshot, plane=plane, level=level)
    return DOCUMENTS[view](snapshot)
