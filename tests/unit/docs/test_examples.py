"""The files that the pages show can be read, and commands without a network say what the pages show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from netprobe.cli.main import cli
from netprobe.discovery.inventory.file import load_inventory
from tests.unit.docs.pages import ROOT, fences

DOCS = ROOT / "docs"


def read_output(page: str, command: str) -> str:
    """What *page* shows below ``$ command``, up to the next command."""
    for fence in fences(DOCS / page, "console"):
        for call in re.split(r"^\$ ", fence, flags=re.MULTILINE)[1:]:
            first, _, rest = call.partition("\n")
            if first == command:
                return rest
    raise AssertionError(f"{page} does not show {command}")


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> str:
    monkeypatch.chdir(tmp_path)
    program, *words = command.split()
    assert program == "netprobe"
    return CliRunner().invoke(cli, words, catch_exceptions=False).output


def test_the_intent_says_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "intent.yaml").write_text(fences(DOCS / "intent.md", "yaml")[0])
    command = "netprobe intent check intent.yaml"
    assert run(tmp_path, monkeypatch, command) == read_output("intent.md", command)


def test_the_readme_quotes_the_verification_as_the_page_has_it() -> None:
    said = read_output("intent.md", "netprobe verify -f intent.yaml --lab lab")
    (quoted,) = (text for text in fences(ROOT / "README.md", "") if "unproven" in text)
    rows = re.findall(r"^ \w+ +\d+ .*\n(?:^ {10}.*\n)+|^\d+ cells: .*\n", quoted, re.MULTILINE)
    assert len(rows) == 3
    assert "".join(rows) == quoted.replace("\n\n", "\n")
    assert [row for row in rows if row not in said] == []


def test_inventories_of_sites_are_read(tmp_path: Path) -> None:
    whole, host, forwards = (yaml.safe_load(fence) for fence in fences(DOCS / "sites.md", "yaml"))
    path = tmp_path / "sites.yaml"
    path.write_text(yaml.safe_dump(whole | forwards))
    read = load_inventory(path)
    assert [node.ssh.target.host for cluster in read.clusters for node in cluster.nodes if node.ssh] == [
        "192.0.2.10"
    ]
    assert [forward.name for forward in read.forwards] == ["hub", "prod-api"]
    whole["clusters"][0]["nodes"][0] |= host
    path.write_text(yaml.safe_dump(whole))
    (node,) = load_inventory(path).clusters[0].nodes
    assert node.ssh is not None
    assert node.ssh.bus_port == 14222
