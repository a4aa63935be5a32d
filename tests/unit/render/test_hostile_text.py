"""Text from outside is text, in every view, report, export and log line.

Every form comes from its registry, so that a new one is tested without being named here.
"""

from __future__ import annotations

import logging
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from netprobe.cli.actions.show import DOCUMENTS, TABLES
from netprobe.logs import JsonLines, TextLines
from netprobe.model.clean_text import clean
from netprobe.model.finding import Evidence
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot
from netprobe.render.documents.graph_exports import FORMATS
from netprobe.render.figures.registry import FIGURES
from netprobe.render.graph import build_graph
from netprobe.render.reports.formats import REPORT_FORMATS
from netprobe.render.reports.snapshot import SnapshotReport
from netprobe.render.terminal.matrix import matrix_table
from netprobe.render.terminal.tables import render_text
from tests import fleets

HOSTILE: Mapping[str, str] = {
    "closing markup": "[/bold]",
    "closing markup of nothing": "[/x]",
    "markup": "[red]all[/red] well",
    "link markup": "[link=http://192.0.2.1/]x[/link]",
    "an address in brackets": "begin [fd00::7]:4222 end",
    "a range in brackets": "GET [a-z]",
    "an emoji code": "all :ok: and :warning:",
    "colour": "\x1b[32mgreen\x1b[0m",
    "cursor": "\x1b[2J\x1b[H",
    "a terminal's link": "\x1b]8;;http://192.0.2.1/\x1b\\x\x1b]8;;\x1b\\",
    "a terminal's title": "\x1b]0;owned\x07",
    "C1": "\x9b31mred",
    "NUL": "a\x00b",
    "backspaces": "down\x08\x08\x08\x08up  ",
    "carriage return": "down\rup  ",
    "a line of its own": "x\nERROR forged line",
    "right to left": "\u202egnp.exe",
    "isolates": "\u2066a\u2069\u200f",
    "HTML": "<script>alert(1)</script>",
    "an image of another host": '<img src="http://192.0.2.1/x.png">',
    "a Markdown link": "[here](javascript:alert(1))",
    "a Markdown image": "![x](http://192.0.2.1/x.png)",
    "an automatic link": "<http://192.0.2.1/>",
    "a heading": "# All is well",
    "a fence": "```\nall is well\n```",
    "code": "`x` **y** _z_ ~~w~~",
    "a table": "a | b | c",
    "an entity": "&lt;b&gt; &#x1b;",
    "a noncharacter": "a\ufffeb\uffff",
    "TeX": "$\\frac{a}{b}$ \\input{x}",
}
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
ALL = " ".join(HOSTILE.values())
"""For what takes long to write: one that obeys any of them is found."""
each_text = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


def spoilt(text: str) -> Snapshot:
    """*text* wherever agents, clusters and files may write what they like."""
    snapshot = fleets.several()
    prose = Prose(text)
    findings = tuple(
        replace(
            one,
            summary=prose,
            next_step=prose,
            evidence_for=(Evidence(prose),),
            evidence_against=(Evidence(prose),),
        )
        for one in snapshot.findings
    )
    clusters = tuple(replace(one, region=text, environment=text) for one in snapshot.inventory.clusters)
    links = tuple(replace(one, mechanism=text) for one in snapshot.inventory.links)
    return replace(
        snapshot,
        findings=findings,
        past_findings=tuple(replace(one, ended_ns=one.last_seen_ns + 1) for one in findings),
        paths=tuple(replace(path, reason=prose, observed_source=text) for path in snapshot.paths),
        agents=tuple(
            replace(one, reason=prose, version=text, capabilities=(text,)) for one in snapshot.agents
        ),
        inventory=replace(snapshot.inventory, clusters=clusters, links=links),
    )


@each_text
@pytest.mark.parametrize("view", [*TABLES.values(), matrix_table], ids=[*TABLES, "matrix"])
def test_a_table_shows_it_and_obeys_nothing(view: Callable[[Snapshot], object], text: str) -> None:
    shown = render_text(view(spoilt(text)), width=200)  # type: ignore[arg-type] # every view is a renderable
    assert not CONTROL.search(shown)


def count_shown(text: str) -> int:
    """How often the table of findings, with *text* in every place, shows all of it."""
    shown = render_text(TABLES["findings"](spoilt(text)), width=200)
    return "".join(shown.split()).count("".join(clean(text).split()))


@each_text
def test_what_is_shown_is_what_was_written(text: str) -> None:
    assert count_shown(text) == count_shown("harmless") > 1


@pytest.mark.parametrize("form", REPORT_FORMATS)
def test_no_report_obeys_it(form: str) -> None:
    written = REPORT_FORMATS[form].write(SnapshotReport(spoilt(ALL)))
    if form in {"table", "markdown", "html", "tap"}:
        assert not CONTROL.search(written)
    if form == "junit":
        ET.fromstring(written)


def _every(tokens: list[Token]) -> list[Token]:
    return [token for each in tokens for token in (each, *_every(each.children or []))]


@each_text
def test_markdown_holds_no_link_no_picture_no_heading_of_a_stranger(text: str) -> None:
    written = REPORT_FORMATS["markdown"].write(SnapshotReport(spoilt(text)))
    tokens = _every(MarkdownIt("commonmark").enable("table").parse(written))
    assert not {"html_inline", "html_block", "link_open", "image", "fence"} & {token.type for token in tokens}
    plain = _every(MarkdownIt("commonmark").enable("table").parse(
        REPORT_FORMATS["markdown"].write(SnapshotReport(spoilt("plain")))
    ))  # fmt: skip
    for kind in ("heading_open", "strong_open", "em_open", "code_inline", "td_open", "list_item_open"):
        assert [one.type for one in tokens].count(kind) == [one.type for one in plain].count(kind), kind


@pytest.mark.parametrize("name", FORMATS)
def test_every_export_of_the_graph_is_well_formed(name: str) -> None:
    written = FORMATS[name].write(build_graph(spoilt(ALL)))
    if name == "graphml":
        ET.fromstring(written)


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_well_formed(figure: str) -> None:
    ET.fromstring(FIGURES[figure](spoilt("a\x00b \x1b[31m $\\frac{a}{b}$ a\ufffeb <b>&")).to_svg())


@each_text
def test_a_log_record_is_one_line_without_control_characters(text: str) -> None:
    record = logging.LogRecord("netprobe.x", logging.WARNING, __file__, 1, "turned away: %s", (text,), None)
    for formatter in (TextLines(), JsonLines()):
        line = formatter.format(record)
        assert not CONTROL.search(line)
        assert "\n" not in line


def test_documents_for_programs_keep_the_text() -> None:
    for make in DOCUMENTS.values():
        make(spoilt("\x1b[31m"))
