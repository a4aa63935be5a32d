"""Comparison of two snapshots as the subject of a report: equal changes grouped, the worst first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from rich.console import Group, RenderableType
from rich.table import Table

from netprobe.analysis.queries.comparison import Change, ChangeKind, Comparison
from netprobe.model.status import PathState
from netprobe.render.documents.snapshot import Document
from netprobe.render.labels import (
    count,
    duration,
    headline,
    moment,
)
from netprobe.render.reports.formats.subject import CaseOutcome, ReportCase, ReportProblem
from netprobe.render.reports.pages import fill, markdown_text, table_cell
from netprobe.render.terminal.console import Text
from netprobe.render.terminal.tables import new_table

MAX_ROWS = 40
_STYLES = {
    ChangeKind.BROKEN: "bold red",
    ChangeKind.LEAK: "bold red",
    ChangeKind.DEGRADED: "yellow",
    ChangeKind.SLOWER: "yellow",
    ChangeKind.UNMEASURED: "bright_black",
    ChangeKind.REPAIRED: "cyan",
    ChangeKind.CLOSED: "cyan",
}
_CSS_CLASSES = {
    ChangeKind.BROKEN: "down",
    ChangeKind.LEAK: "down",
    ChangeKind.DEGRADED: "degraded",
    ChangeKind.SLOWER: "degraded",
    ChangeKind.UNMEASURED: "unknown",
    ChangeKind.REPAIRED: "up",
    ChangeKind.CLOSED: "up",
}
"""CSS class of each change on the page."""
_ABOUT = {
    ChangeKind.BROKEN: "Something that worked before does not work now.",
    ChangeKind.LEAK: "Something that must not be reachable can now be reached.",
    ChangeKind.DEGRADED: "Something that lost no packets before loses packets now.",
    ChangeKind.SLOWER: "Something answers much more slowly than before.",
    ChangeKind.UNMEASURED: "Something that was measured before is not measured now.",
    ChangeKind.REPAIRED: "Something works that did not.",
    ChangeKind.CLOSED: "Something that must not be reachable can no longer be reached.",
}


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """Changes of one kind between the same two clusters."""

    kind: ChangeKind
    source: str
    target: str
    paths: int
    ports: tuple[str, ...]
    detail: str
    """State before and after."""


def group_changes(comparison: Comparison) -> tuple[ComparisonRow, ...]:
    """Changes grouped by kind and cluster pair: the worst first, then the largest."""
    groups: dict[tuple[ChangeKind, str, str], list[Change]] = defaultdict(list)
    for change in comparison.changes:
        ends = change.source.partition("/")[0], change.target.partition("/")[0]
        groups[change.kind, *ends].append(change)
    rows = [
        ComparisonRow(
            kind,
            _common(source, [change.source for change in members]),
            _common(target, [change.target for change in members]),
            len(members),
            tuple(sorted({change.door for change in members})),
            _detail(kind, members),
        )
        for (kind, source, target), members in groups.items()
    ]
    order = list(ChangeKind)
    return tuple(sorted(rows, key=lambda row: (order.index(row.kind), -row.paths, row.source, row.target)))


def _common(cluster: str, names: list[str]) -> str:
    return names[0] if len(set(names)) == 1 else cluster


def _detail(kind: ChangeKind, members: list[Change]) -> str:
    if kind is ChangeKind.SLOWER:
        was, now = (
            median(rtt for rtt in rtts if rtt is not None)
            for rtts in (
                [change.rtt_before_ns for change in members],
                [change.rtt_after_ns for change in members],
            )
        )
        return f"{duration(was)} → {duration(now)}"
    befores = Counter(change.before for change in members)
    afters = Counter(change.after for change in members)
    return f"{' or '.join(befores)} → {' or '.join(afters)}"


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """A comparison, and the kinds of change that are not allowed, as the subject of a report."""

    comparison: Comparison
    fail_on: frozenset[ChangeKind] = frozenset((ChangeKind.BROKEN, ChangeKind.LEAK))

    @property
    def is_refused(self) -> bool:
        """Whether there is a change of a kind in *fail_on*."""
        return any(change.kind in self.fail_on for change in self.comparison.changes)

    @property
    def title(self) -> str:
        """Whether it became worse, and the number of changes of each kind."""
        counts = Counter(change.kind for change in self.comparison.changes)
        counted = [f"{counts[kind]:,} {kind}" for kind in ChangeKind if counts[kind]]
        compared = f"{count(self.comparison.compared, 'path')} compared"
        if not counted:
            return f"no difference: {compared}"
        if self.is_refused:
            return f"worse than allowed: {', '.join(counted)}; {compared}"
        return f"{', '.join(counted)}; {compared}"

    @property
    def severity(self) -> PathState:
        """The state that colours the title."""
        if self.is_refused:
            return PathState.DOWN
        is_worse = any(change.kind.is_worse for change in self.comparison.changes)
        return PathState.DEGRADED if is_worse else PathState.UP

    def table(self) -> RenderableType:
        """Grouped changes, then findings that began or ended."""
        style = {PathState.DOWN: "bold red", PathState.DEGRADED: "bold yellow"}.get(self.severity, "bold")
        blocks: list[RenderableType] = [Text(self.title, style=style)]
        if self.when:
            blocks.append(Text(self.when, style="bright_black"))
        rows = group_changes(self.comparison)
        if rows:
            blocks += [Text(""), _table(rows[:MAX_ROWS])]
        if len(rows) > MAX_ROWS:
            blocks.append(Text(f"… and {len(rows) - MAX_ROWS} more groups; -o json shows all."))
        for title, headlines in self._findings():
            blocks += [Text(""), Text(title, style="bold"), *(Text(f"  {line}") for line in headlines)]
        if self.unlike:
            blocks += [Text(""), Text(self.unlike, style="bright_black")]
        return Group(*blocks)

    @property
    def when(self) -> str:
        """The two times; empty if they are not known."""
        before, after = self.comparison.before_ns, self.comparison.after_ns
        if before is None or after is None:
            return ""
        apart = f", {duration(abs(after - before))} apart" if after != before else ""
        return f"{moment(before)} → {moment(after)}{apart}"

    @property
    def unlike(self) -> str:
        """Paths that only one of the snapshots has; empty if both have the same."""
        gone, new = self.comparison.gone, self.comparison.new
        counted = [f"{count(gone, 'path')} only in the first"] if gone else []
        counted += [f"{count(new, 'path')} only in the second"] if new else []
        return f"? not compared: {', '.join(counted)}" if counted else ""

    def _findings(self) -> Iterator[tuple[str, list[str]]]:
        for title, findings in (
            ("New findings", self.comparison.begun),
            ("Ended findings", self.comparison.ended),
        ):
            if findings:
                yield title, [headline(finding) for finding in findings]

    def document(self) -> Document:
        """``netprobe/diff``: every change."""
        comparison = self.comparison
        counts = Counter(change.kind for change in comparison.changes)
        return {
            "schema": "netprobe/diff",
            "version": 1,
            "verdict": self.title,
            "refused": self.is_refused,
            "fail_on": sorted(map(str, self.fail_on)),
            "before_ns": comparison.before_ns,
            "after_ns": comparison.after_ns,
            "compared": comparison.compared,
            "gone": comparison.gone,
            "new": comparison.new,
            "counts": {str(kind): counts[kind] for kind in ChangeKind},
            "changes": [
                {
                    "kind": str(change.kind), "source": change.source, "target": change.target,
                    "door": change.door, "before": change.before, "after": change.after,
                    "rtt_before_ns": change.rtt_before_ns, "rtt_after_ns": change.rtt_after_ns,
                }
                for change in comparison.changes
            ],
            "findings_begun": [finding.id for finding in comparison.begun],
            "findings_ended": [finding.id for finding in comparison.ended],
        }  # fmt: skip

    def markdown(self) -> str:
        """The same as the table."""
        lines = [f"# {self.title}", ""] + ([self.when, ""] if self.when else [])
        rows = group_changes(self.comparison)
        if rows:
            lines += ["| change | from | to | ports | paths | before → after |", "|---|---|---|---|---:|---|"]
        for row in rows:
            fields = (row.kind, row.source, row.target, ", ".join(row.ports), row.paths, row.detail)
            lines.append("| " + " | ".join(map(table_cell, fields)) + " |")
        for title, headlines in self._findings():
            lines += ["", f"## {title}", "", *(f"- {markdown_text(line)}" for line in headlines)]
        return "\n".join([*lines, *(["", self.unlike] if self.unlike else [])]) + "\n"

    def html(self) -> str:
        """The same as a page."""
        counts = Counter(change.kind for change in self.comparison.changes)
        return fill(
            "diff.html.jinja",
            title=self.title,
            severity=self.severity,
            subject=self,
            counts=[(kind, counts[kind], _CSS_CLASSES[kind]) for kind in ChangeKind if counts[kind]],
            rows=group_changes(self.comparison),
            css_classes=_CSS_CLASSES,
            about=_ABOUT,
            findings=list(self._findings()),
        )

    def cases(self) -> Iterator[ReportCase]:
        """One per group of changes; a group fails if its kind is in *fail_on*."""
        rows = group_changes(self.comparison)
        for row in rows:
            outcome = CaseOutcome.FAILED if row.kind in self.fail_on else CaseOutcome.PASSED
            name = f"{row.source} → {row.target}: {row.kind}"
            yield ReportCase(
                name, "changes", outcome, str(row.kind), f"{count(row.paths, 'path')}: {row.detail}"
            )
        if not rows:
            yield ReportCase("nothing differs", "changes", CaseOutcome.PASSED)

    def problems(self) -> Iterator[ReportProblem]:
        """One per group of changes for the worse; an unmeasured path is not proven to be a problem."""
        for row in group_changes(self.comparison):
            if row.kind.is_worse:
                message = f"{row.source} → {row.target}: {count(row.paths, 'path')} {row.kind}: {row.detail}"
                yield ReportProblem(
                    rule=str(row.kind),
                    about=_ABOUT[row.kind],
                    message=message,
                    parts=(row.source, row.target),
                    identity=f"{row.source}\0{row.target}",
                    is_proven=row.kind is not ChangeKind.UNMEASURED,
                )


def _table(rows: tuple[ComparisonRow, ...]) -> Table:
    table = new_table("CHANGE", "PATHS", "FROM → TO", right=("PATHS",), grow="FROM → TO")
    for row in rows:
        kind = Text(row.kind, style=_STYLES[row.kind])
        what = Text.assemble(f"{row.source} → {row.target}", "\n", (row.detail, "bright_black"))
        table.add_row(kind, f"{row.paths:,}", what)
    return table
