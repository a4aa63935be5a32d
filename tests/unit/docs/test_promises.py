"""Every promise about loss, trust and truth is on one page, in its own words, with its test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.docs import pages

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
ROWS = [tuple(cells) for cells in pages.rows(DOCS / "promises.md", "| promise | page | test")]
PROMISING = ("README.md", "SECURITY.md", "docs/identity.md", "docs/reliability.md", "docs/reports.md")
ABSOLUTE = re.compile(r"\b(is never|never (shown|reported|goes|failed|use)|exactly\s+once|no secret)\b")
"""Words with which a sentence of these pages promises something; what they say is looked up."""


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("**", "")


def read(page: str) -> str:
    target = re.findall(r"\(([^)]+)\)", page)[0]
    return plain((DOCS / target).resolve().read_text())


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_a_promise_stands_where_it_is_said_to_stand(row: tuple[str, ...]) -> None:
    promise, page, _ = row
    assert plain(promise) in read(page)


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_its_test_is_there(row: tuple[str, ...]) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row[2])
    assert named
    for file, test in named:
        text = (ROOT / file).read_text()
        assert not test or f"def {test}(" in text, (file, test)


def test_every_promise_of_the_security_page_is_listed() -> None:
    section = (
        (ROOT / "SECURITY.md").read_text().partition("## What netprobe promises")[2].partition("\n## ")[0]
    )
    promised = [plain(each) for each in re.findall(r"^- \*\*(.+?)\*\*", section, re.MULTILINE | re.DOTALL)]
    listed = [plain(row[0]) for row in ROWS]
    assert promised
    assert [each for each in promised if each not in listed] == []


@pytest.mark.parametrize("page", PROMISING)
def test_no_absolute_promise_is_missing(page: str) -> None:
    text = plain((ROOT / page).read_text())
    listed = [plain(row[0]) for row in ROWS]
    spans = [(text.find(each), text.find(each) + len(each)) for each in listed if each in text]
    for found in ABSOLUTE.finditer(text):
        around = text[max(0, found.start() - 60) : found.end() + 60]
        assert any(begin <= found.start() and found.end() <= end for begin, end in spans), around
