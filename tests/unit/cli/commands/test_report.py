"""``netprobe report``: to a directory or to one file, from a bundle, with exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from netprobe.cli.main import cli
from netprobe.errors import InputError, SystemRefusedError
from netprobe.store.bundle import write_bundle
from tests import fleets


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "evidence", fleets.tunnel_down())
    return tmp_path / "evidence"


def run(bundle: Path, *words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["report", "--from", str(bundle), *map(str, words)])


def test_a_directory_gets_everything_and_the_exit_code_tells(bundle: Path, tmp_path: Path) -> None:
    result = run(bundle, "--output", tmp_path / "report")
    assert result.output.startswith("1 finding: tunnel prod ↔ staging is down")
    assert result.exit_code == 1
    assert {"report.html", "report.md", "report.json", "topology.png"} <= {
        path.name for path in (tmp_path / "report").iterdir()
    }


@pytest.mark.parametrize(
    ("name", "start"), [("r.md", "# 1 finding"), ("r.html", "<!DOCTYPE"), ("r.json", "{")]
)
def test_a_file_gets_the_report_its_name_asks_for(
    name: str, start: str, bundle: Path, tmp_path: Path
) -> None:
    run(bundle, "--output", tmp_path / "out" / name)
    assert (tmp_path / "out" / name).read_text().startswith(start)
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_one_format_into_a_directory(bundle: Path, tmp_path: Path) -> None:
    run(bundle, "--output", tmp_path / "out", "--format", "json")
    assert (tmp_path / "out" / "report.json").exists()
    assert not (tmp_path / "out" / "report.html").exists()


def test_all_formats_do_not_fit_into_one_file(bundle: Path, tmp_path: Path) -> None:
    result = run(bundle, "--output", tmp_path / "r.html", "--format", "all")
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == f"{tmp_path}/r.html: --format all needs a directory"


def test_a_place_that_cannot_be_written_is_named(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(bundle, "--output", tmp_path / "file" / "r.md")
    assert isinstance(result.exception, SystemRefusedError)
    assert str(result.exception).startswith(f"{tmp_path}/file/r.md: cannot be written")
