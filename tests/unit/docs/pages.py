"""The pages of the project and their contents: code spans, command lines, links, tables."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROOT_PAGES = ("CONTRIBUTING.md", "README.md", "SECURITY.md", "findings/README.md")
PAGES = tuple(
    sorted(
        [
            *(ROOT / name for name in ROOT_PAGES),
            *(ROOT / "docs").rglob("*.md"),
            *(ROOT / "changelog.d").glob("*.md"),
        ]
    )
)
PROGRAMS = ("netprobe", "netprobe-agent", "make", "python -m benchmarks", "python -m benchmarks.soak")
_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`(?P<code>[^`]+)`")
_SHELL = ("", "sh", "bash", "console")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of code and its place; *whole* if it is a line to be copied into a shell."""

    page: Path
    line: int
    code: str
    whole: bool

    def __str__(self) -> str:
        """Name page and line, as editors do."""
        return f"{self.page.relative_to(ROOT)}:{self.line}: {self.code}"


def spans(page: Path) -> Iterator[Snippet]:
    """Code spans of *page* outside of fences; one that is broken over two lines is one."""
    text = page.read_text()
    prose = _FENCE.sub(lambda found: "\n" * found.group().count("\n"), text)
    for found in _SPAN.finditer(prose):
        yield Snippet(
            page, prose.count("\n", 0, found.start()) + 1, " ".join(found["code"].split()), whole=False
        )


def fences(page: Path, language: str) -> list[str]:
    """The bodies of the fences of *page* that name *language*, or no language for ``""``."""
    return [found["body"] for found in _FENCE.finditer(page.read_text()) if found["language"] == language]


def shell_lines(page: Path) -> Iterator[Snippet]:
    """Lines of the shell in fences of *page*, continued ones joined; of a console only what follows ``$``."""
    text = page.read_text()
    for fence in _FENCE.finditer(text):
        if fence["language"] not in _SHELL:
            continue
        first = text.count("\n", 0, fence.start("body")) + 1
        body = fence["body"].replace("\\\n", "\0\n")
        joined = ""
        for number, line in enumerate(body.splitlines(), first):
            joined += line
            if joined.endswith("\0"):
                joined = joined[:-1]
                continue
            if fence["language"] == "console":
                joined = joined[2:] if joined.startswith("$ ") else ""
            yield Snippet(page, number, joined.strip(), whole=True)
            joined = ""


def commands(page: Path) -> Iterator[tuple[Snippet, list[str]]]:
    """Every call of one of :data:`PROGRAMS` in *page*, in words; comments and redirections are left out."""
    for snippet in (*shell_lines(page), *spans(page)):
        for call in re.split(r" && | \| (?!-)|; ", snippet.code):
            try:
                words = shlex.split(call, comments=snippet.whole)
            except ValueError:  # an apostrophe: prose of an output, not a command
                continue
            while words and re.fullmatch(r"[A-Z_0-9]+=.*", words[0]):
                words.pop(0)
            if words and words[0] == ".venv/bin/python":
                words[0] = "python"
            if ">" in words:
                words = words[: words.index(">")]
            if any(words[: len(program.split())] == program.split() for program in PROGRAMS):
                yield snippet, words[:-1] if words[-1] in ("…", "&") else words


def links(page: Path) -> Iterator[Snippet]:
    """Targets of the links of *page* that lead into the project."""
    text = page.read_text()
    for found in _LINK.finditer(text):
        if not found["target"].startswith(("http://", "https://")):
            yield Snippet(page, text.count("\n", 0, found.start()) + 1, found["target"], whole=False)


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of *page*, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(page: Path, header: str) -> list[list[str]]:
    """The cells of the table of *page* whose header line begins with *header*."""
    lines = iter(page.read_text().splitlines())
    assert any(line.startswith(header) for line in lines), f"{page.name} has no table {header!r}"
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found
