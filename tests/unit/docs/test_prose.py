"""The repository is written in plain English: turns that are not are named, with what to write instead.

Rule: there are no exceptions except :data:`LEFT_OUT`, which names a reason for each file.
``python -m tests.unit.docs.prose`` prints every place.
"""

from __future__ import annotations

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

LEFT_OUT = {
    "tests/unit/docs/test_prose.py": "shows what it bans",
    "tests/unit/data/test_previous_build.py": "quotes what the previous build wrote",
    "tests/unit/wire/test_previous_build.py": "quotes what the previous build wrote",
}
"""Files that must quote a banned turn, and why."""


@cache
def find_turns() -> tuple[tuple[str, int, Turn], ...]:
    """Every use of a banned turn: file, line and turn."""
    return tuple(
        (passage.file, line, turn)
        for passage in prose.read_all(leave_out=frozenset(LEFT_OUT))
        for turn in TURNS
        for line in passage.find(turn)
    )


def describe(file: str, line: int, turn: Turn) -> str:
    return f"{file}:{line}: {turn.name}: use {turn.instead}"


def test_no_banned_turn_is_used() -> None:
    found = [describe(*each) for each in find_turns()]
    assert not found, "\n".join(["these turns are not plain English:", *found])


@pytest.mark.parametrize("file", LEFT_OUT)
def test_a_file_that_is_left_out_still_needs_it(file: str) -> None:
    passages = prose.read_python(file, (prose.ROOT / file).read_text())
    assert any(True for passage in passages for turn in TURNS for _ in passage.find(turn))


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


if __name__ == "__main__":
    print("\n".join(describe(*each) for each in find_turns()))
