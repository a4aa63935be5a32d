"""The report of one snapshot in every format, and the files that ``netprobe report`` writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.console import RenderableType

from netprobe.model.finding import UNMEASURED, Cause, Finding
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, PathState
from netprobe.render.documents.graph_exports import FORMATS as GRAPH_FORMATS
from netprobe.render.documents.graph_exports import export_graph
from netprobe.render.documents.snapshot import Document, report_document
from netprobe.render.figures.registry import FIGURES
from netprobe.render.graph import build_graph
from netprobe.render.labels import (
    MARKS,
    Names,
    count,
    headline,
    severity,
    verdict,
)
from netprobe.render.reachability import Level, MatrixCell, read_matrix
from netprobe.render.reports.formats import REPORT_FORMATS
from netprobe.render.reports.formats.subject import CaseOutcome, ReportCase, ReportProblem
from netprobe.render.reports.pages import fill, picture
from netprobe.render.terminal.overview import group_by_place, report_table
from netprobe.render.terminal.tables import MANY_NODES

_OUTCOMES = {
    PathState.UP: CaseOutcome.PASSED,
    PathState.DEGRADED: CaseOutcome.FAILED,
    PathState.DOWN: CaseOutcome.FAILED,
    PathState.UNKNOWN: CaseOutcome.SKIPPED,
}


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """One snapshot as the subject of a report."""

    snapshot: Snapshot

    @property
    def title(self) -> str:
        """The verdict."""
        return verdict(self.snapshot)

    def table(self) -> RenderableType:
        """Findings first, then what differs."""
        return report_table(self.snapshot)

    def document(self) -> Document:
        """``netprobe/report``."""
        return report_document(self.snapshot)

    def markdown(self, *, pictures: bool = False) -> str:
        """Markdown; with *pictures* it refers to the SVG files in the same directory."""
        return fill("report.md.jinja", **self._context(), pictures=pictures)

    def html(self) -> str:
        """One page for light and dark screens of any width, for print and for screen readers."""
        figures = {name: picture(draw(self.snapshot), name) for name, draw in FIGURES.items()}
        return fill("report.html.jinja", **self._context(), figures=figures)

    def cases(self) -> Iterator[ReportCase]:
        """One per finding, per ordered pair of clusters, and per agent."""
        findings = self.snapshot.findings
        for finding in findings:
            yield ReportCase(
                self._headline(finding),
                "findings",
                CaseOutcome.FAILED,
                str(finding.cause),
                str(finding.summary),
            )
        if not findings:
            yield ReportCase("no open finding", "findings", CaseOutcome.PASSED)
        for (source, target), cell in read_matrix(self.snapshot, level=Level.CLUSTER).cells.items():
            message = "" if cell.state is PathState.UP else _format_cell(cell)
            yield ReportCase(f"{source} → {target}", "paths", _OUTCOMES[cell.state], str(cell.state), message)
        for status in self.snapshot.agents:
            alive = status.state is AgentState.ALIVE
            outcome = CaseOutcome.PASSED if alive else CaseOutcome.SKIPPED
            yield ReportCase(
                str(status.agent), "agents", outcome, message="" if alive else str(status.reason) or "absent"
            )

    def problems(self) -> Iterator[ReportProblem]:
        """One per finding; a finding about an agent only is not proven against the network."""
        for finding in self.snapshot.findings:
            yield ReportProblem(
                rule=str(finding.cause),
                about=f"The network has a fault of the kind {finding.cause}.",
                message=f"{finding.summary} {finding.next_step}".strip(),
                parts=tuple(map(str, finding.components)),
                identity=finding.id,
                is_proven=finding.cause not in UNMEASURED | {Cause.UNKNOWN},
            )

    def _headline(self, finding: Finding) -> str:
        return headline(finding, Names.of(self.snapshot.inventory))

    def _context(self) -> dict[str, object]:
        nodes = sum(len(cluster.nodes) for cluster in self.snapshot.inventory.clusters)
        many = nodes > MANY_NODES
        return {
            "title": self.title,
            "report": self.document(),
            "matrix": read_matrix(self.snapshot, level=Level.CLUSTER if many else Level.NODE),
            "severity": severity(self.snapshot),
            "places": group_by_place(self.snapshot),
            "many": many,
            "nodes": nodes,
            "marks": MARKS,
        }


def _format_cell(cell: MatrixCell) -> str:
    counts = [f"{cell.count(state)} {state}" for state in PathState if cell.count(state)]
    return f"{', '.join(counts)} of {count(cell.paths, 'path')}"


def build_report_files(snapshot: Snapshot, forms: Iterable[str]) -> dict[str, bytes]:
    """Every file of a report directory: the requested reports, the pictures and the graph exports."""
    moment = SnapshotReport(snapshot)
    files = {
        f"report{REPORT_FORMATS[name].suffix}": REPORT_FORMATS[name].write(moment).encode() for name in forms
    }
    if "report.md" in files:
        files["report.md"] = moment.markdown(pictures=True).encode()
    for name, draw in FIGURES.items():
        sheet = draw(snapshot)
        files |= {f"{name}.png": sheet.to_png(), f"{name}.svg": sheet.to_svg().encode()}
    graph = build_graph(snapshot)
    for name, form in GRAPH_FORMATS.items():
        files[f"topology{form.suffix}"] = export_graph(graph, name).encode()
    return files
