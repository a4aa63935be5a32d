"""Prose of the repository: Markdown without code and quotes, comments, docstrings, literals with a space.

Rule: code is blanked, never removed, so that a place in the prose is a place in the file.
``python -m tests.unit.docs.test_prose`` prints every place that uses a banned turn.
"""

from __future__ import annotations

import io
import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
CODE_ROOMS = ("agents", "benchmarks", "docs", "netprobe", "tests")
MARKDOWN = (
    "*.md",
    ".github/**/*.md",
    *(f"{room}/**/*.md" for room in (*CODE_ROOMS, "changelog.d", "findings")),
)
_CODE = re.compile(r"^```.*?^```$|``[^`]+``|`[^`\n]+(?:\n[^`\n]+)?`|\]\([^)\s]+\)", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r"\"[^\"]{0,300}\"|“[^”]{0,300}”|^> .*$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_LITERAL = re.compile(r"(?P<prefix>[A-Za-z]*)(?P<quote>\"\"\"|'''|\"|')(?P<body>.*)(?P=quote)", re.DOTALL)
_STRINGS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
_LAYOUT = {tokenize.NL, tokenize.COMMENT}


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of phrase that is not plain English, and what to write instead."""

    name: str
    pattern: str
    instead: str

    def find(self, prose: str) -> Iterator[int]:
        """Offsets at which *prose* uses this turn."""
        for found in re.finditer(self.pattern, prose, re.IGNORECASE):
            yield found.start()


@dataclass(frozen=True, slots=True)
class Passage:
    """Connected prose of one file; *lines* holds the line at which each part of it begins."""

    file: str
    parts: tuple[tuple[int, str], ...]

    def find(self, turn: Turn) -> Iterator[int]:
        """Lines on which this passage uses *turn*."""
        text = "".join(part for _, part in self.parts)
        for offset in turn.find(text):
            before = 0
            for line, part in self.parts:
                if offset < before + len(part):
                    yield line + part.count("\n", 0, offset - before)
                    break
                before += len(part)


def blank(pattern: re.Pattern[str], text: str) -> str:
    """Replace what *pattern* finds by spaces; line ends stay."""
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def read_markdown(file: str, text: str) -> Passage:
    """The prose of a Markdown page."""
    return Passage(file, ((1, blank(_QUOTED, blank(_CODE, text))),))


def read_python(file: str, source: str) -> Iterator[Passage]:
    """Comments and literals of a module; adjacent literals are one passage."""
    strings: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Passage(file, ((token.start[0], blank(_CODE, token.string)),))
        if token.type in _STRINGS:
            strings.append((token.start[0], _read_literal(token.string)))
        elif token.type not in _LAYOUT and strings:
            yield Passage(file, tuple(part for part in strings if " " in part[1].strip() or len(strings) > 1))
            strings = []


def _read_literal(literal: str) -> str:
    found = _LITERAL.fullmatch(literal)
    body = found["body"] if found else literal
    if not found or "f" in found["prefix"].lower():
        body = blank(_PLACEHOLDER, body)
    return blank(_QUOTED, blank(_CODE, body))


def read_notebook(file: str, text: str) -> Iterator[Passage]:
    """The cells of a notebook; a "line" counts lines of all cells together."""
    line = 1
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield Passage(file, ((line, read_markdown(file, source).parts[0][1]),))
        else:
            for passage in read_python(file, source):
                yield Passage(file, tuple((line + at - 1, part) for at, part in passage.parts))
        line += source.count("\n") + 1


def read_all(*, leave_out: frozenset[str] = frozenset()) -> Iterator[Passage]:
    """Every passage of the repository, file by file."""
    pages = sorted({path for pattern in MARKDOWN for path in ROOT.glob(pattern)})
    modules = sorted(path for room in CODE_ROOMS for path in (ROOT / room).rglob("*.py"))
    for path in (*pages, *modules, *sorted(ROOT.glob("notebooks/*.ipynb"))):
        file = path.relative_to(ROOT).as_posix()
        if file in leave_out:
            continue
        text = path.read_text()
        if path.suffix == ".md":
            yield read_markdown(file, text)
        else:
            yield from (read_python if path.suffix == ".py" else read_notebook)(file, text)
