"""The glossary defines each word once, in order, and covers the words that the output prints."""

from __future__ import annotations

import re
from itertools import chain

import pytest

from netprobe.model.component import ComponentKind
from netprobe.model.outcome import OutcomeKind
from netprobe.model.status import AgentState, PathState
from netprobe.model.verdict import Verdict
from netprobe.probes.registry import KINDS
from tests.unit.docs import pages
from tests.unit.docs.pages import ROOT

PAGE = ROOT / "docs/glossary.md"
TEXT = PAGE.read_text()


def read_groups() -> dict[str, list[tuple[str, str]]]:
    """Each section of the page with its rows: the word and its meaning."""
    groups = {}
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        found = re.findall(r"^\| (?!word \|)(.+?) \| (.+) \|$", body, re.MULTILINE)
        assert found, f"{heading} has no table"
        groups[heading] = found
    return groups


GROUPS = read_groups()
WORDS = [word for rows in GROUPS.values() for word, _ in rows]


@pytest.mark.parametrize("group", GROUPS)
def test_words_of_a_group_are_sorted(group: str) -> None:
    words = [word for word, _ in GROUPS[group]]
    assert words == sorted(words, key=str.casefold)


def test_no_word_is_defined_twice() -> None:
    words = list(chain.from_iterable(word.split(", ") for word in WORDS))
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize(("word", "meaning"), [row for rows in GROUPS.values() for row in rows])
def test_a_meaning_is_one_to_three_sentences(word: str, meaning: str) -> None:
    assert re.fullmatch(r"[A-Z`].*\.", meaning), word
    assert len(re.findall(r"\.(?= [A-Z]|$)", meaning)) <= 3, word


def test_closed_lists_are_complete() -> None:
    for term, words in (
        ("outcome", OutcomeKind),
        ("path state", PathState),
        ("liveness", AgentState),
        ("port verdict", Verdict),
        ("probe kind", KINDS),
    ):
        (meaning,) = (text for rows in GROUPS.values() for word, text in rows if word == term)
        assert {str(word) for word in words} <= set(re.findall(r"`([\w-]+)`", meaning)), term


def test_states_and_components_are_defined() -> None:
    words = {part.replace("-", " ") for word in WORDS for part in word.split(", ")}
    # The other kinds of components are words of the field or defined among the places.
    field = {"service", "dns"}
    for each in (*PathState, *AgentState, *Verdict, *ComponentKind):
        if str(each) not in field:
            assert each.replace("-", " ") in words, each


def test_readers_find_the_glossary() -> None:
    for page in ("docs/README.md", "CONTRIBUTING.md"):
        assert any(link.code.endswith("glossary.md") for link in pages.links(ROOT / page)), page
