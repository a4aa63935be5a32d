"""``netprobe report diff`` and ``save``: an upgrade gate from bundles and from verifications."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from netprobe.cli.main import cli
from netprobe.errors import InputError
from netprobe.render.reports.formats import REPORT_FORMATS
from netprobe.render.reports.verification import VerificationReport
from netprobe.store.bundle import read_bundle, write_bundle
from netprobe.store.verification import read_verification
from tests import fleets
from tests.unit.render.reports.formats.test_formats import JUDGED


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, words)], env={"COLUMNS": "80"})


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, Path]:
    slow = tuple(replace(path, rtt_p50_ns=path.rtt_p50_ns and path.rtt_p50_ns * 9)
                 for path in fleets.healthy().paths)  # fmt: skip
    write_bundle(tmp_path / "healthy", fleets.healthy())
    write_bundle(tmp_path / "slow", replace(fleets.healthy(), paths=slow))
    write_bundle(tmp_path / "down", fleets.tunnel_down())
    return tmp_path / "healthy", tmp_path / "down"


def test_a_tunnel_that_broke_refuses_the_upgrade(bundles: tuple[Path, Path]) -> None:
    result = run("diff", *bundles)
    assert result.output.startswith("worse than allowed: 108 broken; 420 paths compared\n")
    assert max(map(len, result.output.splitlines())) <= 80
    assert "tunnel prod-us-west-1 ↔ staging-eu-central-1 is down" in result.output
    assert result.exit_code == 1


def test_the_same_the_other_way_is_no_reason_to_refuse(bundles: tuple[Path, Path]) -> None:
    result = run("diff", *reversed(bundles))
    assert result.output.startswith("108 repaired; 420 paths compared\n")
    assert result.exit_code == 0


def test_what_is_refused_can_be_said(bundles: tuple[Path, Path]) -> None:
    healthy, down = bundles
    assert run("diff", healthy, healthy.parent / "slow").exit_code == 0
    assert run("diff", healthy, healthy.parent / "slow", "--fail-on", "broken, slower").exit_code == 1
    assert run("diff", healthy, healthy.parent / "slow", "--fail-on=slower", "--slower=10").exit_code == 0
    assert run("diff", healthy, down, "--fail-on", "").exit_code == 0


def test_an_unknown_kind_is_named(bundles: tuple[Path, Path]) -> None:
    result = run("diff", *bundles, "--fail-on", "broken,lost")
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith("--fail-on: 'lost' is not one of broken, leak, ")


def test_files_are_written_beside_what_is_printed(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    result = run("diff", *bundles, "-o", "json", "--write", tmp_path / "x.xml", "--write", tmp_path / "x.md")
    assert json.loads(result.output)["counts"]["broken"] == 108
    assert 'failures="' in (tmp_path / "x.xml").read_text()
    assert (tmp_path / "x.md").read_text().startswith("# worse than allowed")


def test_a_moment_is_saved_and_compared_with_now(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    saved = run("save", tmp_path / "kept", "--from", bundles[1])
    assert saved.output == f"1 finding: tunnel prod ↔ staging is down\n  {tmp_path}/kept\n"
    assert read_bundle(tmp_path / "kept") == read_bundle(bundles[1])
    result = run("diff", bundles[0], "--from", tmp_path / "kept")
    assert result.exit_code == 1


@pytest.fixture
def verified(tmp_path: Path) -> Path:
    (tmp_path / "verified.json").write_text(REPORT_FORMATS["json"].write(VerificationReport(JUDGED)))
    return tmp_path / "verified.json"


def test_what_verify_wrote_is_read_back_as_it_was(verified: Path) -> None:
    assert read_verification(verified) == JUDGED


def test_a_door_that_opened_between_two_verifications_is_a_leak(verified: Path, tmp_path: Path) -> None:
    shut = (JUDGED[0], replace(JUDGED[1], verdict=JUDGED[0].verdict), *JUDGED[2:])
    (tmp_path / "before.json").write_text(REPORT_FORMATS["json"].write(VerificationReport(shut)))
    result = run("diff", tmp_path / "before.json", verified)
    assert result.output.startswith("worse than allowed: 1 leak; 4 paths compared\n")
    assert result.exit_code == 1


def test_a_verification_is_not_compared_with_a_bundle(verified: Path, bundles: tuple[Path, Path]) -> None:
    result = run("diff", verified, bundles[0])
    assert isinstance(result.exception, InputError)
    assert (
        str(result.exception)
        == f"{verified}: give a second file of `netprobe verify -o json` to compare it with"
    )


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("source", "nobody", "cells[0].source: "),
        ("door", "tcp/99999", "cells[0].{field}: 'tcp/99999' is not a port such as tcp/443"),
        ("door", "quic/1", "cells[0].{field}: 'quic/1' is not a port such as tcp/443"),
        ("verdict", "fine", "is not what netprobe verify writes: Invalid enum value 'fine'"),
    ],
)
def test_a_damaged_verification_is_one_clear_error(field: str, value: str, told: str, verified: Path) -> None:
    document = json.loads(verified.read_text())
    document["cells"][0][field] = value
    verified.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        read_verification(verified)
    assert told.format(field=field) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "netprobe/report", "version": 1, "cells": []}'])
def test_anything_else_is_refused(text: str, verified: Path) -> None:
    verified.write_text(text)
    with pytest.raises(InputError, match=str(verified)):
        read_verification(verified)
