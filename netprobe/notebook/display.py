"""How things show themselves in a notebook: findings, pictures, reports, the fleet as a whole.

Rule: every text from outside is escaped; a picture has a text for those who cannot see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, overload

from netprobe.model.finding import UNMEASURED, Finding
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.documents.snapshot import Document
from netprobe.render.figures.canvas import Canvas
from netprobe.render.figures.state_style import STATE_STYLES
from netprobe.render.labels import (
    MARKS,
    Names,
    count,
    headline,
    moment,
    percent,
    severity,
    unmeasured,
    verdict,
)
from netprobe.render.reachability import up_of_all
from netprobe.render.reports.formats import REPORT_FORMATS, format_for_suffix
from netprobe.render.reports.formats.subject import ReportSubject
from netprobe.render.reports.pages import picture
from netprobe.render.terminal.overview import group_by_place
from netprobe.render.terminal.tables import render_text

if TYPE_CHECKING:
    from netprobe.notebook.frames import Frame


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """A drawn sheet; a notebook shows it, ``.save`` writes it."""

    sheet: Canvas
    text: str
    """What it shows, in words."""

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as PNG, or as SVG where *path* ends so."""
        place = Path(path)
        place.write_bytes(self.sheet.to_svg().encode() if place.suffix == ".svg" else self.sheet.to_png())

    def __repr__(self) -> str:
        return f"<Picture: {self.text}>"

    def _repr_html_(self) -> str:
        drawn = picture(self.sheet, f"p{id(self)}")
        return f'<div role="img" aria-label="{escape(self.text)}" style="background:#fff">{drawn}</div>'


@dataclass(frozen=True, slots=True)
class ReportView:
    """A report of any kind; a notebook shows its table, ``.write`` writes any form."""

    subject: ReportSubject

    @property
    def title(self) -> str:
        """The verdict in one sentence."""
        return self.subject.title

    def document(self) -> Document:
        """Plain values, as the published schemas have them."""
        return self.subject.document()

    def markdown(self) -> str:
        """As Markdown."""
        return self.subject.markdown()

    def html(self) -> str:
        """As one whole page."""
        return self.subject.html()

    def write(self, path: str | PathLike[str]) -> None:
        """Write it in the format that the suffix of *path* names (`netprobe.render.reports.formats`)."""
        place = Path(path)
        place.write_text(REPORT_FORMATS[format_for_suffix(place)].write(self.subject))

    @property
    def frame(self) -> Frame:
        """One row per cell of an intent, or per change; a moment's report has no such rows and raises."""
        from netprobe.notebook.frames import frame_of  # noqa: PLC0415 - pandas only for who asks

        return frame_of(self.subject)

    def _repr_markdown_(self) -> str:
        return self.subject.markdown()

    def __str__(self) -> str:
        return render_text(self.subject.table(), width=100)


@dataclass(frozen=True, slots=True, repr=False)
class FindingsView(Sequence[Finding]):
    """Findings in order; a notebook shows each with its evidence."""

    snapshot: Snapshot
    found: tuple[Finding, ...]

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> FindingsView: ...
    def __getitem__(self, index: int | slice) -> Finding | FindingsView:
        """One of them, or some as :class:`FindingsView` again."""
        if isinstance(index, slice):
            return FindingsView(self.snapshot, self.found[index])
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    @property
    def frame(self) -> Frame:
        """One row per finding."""
        from netprobe.notebook.frames import findings_frame  # noqa: PLC0415 - pandas only for who asks

        return findings_frame(self.snapshot, self.found)

    def __repr__(self) -> str:
        names = Names.of(self.snapshot.inventory)
        return f"<Findings: {'; '.join(headline(each, names) for each in self.found) or 'none'}>"

    def _repr_html_(self) -> str:
        names = Names.of(self.snapshot.inventory)
        return "".join(_card(finding, names) for finding in self.found) or "<p>No findings.</p>"


def _card(finding: Finding, names: Names) -> str:
    colour = STATE_STYLES[_severity(finding)].colour
    rows = [("cause", f"{finding.cause}, {percent(finding.confidence)} sure"),
            ("where", ", ".join(map(str, finding.components))),
            ("since", moment(finding.first_seen_ns))]  # fmt: skip
    rows += [("for", str(evidence.text)) for evidence in finding.evidence_for]
    rows += [("against", str(evidence.text)) for evidence in finding.evidence_against]
    rows += [("hits", f"{len(finding.affected)} paths")]
    rows += [("next", str(finding.next_step))] if finding.next_step else []
    table = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(text)}</td></tr>'
        for name, text in rows
    )
    return (
        f'<div style="border-left:5px solid {colour};padding:2px 14px;margin:0 0 14px">'
        f"<strong>{escape(headline(finding, names))}</strong><p>{escape(str(finding.summary))}</p>"
        f"<table>{table}</table></div>"
    )


def _severity(finding: Finding) -> PathState:
    if finding.cause in UNMEASURED:
        return PathState.UNKNOWN
    return PathState.DEGRADED if finding.loss is not None and finding.loss < 0.95 else PathState.DOWN


def show_fleet(snapshot: Snapshot) -> str:
    """The verdict and one row per place."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(place.name)}</th>'
        f"<td>{len(place.clusters)}</td>"
        f'<td style="color:{STATE_STYLES[place.state].ink}">{MARKS[place.state]} {place.state}</td>'
        f"<td>{up_of_all(place.inside)}</td><td>{up_of_all(place.outside)}</td>"
        f"<td>{place.alive}/{place.agents}</td></tr>"
        for place in group_by_place(snapshot)
    )
    heads = ("place", "clusters", "state", "inside clusters", "across clusters", "agents alive")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    missing = f"<p>? Not measured: {escape(unmeasured(snapshot))}.</p>" if unmeasured(snapshot) else ""
    colour = STATE_STYLES[severity(snapshot)].ink
    told = f"{moment(snapshot.taken_ns)}, {count(len(snapshot.paths), 'path')}"
    return (
        f'<div><strong style="color:{colour}">{escape(verdict(snapshot))}</strong><p>{told}</p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{missing}</div>"
    )
