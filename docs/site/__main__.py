"""``python -m docs.site``: collects the pages, runs Sphinx and checks that the site works offline."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as run_sphinx

from docs.site.commands import write_pages
from docs.site.pages import ROOT, stage
from netprobe.cli.main import cli

BUILD = ROOT / "build" / "docs"
_HERE = Path(__file__).parent
# What a browser would load by itself; links that a reader may follow are not meant.
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//[^>]*"""
    r"""|<link\b(?![^>]*\brel=["'](?:canonical|author|license))[^>]*\bhref=["'](?:https?:)?//[^>]*"""
    r"""|@import[^;]*//[^;]*|url\(["']?(?:https?:)?//[^)]*""",
)


def find_loaded(folder: Path) -> list[str]:
    """What pages and styles of *folder* load from elsewhere."""
    return [
        f"{path.relative_to(folder)}: {found.group()}"
        for path in sorted(folder.rglob("*"))
        if path.suffix in {".html", ".css"}
        for found in _LOADED.finditer(path.read_text())
    ]


def main() -> int:
    """Build into ``build/docs/html``; a warning, or a page that loads from elsewhere, is an error."""
    shutil.rmtree(BUILD, ignore_errors=True)
    pages, html = BUILD / "pages", BUILD / "html"
    stage(pages, write_pages(cli, "netprobe"))
    options = [
        "-c",
        str(_HERE),
        "-d",
        str(BUILD / "doctrees"),
        "--quiet",
        "--fail-on-warning",
        "--keep-going",
    ]
    if code := run_sphinx([*options, str(pages), str(html)]):
        return code
    if loaded := find_loaded(html):
        print("the site must work offline, but loads:", *loaded, sep="\n  ", file=sys.stderr)
        return 1
    print(f"open {(html / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
