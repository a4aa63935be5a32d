"""Collects the pages of the site from the repository.

Rule: the repository's pages stay plain Markdown that reads well on a code host. Whatever only the site needs
(paths of links, navigation, generated pages) is added here, to a copy.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
INDEX = "docs/README.md"
"""The home page. Its sections, each a list of links, are the navigation."""

OUTSIDE = {
    INDEX: "index.md",
    "docs/decisions/README.md": "decisions/index.md",
    "README.md": "quickstart.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "findings/README.md": "findings.md",
}
"""Pages whose place on the site is not their path below ``docs/``."""

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\[\]]*)\]\((?P<target>[^)\s]+)\)")
_ENTRY = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<target>[^)#\s]+)\)", re.MULTILINE)
_FRAGMENT = re.compile(r"(?P<name>.+)\.(?P<kind>added|changed|fixed)\.md")


@dataclass(frozen=True, slots=True)
class Section:
    """One group of the navigation, with the titles and repository paths of its pages."""

    title: str
    entries: tuple[tuple[str, str], ...]


def find_pages() -> dict[str, str]:
    """Every page of the site: its path in the repository and its path on the site."""
    below = {
        path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "docs").as_posix()
        for path in sorted((ROOT / "docs").rglob("*.md"))
    }
    return below | OUTSIDE


def read_sections() -> list[Section]:
    """The navigation, as the home page lists it."""
    found = []
    for part in re.split(r"^## ", (ROOT / INDEX).read_text(), flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        entries = ((entry["title"], _from_root(INDEX, entry["target"])) for entry in _ENTRY.finditer(body))
        found.append(Section(title.strip(), tuple(entries)))
    return found


def stage(target: Path, generated: dict[str, str]) -> None:
    """Write all pages into the empty folder *target*: the repository's and those *generated* (path: text)."""
    pages = find_pages()
    for source, path in pages.items():
        text = _relink(source, (ROOT / source).read_text(), pages, target)
        _write(target / path, text + _navigation(source, pages, sorted(generated)))
    for path, text in generated.items():
        _write(target / path, text)
    changelog = target / OUTSIDE["CHANGELOG.md"]
    changelog.write_text(changelog.read_text() + _unreleased())


def _navigation(source: str, pages: dict[str, str], generated: list[str]) -> str:
    if source == INDEX:
        return "".join(
            _tree([f"{title} <{pages[page]}>" for title, page in section.entries], section.title)
            for section in read_sections()
        )
    if source == "docs/commands.md":
        return _tree(generated)
    if source == "docs/decisions/README.md":
        return _tree(sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md")))
    return ""


def _tree(entries: list[str], caption: str = "") -> str:
    options = ":hidden:\n" + (f":caption: {caption}\n" if caption else "")
    return "\n```{toctree}\n" + options + "\n" + "\n".join(entries) + "\n```\n"


def _unreleased() -> str:
    by_kind: dict[str, list[str]] = {"added": [], "changed": [], "fixed": []}
    for path in sorted((ROOT / "changelog.d").iterdir()):
        if match := _FRAGMENT.fullmatch(path.name):
            by_kind[match["kind"]].append("- " + " ".join(path.read_text().split()))
    parts = [f"### {kind.title()}\n\n" + "\n".join(lines) for kind, lines in by_kind.items() if lines]
    return "\n## Not released yet\n\n" + "\n\n".join(parts) + "\n" if parts else ""


def _relink(source: str, text: str, pages: dict[str, str], target: Path) -> str:
    """*text* with links that lead from the page's place on the site; code in fences stays as it is."""
    pieces = []
    last = 0
    for fence in _FENCE.finditer(text):
        pieces += [_relink_prose(source, text[last : fence.start()], pages, target), fence.group()]
        last = fence.end()
    return "".join([*pieces, _relink_prose(source, text[last:], pages, target)])


def _relink_prose(source: str, text: str, pages: dict[str, str], target: Path) -> str:
    def relink(link: re.Match[str]) -> str:
        path, hash_, anchor = link["target"].partition("#")
        leads_to = _from_root(source, path)
        if not path or "://" in path or not (ROOT / leads_to).exists():
            return link.group()  # Sphinx names what does not exist
        place = _place(leads_to, pages, target)
        if place is None:  # a folder of the repository: there is nothing to show
            return link["text"]
        here = posixpath.dirname(pages[source])
        way = posixpath.relpath(place, here or ".")
        return f"{link['image']}[{link['text']}]({way}{hash_}{anchor})"

    return _LINK.sub(relink, text)


def _place(path: str, pages: dict[str, str], target: Path) -> str | None:
    """Where *path* of the repository is on the site; other files are copied there."""
    if (ROOT / path).is_dir():
        path = posixpath.join(path, "README.md")
    if path in pages:
        return pages[path]
    if not (ROOT / path).is_file() or path.endswith(".md"):
        return None
    below = PurePosixPath(path)
    place = str(below.relative_to("docs")) if below.parts[0] == "docs" else f"files/{path}"
    (target / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / path, target / place)
    return place


def _from_root(source: str, path: str) -> str:
    return os.path.normpath(posixpath.join(posixpath.dirname(source), path))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
