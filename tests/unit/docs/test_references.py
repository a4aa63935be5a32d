"""What the pages name exists: files, links, modules, and every row of a table that follows a registry."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import tomllib
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from netprobe.analysis.diagnosis.decision_table import TABLE
from netprobe.analysis.diagnosis.symptom import (
    Answer,
    Directions,
    Selection,
    TablePart,
    TableRow,
    TrafficClass,
)
from netprobe.bus.tokens import RefusalReason
from netprobe.cli.actions import demo
from netprobe.deploy.install.objects import EXTRAS
from netprobe.discovery.gateway.registry import READERS
from netprobe.lab.faults import KINDS as FAULTS
from netprobe.model.collector_health import AuthStats, CollectorHealth
from netprobe.model.component import ComponentKind
from netprobe.model.outcome import OutcomeKind
from netprobe.model.snapshot import Counters
from netprobe.notebook.fleet import Fleet
from netprobe.probes.registry import KINDS, iter_kinds
from netprobe.render.documents.prometheus import encode_metrics
from netprobe.render.reports.formats import REPORT_FORMATS
from tests import fleets
from tests.unit.docs import pages
from tests.unit.docs.pages import ROOT, Snippet

DOCS = ROOT / "docs"
FOLDERS = ("agents", "benchmarks", "docs", "manifests", "netprobe", "notebooks", "tests", ".ci")
ROOMS = {found.parent.name for found in (ROOT / "netprobe").glob("*/__init__.py")}


def named(pattern: str) -> list[object]:
    chosen: list[object] = [
        pytest.param(snippet, id=f"{snippet.page.stem}:{snippet.line}")
        for page in pages.PAGES
        for snippet in pages.spans(page)
        if re.fullmatch(pattern, snippet.code)
    ]
    assert chosen
    return chosen


@pytest.mark.parametrize("snippet", named(rf"({'|'.join(map(re.escape, FOLDERS))})/[\w./-]*"))
def test_files_are_there(snippet: Snippet) -> None:
    assert (ROOT / snippet.code).exists(), snippet


@pytest.mark.parametrize("snippet", named(r"test_\w+(\.py)?"))
def test_files_of_tests_are_there_by_their_names(snippet: Snippet) -> None:
    assert list((ROOT / "tests").rglob(f"{snippet.code.removesuffix('.py')}.py")), snippet


def test_links_lead_somewhere() -> None:
    found = [snippet for page in pages.PAGES for snippet in pages.links(page)]
    assert len(found) > 40
    for snippet in found:
        path, _, anchor = snippet.code.partition("#")
        page = (snippet.page.parent / path).resolve() if path else snippet.page
        assert page.exists(), snippet
        assert not anchor or anchor in pages.anchors(page), snippet


@pytest.mark.parametrize("snippet", named(rf"(netprobe\.)?({'|'.join(sorted(ROOMS))})(\.\w+)+(\(.*)?"))
def test_modules_and_their_parts_are_there(snippet: Snippet) -> None:
    dotted, bracket, given = snippet.code.removeprefix("netprobe.").partition("(")
    parts = dotted.split(".")
    room = next(
        ".".join(parts[:count])
        for count in range(len(parts), 0, -1)
        if importlib.util.find_spec(f"netprobe.{parts[0]}") and _is_module(parts[:count])
    )
    thing: Any = importlib.import_module(f"netprobe.{room}")
    for name in dotted.removeprefix(room).strip(".").split("."):
        thing = getattr(thing, name) if name else thing
    if bracket:
        parameters = set(inspect.signature(thing).parameters)
        assert set(re.findall(r"\w+", given.partition(")")[0])) <= parameters, snippet


def _is_module(parts: list[str]) -> bool:
    path = ROOT.joinpath("netprobe", *parts)
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def test_the_table_of_diagnosis_is_the_decision_table() -> None:
    shown = pages.rows(DOCS / "diagnosis.md", "| row | seen | cause")
    table = [(f"`{row.id}`", _pattern(row), f"`{row.cause}`", f"{row.confidence:.2f}") for row in TABLE]
    assert [tuple(cells) for cells in shown] == table


def test_every_row_says_what_sets_it_or_that_nothing_does() -> None:
    text = (DOCS / "diagnosis.md").read_text().partition("### What sets each row")[2]
    assert [row.id for row in TABLE[:-1] if f"`{row.id}`" not in text] == []


def test_every_promise_about_a_bad_day_names_a_test_that_is_there() -> None:
    rows = re.findall(r"^\|(?! what goes|-).*\|$", (DOCS / "reliability.md").read_text(), re.MULTILINE)
    named = [re.findall(r"`(tests/[\w/]+\.py)`", row) for row in rows]
    assert len(rows) >= 12
    assert [row for row, files in zip(rows, named, strict=True) if not files] == []
    assert [file for files in named for file in files if not (ROOT / file).exists()] == []


def _pattern(row: TableRow) -> str:
    part = "node, a gateway" if row.is_gateway else _in_order(row.parts, (*TablePart, *ComponentKind))
    traffic = "large packets only" if TrafficClass.LARGE in row.traffic else ""
    directions = {Directions.BOTH: "both directions", Directions.ONE: "one direction"}
    ways = " or ".join(directions[each] for each in sorted(row.directions))
    answers = _in_order(row.answers, tuple(Answer))
    chosen = _in_order(row.selections, tuple(Selection))
    chosen = f"loses only some traffic, by {chosen}" if chosen else ""
    return ", ".join(filter(None, (part or "any part", answers, row.note or "", traffic, ways, chosen)))


def _in_order(members: Collection[str], order: Sequence[str]) -> str:
    return " or ".join(sorted(members, key=order.index))


def test_every_kind_of_probe_has_a_row_and_a_section() -> None:
    rows = pages.rows(DOCS / "probes.md", "| kind | asks")
    assert {cells[0].strip("`") for cells in rows} == set(KINDS)
    text = (DOCS / "probes.md").read_text()
    headings = {name for line in re.findall(r"^## (.+)$", text, re.MULTILINE) for name in line.split(", ")}
    assert set(KINDS) <= headings
    assert {kind.value for kind in OutcomeKind} <= {
        snippet.code for snippet in pages.spans(DOCS / "probes.md")
    }


def test_options_of_probes_are_named_in_their_section() -> None:
    text = (DOCS / "probes.md").read_text()
    for kind in iter_kinds():
        (section,) = re.findall(
            rf"^## [\w, ]*\b{kind.name}\b[\w, ]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
        )
        for option in kind.options:
            assert f"`{option}" in section, f"{kind.name}: {option}"


def test_the_lab_has_as_many_faults_as_it_says() -> None:
    assert "# nineteen ways to break it" in (ROOT / "README.md").read_text()
    assert len(FAULTS) == 19
    assert "eight real faults" in (ROOT / "README.md").read_text()
    assert len(demo.FAULTS) == 8
    scored = {cells[0] for cells in pages.rows(DOCS / "lab-score.md", "| kind of fault | was called |")}
    assert scored == set(FAULTS)


def test_every_metric_is_described() -> None:
    vitals = CollectorHealth(
        version="1", pid=1, started_ns=1, epoch=1, interval_ns=1, agents_planned=1, last_report_ns=1,
        analysis_errors=0, inventories_refused=0, windows_rejected_by_reason={"x": 1},
        counters=Counters(), auth=AuthStats(0, 0, {"x": 1}, 0, {}), volume_free_bytes=1,
    )  # fmt: skip
    body, _ = encode_metrics(fleets.EVERY["tunnel-down"](), vitals)
    made = set(re.findall(r"^# TYPE (netprobe_\w+) ", body.decode(), re.MULTILINE))
    rows = pages.rows(DOCS / "monitoring.md", "| metric | labels")
    assert {name for cells in rows for name in re.findall(r"`(netprobe_\w+)`", cells[0])} == made


def test_every_refusal_is_explained() -> None:
    cells = [row[0] for row in pages.rows(DOCS / "identity.md", "| kind | what it means")]
    assert {kind for cell in cells for kind in re.findall(r"`([\w-]+)`", cell)} == {
        str(each) for each in RefusalReason
    }


def test_every_overlay_and_component_has_a_row() -> None:
    for header, folder in (("| overlay |", "overlays"), ("| component |", "components")):
        rows = pages.rows(DOCS / "manifests.md", header)
        shown = {cells[0].strip("`").removeprefix("overlays/") for cells in rows}
        assert shown == {path.name for path in (ROOT / "manifests" / folder).iterdir()}


def test_components_of_install_are_named() -> None:
    (paragraph,) = re.findall(r"\*\*Components\.\*\*.*?\n\n", (DOCS / "install.md").read_text(), re.DOTALL)
    assert set(EXTRAS) <= set(re.findall(r"`([\w-]+)`", paragraph))


def test_every_form_of_report_has_a_row() -> None:
    rows = pages.rows(DOCS / "reports.md", "| form | suffix")
    shown = {
        tuple(pair)
        for cells in rows
        for pair in zip(re.findall(r"`(\w+)`", cells[0]), re.findall(r"`(\.\w+)`", cells[1]), strict=True)
    }
    assert shown == {(name, form.suffix) for name, form in REPORT_FORMATS.items()}


def test_every_collector_of_evidence_has_a_row() -> None:
    shown = [cells[0].strip("`") for cells in pages.rows(DOCS / "sites.md", "| collector | command")]
    assert shown == [collector.name for collector in READERS]


def test_what_a_fleet_offers_in_python_is_there() -> None:
    names = {found for cells in pages.rows(DOCS / "api.md", "| ask | get")
             for found in re.findall(r"`fleet\.(\w+)", cells[0])}  # fmt: skip
    fields = {name for name in (*dir(Fleet), *inspect.get_annotations(Fleet)) if not name.startswith("_")}
    assert names == fields


def test_every_room_has_a_row_with_the_libraries_that_are_bound_to_it() -> None:
    shown = {cells[0].strip("`"): set(filter(None, cells[2].split(", ")))
             for cells in pages.rows(DOCS / "architecture.md", "| room |")}  # fmt: skip
    assert set(shown) == {*ROOMS, "errors", "logs", "tasks", "netprobe_agent"}
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    bound: dict[str, set[str]] = {room: set() for room in shown}
    for contract in contracts:
        for importer in contract.get("allowed_importers", ()):
            libraries = {"dnspython" if name == "dns" else name for name in contract["protected_modules"]}
            bound[importer.split(".")[1]] |= libraries
    free = {"rich", "click"}  # in one room by habit
    assert {room: libraries - free for room, libraries in shown.items()} == bound


def test_every_file_of_the_end_to_end_tests_has_a_row() -> None:
    shown = {cells[0].strip("`") for cells in pages.rows(DOCS / "e2e.md", "| file | on what")}
    assert shown == {path.stem for path in (ROOT / "tests/e2e").glob("test_*.py")}
