"""Reports: one snapshot as Markdown, as one self-contained HTML page, or as JSON.

Rule: a report needs nothing but itself: the HTML has its pictures inside and asks no other host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import jinja2
import msgspec
from markupsafe import Markup

from netprobe import __version__
from netprobe.model.snapshot import Snapshot
from netprobe.render.documents import report_document
from netprobe.render.exports import FORMATS as GRAPH_FORMATS
from netprobe.render.exports import export_graph
from netprobe.render.figures import FIGURES
from netprobe.render.graph import build_graph
from netprobe.render.reach import Level, read_matrix
from netprobe.render.tables import MANY_NODES
from netprobe.render.words import MARKS, duration, moment, percent, severity


@dataclass(frozen=True, slots=True)
class ReportFormat:
    """A way to write a report down."""

    suffix: str
    write: Callable[[Snapshot], str]


def to_markdown(snapshot: Snapshot, *, pictures: bool = False) -> str:
    """Markdown for a ticket or a wiki; with *pictures* it shows the SVG files that lie beside it."""
    return _environment().get_template("report.md.jinja").render(**_context(snapshot), pictures=pictures)


def to_html(snapshot: Snapshot) -> str:
    """One HTML page with everything inside; reads well in light, dark and on paper."""
    # Safe as it is: texts are outlines, and matplotlib escapes what little text an SVG of its making has.
    figures = {name: Markup(inline_svg(draw(snapshot).to_svg(), name)) for name, draw in FIGURES.items()}  # noqa: S704
    return _environment().get_template("report.html.jinja").render(**_context(snapshot), figures=figures)


def to_json(snapshot: Snapshot) -> str:
    """The shape that :mod:`netprobe.render.documents` describes."""
    raw = msgspec.json.encode(report_document(snapshot))
    return msgspec.json.format(raw, indent=2).decode() + "\n"


FORMATS: Mapping[str, ReportFormat] = {
    "markdown": ReportFormat(".md", to_markdown),
    "html": ReportFormat(".html", to_html),
    "json": ReportFormat(".json", to_json),
}
"""Every report format by name: adding one is a function and a line."""


def build_report_files(snapshot: Snapshot, formats: Iterable[str]) -> dict[str, bytes]:
    """Every file of a report directory: the reports asked for, the pictures, and the graph exports."""
    files = {f"report{FORMATS[name].suffix}": FORMATS[name].write(snapshot).encode() for name in formats}
    if "report.md" in files:
        files["report.md"] = to_markdown(snapshot, pictures=True).encode()
    for name, draw in FIGURES.items():
        sheet = draw(snapshot)
        files |= {f"{name}.png": sheet.to_png(), f"{name}.svg": sheet.to_svg().encode()}
    graph = build_graph(snapshot)
    for name, form in GRAPH_FORMATS.items():
        files[f"topology{form.suffix}"] = export_graph(graph, name).encode()
    return files


def inline_svg(svg: str, name: str) -> str:
    """An SVG document as an element of an HTML page: no prolog, no foreign addresses, ids of its own."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    end = body.index(">")
    body = re.sub(r'\s(?:xmlns(?::\w+)?|width|height|version)="[^"]*"', "", body[:end]) + body[end:]
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = body.replace("url(#", f"url(#{name}-").replace("xlink:href", "href")
    return body.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("netprobe.render"),
        autoescape=jinja2.select_autoescape(("html.jinja",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "moment": moment,
        "duration": duration,
        "percent": percent,
        "mark": lambda state: MARKS.get(state, "✓" if state == "alive" else "?"),
        "cell": lambda text: " ".join(str(text).split()).replace("|", "\\|"),
    }
    return environment


def _context(snapshot: Snapshot) -> dict[str, object]:
    nodes = sum(len(cluster.nodes) for cluster in snapshot.inventory.clusters)
    many = nodes > MANY_NODES
    return {
        "report": report_document(snapshot),
        "matrix": read_matrix(snapshot, level=Level.CLUSTER if many else Level.NODE),
        "severity": severity(snapshot),
        "many": many,
        "nodes": nodes,
        "marks": MARKS,
        "netprobe_version": __version__,
    }
