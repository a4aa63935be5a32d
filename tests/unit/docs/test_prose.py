"""The repository is written in plain English: turns that are not are named, with what to write instead.

Rule: a room that is clean stays clean. A room in :data:`PENDING` may only become cleaner; remove it from
there once it is clean. ``python -m tests.unit.docs.prose`` prints the counts of today.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.unit.docs import prose
from tests.unit.docs.prose import Turn

TURNS = (
    Turn("whoever", r"\bwho(m|se)?(so)?ever\b", "the agent (person, host) that …"),
    Turn("of whom", r"\bof whom\b", "whose, or name it"),
    Turn(
        "X is no Y",
        r"(?<!\bthere\s)\bis\s+no\s+(?!(longer|more|less|larger|smaller|faster|slower|better|worse)\b)",
        "is not a Y",
    ),
    Turn("stands twice", r"\bst(ands?|ood)\s+(twice|once)\b", "is given twice"),
    Turn(
        "stands for is",
        r"\b(what|it|that|which|who|there|they|name|address|key|line|file)\s+stands?\s+(in|on|at|below|beside|behind|there)\b",
        "is in, is on, runs on",
    ),
    Turn("nobody", r"\b(no|some)body\b", "no agent, no process, a person, or the passive"),
    Turn(
        "told for reported",
        r"\b(is|are|was|were|be|what\b[^.;:]{0,40})\s+told\s*(?=[.,;:)\n]|$|\s(as|by|in|at|with|once)\b)",
        "is reported, is shown",
    ),
    Turn("door", r"\bdoors?\b", "port, socket or login"),
    Turn("that one may", r"\bthat\s+one\s+may\b", "say what has the right"),
    Turn(
        "as it is meant",
        r"\bas\s+(it|they)\s+(is|are)\s+meant\b|\bas\s+(people|they)\s+means?\s+(it|them)\b",
        "as intended",
    ),
    Turn("knows nothing of", r"\bknows?\s+(nothing\s+of|of\s+no|no\s+such)\b", "does not know"),
    Turn("anew", r"\banew\b", "again"),
    Turn("witness", r"\bwitness(es|ed)?\b", "control probe, control port or gateway reading"),
    Turn("joint", r"\bjoints?\b", "pair"),
    Turn("feels", r"\bfeels?\b", "is, or its health"),
)  # fmt: skip

ITSELF = frozenset({"tests/unit/docs/test_prose.py"})
"""It shows what it bans."""

PENDING: dict[str, int] = {
    "benchmarks/": 3,
    "netprobe/analysis/": 20,
    "netprobe/engine/": 1,
    "netprobe/probes/": 7,
    "netprobe/workflows/": 4,
    "tests/e2e/": 8,
    "tests/fleets.py": 2,
    "tests/lab/": 4,
    "tests/unit/agent/": 1,
    "tests/unit/analysis/": 13,
    "tests/unit/bus/": 3,
    "tests/unit/cli/": 12,
    "tests/unit/collector/": 2,
    "tests/unit/data/": 30,
    "tests/unit/discovery/": 2,
    "tests/unit/engine/": 3,
    "tests/unit/lab/": 1,
    "tests/unit/probes/": 3,
    "tests/unit/render/": 2,
    "tests/unit/store/": 1,
    "tests/unit/wire/": 3,
    "tests/unit/workflows/": 2,
}
"""Rooms that are not clean yet, by prefix of their paths, with the turns that they may still have."""


@cache
def find_turns() -> tuple[tuple[str, int, Turn], ...]:
    """Every use of a banned turn: file, line and turn."""
    return tuple(
        (passage.file, line, turn)
        for passage in prose.read_all(leave_out=ITSELF)
        for turn in TURNS
        for line in passage.find(turn)
    )


def find_room(file: str) -> str | None:
    """The longest prefix in :data:`PENDING` that *file* belongs to."""
    return max((prefix for prefix in PENDING if file.startswith(prefix)), key=len, default=None)


def count_by_room() -> Counter[str]:
    """How often each room (a package, a folder of tests, a module beside them) uses a banned turn."""
    counted: Counter[str] = Counter()
    for file, _, _ in find_turns():
        parts = file.split("/")
        depth = {"tests/unit": 3, "benchmarks": 1}.get("/".join(parts[: 2 if parts[0] == "tests" else 1]), 2)
        counted["/".join(parts[:depth]) + "/" if len(parts) > depth else file] += 1
    return Counter(dict(sorted(counted.items())))


def describe(file: str, line: int, turn: Turn) -> str:
    return f"{file}:{line}: {turn.name}: use {turn.instead}"


def test_clean_rooms_stay_clean() -> None:
    found = [describe(*each) for each in find_turns() if find_room(each[0]) is None]
    assert not found, "\n".join(["these turns are not plain English:", *found])


@pytest.mark.parametrize("prefix", PENDING)
def test_rooms_to_be_cleaned_become_no_worse(prefix: str) -> None:
    found = [describe(*each) for each in find_turns() if find_room(each[0]) == prefix]
    assert len(found) <= PENDING[prefix], "\n".join(
        [f"more than {PENDING[prefix]} turns in {prefix}:", *found]
    )


def test_documents_are_not_pending() -> None:
    assert not [
        prefix
        for prefix in PENDING
        if not prefix.startswith(("agents/", "benchmarks/", "netprobe/", "tests/"))
    ]


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("Whoever asks is asked back.", "whoever"),
        ("Agents of whom nothing came.", "of whom"),
        ("A reset is no proof.", "X is no Y"),
        ("The name stands twice.", "stands twice"),
        ("It is what stands in the file.", "stands for is"),
        ("Nobody answers.", "nobody"),
        ("The record and its server are told.", "told for reported"),
        ("A silent door is filtered.", "door"),
        ("It says what that one may ask.", "that one may"),
        ("The port is closed, as people mean it.", "as it is meant"),
        ("It knows nothing of other clusters.", "knows nothing of"),
        ("It is read anew.", "anew"),
        ("The witness is silent.", "witness"),
        ("Each joint has two ends.", "joint"),
        ("The agent says how it feels.", "feels"),
    ],
)
def test_a_turn_is_found(sentence: str, name: str) -> None:
    assert [turn.name for turn in TURNS for _ in turn.find(sentence)] == [name]


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no route.",
        "It is no longer asked.",
        "It is no more than a guess.",
        "They cannot be told apart.",
        "The agent is told to stop.",
        "A tunnel stands by.",
        "Adoor, outdoors and jointly are other words.",
    ],
)
def test_plain_english_passes(sentence: str) -> None:
    assert [turn.name for turn in TURNS for _ in turn.find(sentence)] == []


def test_code_and_quotes_are_no_prose() -> None:
    page = 'Use `door=1`.\n\n```\nnobody listens\n```\n\n"Nobody listens": [a door](door.md) is\nno port.\n'
    passage = prose.read_markdown("page.md", page)
    found = [(turn.name, line) for turn in TURNS for line in passage.find(turn)]
    assert found == [("X is no Y", 7), ("door", 7)]


def test_modules_are_read_as_prose() -> None:
    source = (
        '"""A door.\n\nAnother door, and a ``door``.\n"""\n\n'
        'DOOR = "door"  # a door\n'
        'TEXT = (\n    f"there {DOOR} "\n    "is no door"\n)\n'
    )
    door = next(turn for turn in TURNS if turn.name == "door")
    assert [line for each in prose.read_python("x.py", source) for line in each.find(door)] == [1, 3, 6, 9]


def test_a_sentence_may_be_split_over_literals() -> None:
    (calque,) = (turn for turn in TURNS if turn.name == "X is no Y")
    source = 'A = "there "\nB = ("there "\n     "is no route")\nC = ("this "\n     "is no route")\n'
    assert [line for each in prose.read_python("x.py", source) for line in each.find(calque)] == [5]
