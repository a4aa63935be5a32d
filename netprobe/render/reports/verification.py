"""Result of a verification as the subject of a report: only cells that differ, in readable groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from netprobe.model.intent import CellResult, CellVerdict
from netprobe.model.status import PathState
from netprobe.render.documents.snapshot import Document
from netprobe.render.labels import count, one_line
from netprobe.render.reports.formats.subject import CaseOutcome, ReportCase, ReportProblem
from netprobe.render.reports.pages import fill, table_cell
from netprobe.render.reports.verification_rows import (
    ORDER,
    fold_rows,
    group_judged,
    read_grid,
)
from netprobe.render.terminal.console import Text

_STYLES = {
    CellVerdict.LEAK: "bold red",
    CellVerdict.BROKEN: "bold yellow",
    CellVerdict.UNPROVEN: "bright_black",
}
_OUTCOMES = {
    CellVerdict.AS_INTENDED: CaseOutcome.PASSED,
    CellVerdict.BROKEN: CaseOutcome.FAILED,
    CellVerdict.LEAK: CaseOutcome.FAILED,
    CellVerdict.UNPROVEN: CaseOutcome.SKIPPED,
}
_ABOUT = {
    CellVerdict.LEAK: "Something can be reached that the intent forbids.",
    CellVerdict.BROKEN: "Something cannot be reached that the intent requires.",
    CellVerdict.UNPROVEN: "It could not be decided whether this is as intended.",
}
MAX_ROWS = 40


def summary(judged: Sequence[CellResult]) -> str:
    """One line of counts."""
    counts = Counter(result.verdict for result in judged)
    return ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in CellVerdict)


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """The cells of a verification, as the subject of a report."""

    judged: tuple[CellResult, ...]
    places: Mapping[str, str] = field(default_factory=dict)
    """Position of each rule by its name: ``file:line:column``."""

    @property
    def title(self) -> str:
        """The number of cells with each verdict."""
        cells = count(len(self.judged), "cell")
        if all(result.verdict is CellVerdict.AS_INTENDED for result in self.judged):
            return f"As intended: all {cells}"
        counts = Counter(result.verdict for result in self.judged)
        counted = [f"{counts[verdict]:,} {_plural(verdict, counts[verdict])}" for verdict in ORDER
                if counts[verdict]]  # fmt: skip
        return f"{', '.join(counted)} of {cells}"

    @property
    def severity(self) -> PathState:
        """The state that colours the title."""
        verdicts = {result.verdict for result in self.judged}
        if verdicts & {CellVerdict.LEAK, CellVerdict.BROKEN}:
            return PathState.DOWN
        return PathState.UNKNOWN if CellVerdict.UNPROVEN in verdicts else PathState.UP

    def table(self) -> RenderableType:
        """Cells that differ, in at most ``MAX_ROWS`` groups."""
        return verify_table(self.judged)

    def document(self) -> Document:
        """``netprobe/verify``: every cell."""
        return verify_document(self.judged)

    def markdown(self) -> str:
        """Cells that differ, as a table."""
        return verify_markdown(self.judged)

    def html(self) -> str:
        """Cells that differ, and a grid of all cluster pairs if there are few enough."""
        counts = Counter(result.verdict for result in self.judged)
        return fill(
            "verify.html.jinja",
            title=self.title,
            severity=self.severity,
            cells=len(self.judged),
            counts=[(verdict, counts[verdict], _CSS_CLASSES[verdict]) for verdict in CellVerdict],
            css_classes=_CSS_CLASSES,
            rows=fold_rows(group_judged(self.judged)),
            grid=read_grid(self.judged),
            places=self.places,
        )

    def cases(self) -> Iterator[ReportCase]:
        """One per cell, grouped by its rule."""
        for result in self.judged:
            cell = result.cell
            name = f"{cell.source} → {cell.target} ({cell.address}) {cell.door} {cell.expected}"
            yield ReportCase(
                name, cell.rule, _OUTCOMES[result.verdict], str(result.verdict), str(result.reason)
            )

    def problems(self) -> Iterator[ReportProblem]:
        """One per row: a leak from one cluster to another is one problem, no matter how many cells it has."""
        for row in group_judged(self.judged):
            yield ReportProblem(
                rule=str(row.verdict),
                about=_ABOUT[row.verdict],
                message=f"{row.source} → {row.target}: {_few(row.ports)}: {row.reason} "
                f"({count(row.cells, 'cell')}; rule {_few(row.rules)})",
                parts=(row.source, row.target),
                identity="\0".join((row.source, row.target, *row.ports, *row.rules)),
                is_proven=row.verdict is not CellVerdict.UNPROVEN,
                place=next((self.places[rule] for rule in row.rules if rule in self.places), ""),
            )


_CSS_CLASSES = {
    CellVerdict.AS_INTENDED: "up",
    CellVerdict.BROKEN: "degraded",
    CellVerdict.LEAK: "down",
    CellVerdict.UNPROVEN: "unknown",
}
"""CSS class of each verdict on the page."""


def _plural(verdict: CellVerdict, number: int) -> str:
    return f"{verdict}s" if verdict is CellVerdict.LEAK and number != 1 else str(verdict)


def verify_table(judged: Sequence[CellResult]) -> RenderableType:
    """Cells that differ, in at most ``MAX_ROWS`` groups."""
    rows = fold_rows(group_judged(judged))
    if not rows:
        return Text(f"As intended: all {len(judged):,} cells.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for name in ("verdict", "cells", "what"):
        table.add_column(name, overflow="fold", justify="right" if name == "cells" else "left")
    for row in rows[:MAX_ROWS]:
        what = f"{row.source} → {row.target}: {_few(row.ports)}"
        what += f"\n{one_line(row.reason)}\n(rule {_few(row.rules)})"
        table.add_row(Text(row.verdict, style=_STYLES[row.verdict]), f"{row.cells:,}", what)
    rest = len(rows) - MAX_ROWS
    more = [Text(f"… and {rest} more groups; -o json shows all.")] if rest > 0 else []
    title = Text(VerificationReport(tuple(judged)).title, style="bold")
    return Group(title, Text(""), table, *more, Text(f"{len(judged):,} cells: {summary(judged)}."))


def _few(texts: tuple[str, ...]) -> str:
    return ", ".join(texts[:4]) + (f" +{len(texts) - 4}" if len(texts) > 4 else "")


def verify_markdown(judged: Sequence[CellResult]) -> str:
    """The same as Markdown."""
    lines = [f"# {VerificationReport(tuple(judged)).title}", "", f"{summary(judged)}.", ""]
    rows = fold_rows(group_judged(judged))
    if rows:
        lines += ["| verdict | from | to | ports | cells | why | rule |", "|---|---|---|---|---:|---|---|"]
    for row in rows:
        fields = (
            row.verdict,
            row.source,
            row.target,
            _few(row.ports),
            str(row.cells),
            row.reason,
            _few(row.rules),
        )
        lines.append("| " + " | ".join(map(table_cell, fields)) + " |")
    return "\n".join(lines) + "\n"


def verify_document(judged: Sequence[CellResult]) -> Document:
    """Every cell, for machines."""
    counts = Counter(result.verdict for result in judged)
    return {
        "schema": "netprobe/verify",
        "version": 1,
        "counts": {str(verdict): counts[verdict] for verdict in CellVerdict},
        "cells": [
            {
                "source": str(result.cell.source), "target": result.cell.target,
                "address": result.cell.address, "door": str(result.cell.door),
                "expected": str(result.cell.expected), "rule": result.cell.rule,
                "verdict": str(result.verdict), "cause": str(result.cause), "reason": str(result.reason),
                "at": result.at or None, "between": list(result.between),
            }
            for result in judged
        ],
    }  # fmt: skip
