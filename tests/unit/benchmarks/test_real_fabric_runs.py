"""The record of what was seen on fabrics' own programs: counted as it is, and nothing without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.real_fabric_runs import RealRun, add_run, forget_runs, read_runs

CUT = RealRun("Submariner", "submariner-1/gateway", "cut", is_contradicted=True)


def test_without_a_run_there_is_no_record(tmp_path: Path) -> None:
    assert read_runs(tmp_path / "none") == ()


def test_a_fabric_that_is_tested_again_loses_its_own_lines_only(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "runs"
    other = replace(CUT, fabric="MCS API", is_contradicted=False)
    add_run(CUT, file)
    add_run(other, file)
    assert read_runs(file) == (CUT, other)
    forget_runs("Submariner", file)
    assert read_runs(file) == (other,)
