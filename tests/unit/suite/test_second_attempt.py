"""A failure is never hidden: what a second attempt may forgive, and what not, on real runs of pytest."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.suite.e2e import Attempts, run_twice
from tests.suite.outcomes import PhaseReport
from tests.suite.parts import ROOT
from tests.suite.second_attempt import MOST_FLAKY, Attempt, describe, judge

PASSED = PhaseReport("t.py::test_a", "call", "passed")
FAILED = PhaseReport("t.py::test_a", "call", "failed", "AssertionError: two is not three")
A = FAILED.test
ONE_FAILURE = Attempt(1, (FAILED,))


def failures(count: int) -> Attempt:
    return Attempt(
        1, tuple(PhaseReport(f"t.py::test_{n}", "call", "failed", f"failure {n}") for n in range(count))
    )


def passing(test: str) -> Attempt:
    return Attempt(0, (PhaseReport(test, "setup", "passed"), PhaseReport(test, "call", "passed")))


def test_a_run_in_which_everything_passed_passes_and_says_nothing() -> None:
    verdict = judge(Attempt(0, (PASSED,)), {})
    assert (verdict.exit_code, describe(verdict)) == (0, "")


def test_what_fails_and_then_passes_is_flaky_and_its_failure_is_printed() -> None:
    verdict = judge(ONE_FAILURE, {A: passing(A)})
    assert (verdict.exit_code, list(verdict.flaky), verdict.failed) == (0, [A], ())
    assert "two is not three" in describe(verdict)
    assert describe(verdict).splitlines()[-1] == f"FLAKY {A}"


def test_what_fails_twice_has_failed() -> None:
    verdict = judge(ONE_FAILURE, {A: ONE_FAILURE})
    assert (verdict.exit_code, dict(verdict.flaky), verdict.failed) == (1, {}, (A,))


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({}, id="it did not come to its turn"),
        pytest.param({A: Attempt(124, ())}, id="the time was over"),
        pytest.param({A: Attempt(124, (PASSED,))}, id="the time was over as it was put away"),
        pytest.param({A: Attempt(0, (PhaseReport(A, "setup", "skipped"),))}, id="it was skipped"),
        pytest.param({A: Attempt(5, ())}, id="it was not found"),
        pytest.param(
            {A: Attempt(0, (PhaseReport("t.py::test_b", "call", "passed"),))}, id="another test passed"
        ),
        pytest.param(
            {A: Attempt(1, (PASSED, PhaseReport(A, "teardown", "failed", "left behind")))}, id="teardown"
        ),
        pytest.param({A: Attempt(-9, (PASSED,))}, id="it was killed"),
    ],
)
def test_only_a_test_that_really_passed_is_forgiven(second: dict[str, Attempt]) -> None:
    verdict = judge(ONE_FAILURE, second)
    assert (verdict.exit_code, verdict.failed) == (1, (A,))


@pytest.mark.parametrize(("count", "code"), [(MOST_FLAKY, 0), (MOST_FLAKY + 1, 1)])
def test_more_than_a_few_flaky_tests_fail_the_run(count: int, code: int) -> None:
    first = failures(count)
    verdict = judge(first, {test: passing(test) for test in first.failures()})
    assert (verdict.exit_code, len(verdict.flaky), verdict.failed) == (code, count, ())


@pytest.mark.parametrize("phase", ["setup", "teardown"])
def test_errors_around_a_test_are_failures_too(phase: str) -> None:
    first = Attempt(1, (PASSED, PhaseReport(A, phase, "failed", "an error")))  # type: ignore[arg-type]
    assert judge(first, {}).failed == (A,)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, -9, -11])
def test_a_run_that_failed_without_naming_a_test_fails(code: int) -> None:
    assert judge(Attempt(code, (PASSED,)), {}).exit_code == 1


def test_what_failed_before_the_time_was_over_has_failed() -> None:
    assert judge(Attempt(124, (PASSED,)), {}).exit_code == 0
    assert judge(Attempt(124, (FAILED,)), {}).exit_code == 1


SUITE = """
import pathlib, pytest
HERE = pathlib.Path(__file__).parent

def test_that_passes(): pass

@pytest.mark.parametrize("n", range({flaky}))
def test_that_fails_at_first(n):
    mark = HERE / f"seen-{{n}}"
    if not mark.exists():
        mark.touch()
        raise AssertionError("the network was not there yet")

def test_that_fails_always():
    print("what it printed")
    assert not {broken}
"""


def run_suite(
    folder: Path, *, flaky: int, broken: bool, seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_them.py").write_text(SUITE.format(flaky=flaky, broken=broken))
    command = [sys.executable, "-m", "tests.suite.e2e", f"--seconds={seconds}", "test_them.py"]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_real_run_with_one_flaky_test_passes_and_ends_with_its_name(tmp_path: Path) -> None:
    ran = run_suite(tmp_path, flaky=1, broken=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    *_, last = ran.stdout.splitlines()
    assert last.startswith("FLAKY ")
    assert last.endswith("test_that_fails_at_first[0]")
    assert ran.stdout.count("the network was not there yet") >= 2, "where it failed and at the end of the log"


def test_a_real_run_with_a_failure_fails_and_keeps_the_output(tmp_path: Path) -> None:
    ran = run_suite(tmp_path, flaky=1, broken=True)
    assert ran.returncode == 1
    assert "what it printed" in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("FAILED ")


def test_where_no_time_is_left_nothing_is_said_to_have_passed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_twice(Attempts(time.monotonic(), tmp_path), ["tests/e2e"]) == 0
    assert "NOT RUN to the end" in capfd.readouterr().out
