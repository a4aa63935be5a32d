"""The folder ``findings/`` and its table agree; each script has the parts that its README asks for.

The scripts install packages, so they are not run here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.docs import pages
from tests.unit.docs.pages import ROOT

FOLDER = ROOT / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
HEADER = "| script | about | version | seen"
PARTS = ("Expected", "True", "Version", "Seen")


def explain_gaps(text: str) -> list[str]:
    """What the script *text* lacks."""
    gaps = [] if text.startswith("#!/bin/sh\n# ") else ["a first comment below #!/bin/sh"]
    gaps += [f"a line '# {part}:'" for part in PARTS if not re.search(rf"^# {part}: +\S", text, re.MULTILINE)]
    if not re.search(r"^# Seen: +20\d\d-[01]\d-[0-3]\d$", text, re.MULTILINE):
        gaps.append("the date on which it was seen")
    code = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    if "set -eu" not in code:
        gaps.append("set -eu")
    if "mktemp -d" not in code or not re.search(r"^trap .*rm -rf", code, re.MULTILINE):
        gaps.append("a temporary folder that a trap removes")
    if not re.search(r"==\d|@v?\d|=\d", code):
        gaps.append("a pinned version")
    if "netprobe" in code:
        gaps.append("independence of netprobe")
    return gaps


def list_files() -> list[str]:
    return [path.name for path in FOLDER.iterdir() if path.name != "README.md"]


def test_the_table_names_every_script_in_order() -> None:
    shown = [re.sub(r"[`\[\]]|\(.*\)", "", row[0]) for row in pages.rows(FOLDER / "README.md", HEADER)]
    assert shown == [script.name for script in SCRIPTS]


def test_rows_are_complete() -> None:
    for row in pages.rows(FOLDER / "README.md", HEADER):
        assert all(row), row
        assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", row[3]), row


def test_the_empty_table_says_that_it_is_empty() -> None:
    says_empty = "No finding has been written down yet." in (FOLDER / "README.md").read_text()
    assert says_empty is not bool(SCRIPTS)


def test_nothing_else_is_in_the_folder() -> None:
    assert sorted(list_files()) == [script.name for script in SCRIPTS]


def test_scripts_have_their_parts() -> None:
    gaps = {script.name: explain_gaps(script.read_text()) for script in SCRIPTS}
    assert gaps == {script.name: [] for script in SCRIPTS}


@pytest.mark.skipif(shutil.which("sh") is None, reason="sh is not installed")
def test_the_example_of_the_page_has_its_parts(tmp_path: Path) -> None:
    (example,) = (fence for fence in pages.fences(FOLDER / "README.md", "sh") if fence.startswith("#!"))
    assert explain_gaps(example) == []
    path = tmp_path / "example.sh"
    path.write_text(example)
    checked = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_gaps_are_seen() -> None:
    assert explain_gaps("#!/bin/sh\necho hello\n")
    assert "independence of netprobe" in explain_gaps("#!/bin/sh\n# x\nnetprobe --help\n")
