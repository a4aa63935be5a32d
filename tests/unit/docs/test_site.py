"""The documentation site holds every page once, its links lead somewhere, and commands match ``--help``.

Sphinx itself checks the same again when the site is built (``make docs``); these tests need no Sphinx.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from docs.site.commands import escape, write_pages
from docs.site.pages import INDEX, OUTSIDE, find_pages, read_sections, stage
from netprobe.cli.main import cli
from tests.unit.docs import pages
from tests.unit.docs.pages import ROOT

COMMANDS = write_pages(cli, "netprobe")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    stage(folder, COMMANDS)
    return folder


def test_the_home_page_lists_every_page_once() -> None:
    listed = Counter(page for section in read_sections() for _, page in section.entries)
    expected = {page for page in find_pages() if page != INDEX and not page.startswith("docs/decisions/0")}
    assert dict(listed) == dict.fromkeys(expected, 1)


def test_every_decision_is_listed() -> None:
    listed = [link.code for link in pages.links(ROOT / "docs/decisions/README.md")]
    assert listed == sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))


def test_links_outside_of_docs_lead_somewhere() -> None:
    for source in OUTSIDE:
        for link in pages.links(ROOT / source):
            path, _, anchor = link.code.partition("#")
            page = (link.page.parent / path).resolve() if path else link.page
            assert page.exists(), link
            assert not anchor or anchor in pages.anchors(page), link


def test_links_of_the_site_lead_somewhere(site: Path) -> None:
    found = 0
    for page in site.rglob("*.md"):
        prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            path, _, anchor = target.partition("#")
            if "://" in target:
                continue
            found += 1
            other = (page.parent / path).resolve() if path else page
            assert other.is_file(), f"{page.relative_to(site)}: {target}"
            assert not anchor or anchor in pages.anchors(other), f"{page.relative_to(site)}: {target}"
            assert other.is_relative_to(site), f"{page.relative_to(site)}: {target}"
    assert found > 100


def test_pictures_and_schemas_come_along(site: Path) -> None:
    assert (site / "images/map.png").is_file()
    assert (site / "schemas/intent.schema.json").is_file()


def test_code_in_fences_is_not_touched(site: Path) -> None:
    for source, path in find_pages().items():
        text = (site / path).read_text()
        for fence in re.findall(r"^```.*?^```$", (ROOT / source).read_text(), re.MULTILINE | re.DOTALL):
            assert fence in text, source


def test_the_changelog_has_what_is_not_released_yet(site: Path) -> None:
    text = (site / "changelog.md").read_text()
    fragments = [path for path in (ROOT / "changelog.d").glob("*.md") if path.name != "README.md"]
    assert all(" ".join(path.read_text().split()) in text for path in fragments)


def test_every_command_has_a_page_with_its_help() -> None:
    names = cli.list_commands(click.Context(cli))
    assert set(COMMANDS) == {f"commands/{name}.md" for name in names}
    for path, text in COMMANDS.items():
        name = Path(path).stem
        printed = CliRunner().invoke(cli, [name, "--help"], terminal_width=200).output
        options = set(re.findall(r"^  (?:-\w, )?(--[a-z][\w-]*)", printed, re.MULTILINE)) - {"--help"}
        assert options <= set(re.findall(r"--[a-z][\w-]*", text)), name
        first = printed.split("\n\n")[1].split()[:3]
        assert " ".join(first) in text.replace("`", ""), name


def test_help_is_shown_literally() -> None:
    assert escape("Give *all* of --ca, see `x_y`: a_b") == r"Give \*all\* of `--ca`, see `x_y`: a\_b"
    assert escape("[env var: NETPROBE_BUS]") == r"\[env var: `NETPROBE_BUS`\]"


def test_subcommands_are_sections_of_their_group() -> None:
    text = COMMANDS["commands/lab.md"]
    assert "\n## netprobe lab up\n" in text
    assert "\n### netprobe lab fault add\n" in text
