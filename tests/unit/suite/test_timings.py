"""The table at the end of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.suite.timings import Timing, keep, read_kept, table

PARTS = [Timing("lint", 0.6, 0), Timing("unit", 200.4, 1), Timing("lab", 3600, 0)]


def test_the_table_shows_each_part_and_the_total() -> None:
    assert table(PARTS, total_s=3725.2).splitlines() == [
        "lint      0:01  passed",
        "unit      3:20  FAILED (1)",
        "lab      60:00  passed",
        "total    62:05",
    ]


def test_what_did_not_run_says_so_in_the_table() -> None:
    not_run = Timing("e2e", 4, 0, "NOT RUN: go is needed")
    assert table([not_run], total_s=4).splitlines()[0] == "e2e       0:04  passed, NOT RUN: go is needed"


def test_what_several_programs_kept_is_read_as_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(PARTS)  # nothing asked for it: nothing is written
    monkeypatch.setenv("NETPROBE_TEST_TIMES", str(tmp_path / "times"))
    keep(PARTS[:1])
    keep(PARTS[1:])
    assert read_kept() == PARTS
