"""No test is left out of the suite, and none runs in two parts."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.suite.parts import (
    LAB,
    LAB_QUIET,
    LAB_SLOW,
    LAB_SLOW_QUIET,
    ROOT,
    SCENARIOS,
    SLOW,
    TARGETS,
    UNIT,
    Part,
    parts_of,
)
from tests.suite.runner import run_stages
from tests.suite.timings import Timing

WHOLE = parts_of("test", "slow", "lab-slow", "bad-days")
"""What CI runs before the end-to-end tests."""
IMPORT = re.compile(r"from (?P<module>netprobe(_agent)?(\.\w+)*) import (?P<names>\w+(, \w+)*)")
ELSEWHERE = {"tests/e2e": ".ci/e2e"}


def marked(part: Part) -> str:
    return part.command[part.command.index("-m", 3) + 1]  # the first -m is Python's: python -m pytest


def test_every_lab_test_runs_in_exactly_one_part() -> None:
    expressions = ("", *map(marked, (LAB, LAB_QUIET, LAB_SLOW, LAB_SLOW_QUIET)))
    command = [sys.executable, "-m", "tests.unit.suite.collection", "tests/lab", *expressions]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    everything, *parts = map(set, json.loads(ran.stdout.splitlines()[-1]))
    assert len(everything) > 400
    assert set.union(*parts) == everything
    assert sum(map(len, parts)) == len(everything)


def test_every_file_of_tests_is_run_by_a_part_or_by_the_end_to_end_program() -> None:
    folders = {word for part in WHOLE for word in part.command if word.startswith("tests/")} | set(ELSEWHERE)
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    assert {file for file in files if not any(file.startswith(f"{folder}/") for folder in folders)} == set()
    assert all(Path(ROOT / program).exists() for program in ELSEWHERE.values())


def test_ci_runs_all_of_them_and_the_end_to_end_tests() -> None:
    script = (ROOT / ".ci/run").read_text()
    expected = ("make test", "make slow", "make lab-slow", "make bad-days", ".ci/e2e")
    assert [line for line in expected if line not in script] == []


def test_all_is_what_ci_runs() -> None:
    assert set(parts_of("test", "rest")) == set(WHOLE)


def test_markers_divide_nothing_else() -> None:
    divided = {part.name: marked(part) for part in WHOLE if "-m" in part.command[3:]}
    assert divided.keys() == {"lab", "lab-quiet", "lab-slow", "lab-slow-quiet", "unit", "scenarios", "slow"}
    assert {divided["unit"], divided["scenarios"]} == {"not slow"}
    assert divided["slow"] == "slow"
    folders = [{word for word in part.command if "/" in word} for part in (UNIT, SCENARIOS, SLOW)]
    assert folders[0] | folders[1] == folders[2]


def test_every_target_of_the_suite_is_one_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in TARGETS if f"\n{target}:" not in makefile] == []


def test_every_part_runs_though_one_fails_and_all_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    first, bad, last = (
        Part(name, ("python", "-c", f"print('{name} ran'); raise SystemExit({code})"))
        for name, code in (("first", 0), ("bad", 3), ("last", 0))
    )
    told: list[Timing] = []
    run_stages((((first, bad), (first,)), ((last,),)), done=told.append)
    assert sorted((one.part, one.exit_code) for one in told) == [
        ("bad", 3), ("first", 0), ("first", 0), ("last", 0),
    ]  # fmt: skip
    assert told[-1].part == "last"
    assert [capfd.readouterr().out.count(f"{name} ran") for name in ("bad",)] == [1]


def test_a_part_in_the_background_takes_only_idle_processor_time(capfd: pytest.CaptureFixture[str]) -> None:
    asking = ("python", "-c", "import os; print('policy', os.sched_getscheduler(0))")
    lanes = (Part("front", asking),), (Part("behind", asking, is_background=True),)
    run_stages((lanes,), done=lambda _: None)
    out = capfd.readouterr().out
    assert f"--- front\npolicy {os.SCHED_OTHER}" in out
    assert f"--- behind\npolicy {os.SCHED_IDLE}" in out


def test_a_part_adds_no_rows_to_the_table_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of the suite run the suite: a failure that they play once failed a whole run of CI."""
    monkeypatch.setenv("NETPROBE_TEST_TIMES", str(tmp_path / "times"))
    playing = "from tests.suite.timings import Timing, keep; keep([Timing('played', 1, 1)])"
    done: list[Timing] = []
    run_stages((((Part("unit", ("python", "-c", playing)),),),), done=done.append)
    assert [one.exit_code for one in done] == [0]
    assert not (tmp_path / "times").exists()


def test_no_module_of_tests_hides_one_of_the_standard_library() -> None:
    """A program's own folder comes first on Python's path, so that `import operator` would find ours."""
    modules = {path.stem: path for path in (ROOT / "tests").rglob("*.py")}
    assert {
        str(modules[name]) for name in modules.keys() & sys.stdlib_module_names if name != "__main__"
    } == set()


def test_programs_that_tests_hold_as_text_import_names_that_exist() -> None:
    """Neither mypy nor a rename in an editor sees them, and lab tests find out late."""
    texts = [
        (path, node.value)
        for path in (*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    wrong = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path, text in texts
        for found in IMPORT.finditer(text)
        for name in found["names"].split(", ")
        if not hasattr(importlib.import_module(found["module"]), name.strip())
    ]
    assert wrong == []
