"""The type checker itself refuses to decide anything by a sentence for people."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from netprobe.model.prose import NO_PROSE, Prose

if TYPE_CHECKING:
    from pathlib import Path

ALLOWED = (
    "made: Prose = Prose('a sentence')",
    "joined: Prose = Prose(f'{made}, and another')",
    "again: Prose = Prose(made)",
    "shown: str = str(made)",
    "padded: str = f'{made:<40}'",
    "there: bool = bool(made)",
    "same: bool = made == joined",
)
REFUSED = {
    "made == 'a sentence'": "comparison-overlap",
    "made != 'a sentence'": "comparison-overlap",
    "'a sentence' == made": "comparison-overlap",
    "made in ('one', 'two')": "comparison-overlap",
    "'sent' in made": "operator",
    "made.startswith('a')": "attr-defined",
    "made.endswith('e')": "attr-defined",
    "made.removeprefix('a')": "attr-defined",
    "made.partition(': ')": "attr-defined",
    "made.split(': ')": "attr-defined",
    "made[0]": "index",
    "len(made)": "arg-type",
    "word: str = made": "assignment",
    "plain: Prose = 'a sentence'": "assignment",
    "made + ' and more'": "operator",
}


def check(directory: Path, lines: list[str]) -> dict[int, str]:
    """The code of the first error that mypy --strict reports for each line, by its index."""
    source = directory / "snippet.py"
    source.write_text("\n".join(["from netprobe.model.prose import Prose", *lines]) + "\n")
    options = ["--strict", "--config-file=", f"--cache-dir={directory / 'cache'}", "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, str(source)]  # apart: mypy raises the recursion limit
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not ran.stderr, ran.stderr
    found: dict[int, str] = {}
    for line in ran.stdout.splitlines():
        place, mark, message = line.partition(": error: ")
        if mark and place.startswith(str(source)):
            found.setdefault(int(place.rsplit(":", 1)[1]) - 2, message.rsplit("[", 1)[1].rstrip("]"))
    return found


@pytest.mark.slow
def test_mypy_refuses_every_decision_by_a_sentence_and_nothing_else(tmp_path: Path) -> None:
    lines = [*ALLOWED, *REFUSED]
    found = check(tmp_path, lines)
    assert {lines[at]: code for at, code in found.items()} == REFUSED


def test_at_run_time_a_text_is_a_string() -> None:
    assert isinstance(msgspec.json.decode(b'"a sentence"', type=Prose), str)
    assert not NO_PROSE
