"""What two attempts at the same tests mean: passed, flaky, failed.

Rule: only a test that really passed in its second attempt is flaky; one that was skipped, or did not come to
its turn, has failed. Flaky tests are never silent, and more than MOST_FLAKY of them fail the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.suite.outcomes import PhaseReport

MOST_FLAKY = 2
EXIT_PASSED, EXIT_TESTS_FAILED, EXIT_TIME_OVER = 0, 1, 124
"""Of pytest, pytest and timeout(1)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of pytest."""

    exit_code: int
    reports: tuple[PhaseReport, ...]

    def failures(self) -> dict[str, str]:
        """The tests that failed in any phase, and what they printed, in order."""
        found: dict[str, list[str]] = {}
        for report in self.reports:
            if report.outcome == "failed":
                found.setdefault(report.test, []).append(f"[{report.phase}]\n{report.output}")
        return {test: "\n".join(told) for test, told in found.items()}

    def passed(self, test: str) -> bool:
        """Whether *test* ran to its end and nothing failed, in this test or around it."""
        called = any(
            report.test == test and report.phase == "call" and report.outcome == "passed"
            for report in self.reports
        )
        return self.exit_code == EXIT_PASSED and called and not self.failures()


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """What becomes of the run."""

    flaky: Mapping[str, str]
    """Tests that failed and passed when asked alone, with the output of the failure."""
    failed: tuple[str, ...]
    problem: str = ""
    """Why the run itself is not valid, whatever its tests say."""

    @property
    def exit_code(self) -> int:
        """0 only where nothing failed for good and few tests are flaky."""
        return int(bool(self.problem or self.failed) or len(self.flaky) > MOST_FLAKY)


def judge(first: Attempt, second: Mapping[str, Attempt]) -> RunVerdict:
    """Judge a run by its *first* attempt and by a *second* one for each test that failed."""
    failures = first.failures()
    flaky = {test: told for test, told in failures.items() if test in second and second[test].passed(test)}
    failed = tuple(test for test in failures if test not in flaky)
    return RunVerdict(flaky, failed, _problem(first, failures))


def _problem(first: Attempt, failures: Iterable[str]) -> str:
    match first.exit_code:
        case 0:
            return "pytest passed and told of failures" if tuple(failures) else ""
        case 1:
            return "" if tuple(failures) else "pytest failed and named no test"
        case 124:
            return ""
        case code:
            return f"pytest did not finish: exit code {code}"


def describe(verdict: RunVerdict) -> str:
    """The end of the log."""
    lines = []
    for test, told in verdict.flaky.items():
        lines += [f"FLAKY {test}: it failed, and passed when it ran again alone. The failure was:", told, ""]
    lines += [f"FLAKY {test}" for test in verdict.flaky]
    if len(verdict.flaky) > MOST_FLAKY:
        lines.append(f"{len(verdict.flaky)} tests are flaky; more than {MOST_FLAKY} fail the run")
    lines += [f"FAILED {test}: it did not pass when it ran again alone" for test in verdict.failed]
    if verdict.problem:
        lines.append(f"FAILED: {verdict.problem}")
    return "\n".join(lines)
