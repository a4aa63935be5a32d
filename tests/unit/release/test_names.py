"""No name that others hold is ever a default: image organisations, repositories, the package on PyPI."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOREIGN = {
    r"ghcr\.io/netprobe\b": "an organisation that is not ours",
    r"(docker|quay)\.io/(library/)?netprobe\b": "an organisation that is not ours",
    r"github\.com/netprobe\b": "an organisation that is not ours",
    r"pip3? install ([^\n#]*['\" ])?['\"]?netprobe(\[|['\" \n]|==)": "another project's package",
    r"\bnetprobe\[[a-z]+\]": "an extra of another project's package",
    r"image: (netprobe|netprobe-agent)[:@]": "an image of Docker Hub's",
}
"""What must not stand in a file that people apply, run or copy from."""
SEARCHED = re.compile(r"\.(py|md|ya?ml|toml|sh|json|lock|ipynb)$|(^|/)(Dockerfile|Makefile)$")
EXEMPT = {"tests/unit/release/test_names.py"}


def files() -> list[str]:
    told = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split("\n")
    return [name for name in told if SEARCHED.search(name) and name not in EXEMPT and (ROOT / name).is_file()]


def test_no_file_names_what_others_hold() -> None:
    found = []
    for name in files():
        text = (ROOT / name).read_text(errors="replace")
        for pattern, what in FOREIGN.items():
            found += [f"{name}: {match[0].strip()!r}: {what}" for match in re.finditer(pattern, text)]
    assert found == []


@pytest.mark.parametrize(
    "text",
    ["image: netprobe-agent:0.1.0", "newName: ghcr.io/netprobe/netprobe", "pip install netprobe\n",
     "pip install 'netprobe[agent]'", "url: https://github.com/netprobe/netprobe"],
)  # fmt: skip
def test_such_a_name_would_be_seen(text: str) -> None:
    assert any(re.search(pattern, text) for pattern in FOREIGN)


def test_the_package_has_a_name_of_its_own_and_keeps_import_and_commands() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == "netprobe-fabric"
    assert {"netprobe", "netprobe-agent", "kubectl-netprobe"} == set(project["scripts"])
    extras = [each for one in project["optional-dependencies"].values() for each in one]
    assert {each.partition("[")[0] for each in extras if each.startswith("netprobe")} == {"netprobe-fabric"}
