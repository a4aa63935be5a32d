"""What verify found: a table of what differs, JUnit, Markdown, and a document for machines."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from netprobe.model.intent import CellVerdict, Judged
from netprobe.render.documents import Document

_STYLES = {
    CellVerdict.LEAK: "bold red",
    CellVerdict.BROKEN: "bold yellow",
    CellVerdict.UNPROVEN: "bright_black",
}
_ORDER = (CellVerdict.LEAK, CellVerdict.BROKEN, CellVerdict.UNPROVEN)
MAX_ROWS = 40


@dataclass(frozen=True, slots=True)
class Row:
    """Cells that differ in the same way, between the same clusters."""

    verdict: CellVerdict
    source: str
    target: str
    reason: str
    doors: tuple[str, ...]
    rules: tuple[str, ...]
    cells: int


def group_judged(judged: Iterable[Judged]) -> tuple[Row, ...]:
    """What differs, by verdict, cluster pair and reason; leaks and the largest first."""
    groups: dict[tuple[CellVerdict, str, str, str], list[Judged]] = defaultdict(list)
    for one in judged:
        if one.verdict is not CellVerdict.AS_INTENDED:
            target = one.cell.target.split("/")[0]
            groups[one.verdict, one.cell.source.cluster, target, one.reason].append(one)
    rows = [
        Row(
            verdict,
            _common(source, [str(one.cell.source) for one in members]),
            _common(target, [one.cell.target for one in members]),
            reason,
            tuple(str(door) for door in sorted({one.cell.door for one in members})),
            tuple(dict.fromkeys(one.cell.rule for one in members)),
            len(members),
        )
        for (verdict, source, target, reason), members in groups.items()
    ]
    return tuple(
        sorted(rows, key=lambda row: (_ORDER.index(row.verdict), -row.cells, row.source, row.target))
    )


def _common(cluster: str, names: list[str]) -> str:
    return names[0] if len(set(names)) == 1 else cluster


def summary(judged: Sequence[Judged]) -> str:
    """One line of counts."""
    counts = Counter(one.verdict for one in judged)
    return ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in CellVerdict)


def verify_table(judged: Sequence[Judged]) -> RenderableType:
    """Only what differs, in groups, at most ``MAX_ROWS`` of them."""
    rows = group_judged(judged)
    if not rows:
        return Text(f"As intended: all {len(judged):,} cells.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for name in ("verdict", "cells", "what"):
        table.add_column(name, overflow="fold", justify="right" if name == "cells" else "left")
    for row in rows[:MAX_ROWS]:
        what = f"{row.source} → {row.target}: {_few(row.doors)}\n{row.reason}\n(rule {_few(row.rules)})"
        table.add_row(Text(row.verdict, style=_STYLES[row.verdict]), f"{row.cells:,}", what)
    rest = len(rows) - MAX_ROWS
    more = [Text(f"… and {rest} more groups; -o json shows all.")] if rest > 0 else []
    return Group(table, *more, Text(f"{len(judged):,} cells: {summary(judged)}."))


def _few(texts: tuple[str, ...]) -> str:
    return ", ".join(texts[:4]) + (f" +{len(texts) - 4}" if len(texts) > 4 else "")


def verify_markdown(judged: Sequence[Judged]) -> str:
    """The same as Markdown."""
    lines = [f"**{len(judged):,} cells**: {summary(judged)}.", ""]
    rows = group_judged(judged)
    if rows:
        lines += ["| verdict | from | to | doors | cells | why | rule |", "|---|---|---|---|---:|---|---|"]
    for row in rows:
        fields = (
            row.verdict,
            row.source,
            row.target,
            _few(row.doors),
            str(row.cells),
            row.reason,
            _few(row.rules),
        )
        lines.append("| " + " | ".join(field.replace("|", "\\|") for field in fields) + " |")
    return "\n".join(lines) + "\n"


def verify_document(judged: Sequence[Judged]) -> Document:
    """Everything, for machines."""
    counts = Counter(one.verdict for one in judged)
    return {
        "schema": "netprobe/verify",
        "version": 1,
        "counts": {str(verdict): counts[verdict] for verdict in CellVerdict},
        "cells": [
            {
                "source": str(one.cell.source), "target": one.cell.target, "address": one.cell.address,
                "door": str(one.cell.door), "expected": str(one.cell.expected), "rule": one.cell.rule,
                "verdict": str(one.verdict), "reason": one.reason, "at": one.at or None,
            }
            for one in judged
        ],
    }  # fmt: skip


def verify_junit(judged: Sequence[Judged]) -> str:
    """JUnit: one test case per cell; leaks and broken cells fail, unproven ones are skipped."""
    counts = Counter(one.verdict for one in judged)
    failures = counts[CellVerdict.LEAK] + counts[CellVerdict.BROKEN]
    figures = {"tests": str(len(judged)), "failures": str(failures), "errors": "0",
               "skipped": str(counts[CellVerdict.UNPROVEN])}  # fmt: skip
    root = ET.Element("testsuites", figures)
    suite = ET.SubElement(root, "testsuite", {"name": "netprobe verify", **figures})
    for one in judged:
        cell = one.cell
        name = f"{cell.source} → {cell.target} ({cell.address}) {cell.door} {cell.expected}"
        case = ET.SubElement(suite, "testcase", {"name": name, "classname": cell.rule})
        if one.verdict is CellVerdict.UNPROVEN:
            ET.SubElement(case, "skipped", {"message": one.reason})
        elif one.verdict is not CellVerdict.AS_INTENDED:
            ET.SubElement(case, "failure", {"type": str(one.verdict), "message": one.reason})
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
