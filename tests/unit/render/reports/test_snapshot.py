"""Reports: self-contained, well-formed, and safe for any cluster name."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from syrupy.assertion import SnapshotAssertion

from netprobe.cli.actions.report import DIRECTORY_FORMS
from netprobe.model.names import ClusterName
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot
from netprobe.render.reports.formats import REPORT_FORMATS
from netprobe.render.reports.snapshot import SnapshotReport, build_report_files
from tests import fleets

_VOID = {"meta", "br", "hr", "img", "link", "input", "path", "use"}


class Checker(HTMLParser):
    """Collects open elements, ids, addresses and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.problems: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "action", "data"} and value:
                self.targets.append(value)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


REPORTED = {**fleets.EVERY, "large": fleets.large}


@pytest.mark.parametrize("fleet", REPORTED)
def test_html_is_well_formed_and_needs_no_other_host(fleet: str) -> None:
    html = SnapshotReport(REPORTED[fleet]()).html()
    page = Checker(html)
    assert page.problems == []
    assert page.open == []
    assert "http" not in html
    assert all(target.startswith("#") for target in page.targets), "only pictures' own parts are referred to"
    assert {target[1:] for target in page.targets} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert not {"script", "link", "img", "iframe"} & set(page.tags)


def test_html_holds_map_matrix_and_findings() -> None:
    html = SnapshotReport(fleets.several()).html()
    page = Checker(html)
    assert page.tags.count("svg") == 2
    assert page.tags.count("article") == 5
    assert '<html lang="en">' in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def hostile() -> Snapshot:
    """A finding whose text contains markup."""
    found = replace(fleets.tunnel_down_finding(), summary=Prose("<script>alert(1)</script> & | `x`"))
    snapshot = replace(fleets.tunnel_down(), findings=(found,))
    clusters = snapshot.inventory.clusters
    evil = replace(clusters[0], environment='"><img src=x>', name=ClusterName('<b>"prod'))
    return replace(snapshot, inventory=replace(snapshot.inventory, clusters=(evil, *clusters[1:])))


def test_text_is_escaped() -> None:
    page = Checker(SnapshotReport(hostile()).html())
    assert not {"script", "img", "b"} & set(page.tags)
    assert page.problems == []
    assert any("<script>alert(1)</script>" in words for words in page.words)


def test_markdown_reads_well(snapshot: SnapshotAssertion) -> None:
    assert SnapshotReport(fleets.several()).markdown() == snapshot


def test_healthy_markdown_is_short(snapshot: SnapshotAssertion) -> None:
    assert SnapshotReport(fleets.healthy()).markdown() == snapshot


def test_large_markdown_shows_what_differs(snapshot: SnapshotAssertion) -> None:
    assert SnapshotReport(fleets.large()).markdown() == snapshot


@pytest.mark.parametrize("fleet", REPORTED)
def test_markdown_tables_have_equal_columns(fleet: str) -> None:
    width = 0
    for line in SnapshotReport(REPORTED[fleet]()).markdown().splitlines():
        columns = line.count("|") - line.count("\\|") if line.startswith("|") else 0
        assert not (columns and width) or columns == width, line
        width = columns


def test_json_says_what_it_is() -> None:
    document = json.loads(REPORT_FORMATS["json"].write(SnapshotReport(fleets.tunnel_down())))
    assert (document["schema"], document["version"], document["broken"]) == ("netprobe/report", 1, True)
    assert document["findings"][0]["cause"] == "tunnel-down"


def test_a_directory_gets_reports_pictures_and_graph() -> None:
    files = build_report_files(fleets.tunnel_down(), DIRECTORY_FORMS)
    assert sorted(files) == [
        "matrix.png", "matrix.svg", "report.html", "report.json", "report.md", "report.sarif", "report.tap",
        "report.xml", "topology.dot",
        "topology.graph.json", "topology.graphml", "topology.png", "topology.svg",
    ]  # fmt: skip
    assert b"![Map of clusters and links](topology.svg)" in files["report.md"]
    assert all(files.values())


def test_equal_snapshots_give_equal_reports() -> None:
    assert build_report_files(fleets.several(), DIRECTORY_FORMS) == build_report_files(
        fleets.several(), DIRECTORY_FORMS
    )
