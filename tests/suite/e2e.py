"""``python -m tests.suite.e2e --seconds N``: tests on real Kubernetes; what fails runs once more, alone.

Rule: nothing is forgiven in silence. What passes in its second attempt is listed as FLAKY at the end of the
log with the output of its failure; more than a few of them fail the run (``tests.suite.second_attempt``).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.suite import timings
from tests.suite.outcomes import read_reports
from tests.suite.second_attempt import EXIT_TESTS_FAILED, EXIT_TIME_OVER, Attempt, describe, judge
from tests.suite.timings import Timing

_TO_END_S = 60
"""How long pytest may take to put everything away once its time is over; then it is killed."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Runs pytest until a moment of the monotonic clock."""

    ends_s: float
    folder: Path

    def run(self, tests: Sequence[str], *options: str) -> Attempt:
        """Run *tests*; exit code 124 where the time was over first."""
        left_s = self.ends_s - time.monotonic()
        outcomes = self.folder / f"{len(list(self.folder.iterdir()))}.jsonl"
        if left_s <= 0:
            return Attempt(EXIT_TIME_OVER, ())
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "tests.suite.outcomes",
            f"--outcomes={outcomes}",
        ]
        with subprocess.Popen([*command, *options, *tests]) as running:
            try:
                code = running.wait(left_s)
            except subprocess.TimeoutExpired:
                code = EXIT_TIME_OVER
                _end(running)
        return Attempt(code, read_reports(outcomes))


def _end(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    try:
        running.wait(_TO_END_S)
    except subprocess.TimeoutExpired:
        running.kill()


def run_twice(attempts: Attempts, tests: Sequence[str]) -> int:
    """Run *tests*, run what failed once more alone, print what that means and return the exit code."""
    first = attempts.run(tests, "--durations=15")
    second = {}
    if first.exit_code == EXIT_TESTS_FAILED:
        for test in first.failures():
            print(f"--- once more, alone: {test}", flush=True)
            second[test] = attempts.run([test])
    verdict = judge(first, second)
    if told := describe(verdict):
        print(f"\n{told}", flush=True)
    if first.exit_code == EXIT_TIME_OVER:
        print("NOT RUN to the end: the end-to-end tests on real Kubernetes: the time was over", flush=True)
    return verdict.exit_code


def main() -> int:
    """Run the end-to-end tests, or the tests named."""
    parser = argparse.ArgumentParser(prog="python -m tests.suite.e2e", description=__doc__)
    parser.add_argument("--seconds", type=float, required=True, help="end when this time is over")
    parser.add_argument("tests", nargs="*", default=["tests/e2e"])
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        code = run_twice(Attempts(began + chosen.seconds, Path(folder)), chosen.tests)
    timings.keep([Timing("e2e", time.monotonic() - began, code)])
    return code


if __name__ == "__main__":
    sys.exit(main())
