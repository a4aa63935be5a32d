"""A pytest plugin that writes down how each test ended, while the run goes on: ``-p tests.suite.outcomes``.

Rule: one line per report, flushed at once, so that a run that is killed leaves what it saw until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import msgspec
import pytest

_FILE = pytest.StashKey[IO[bytes]]()


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """One phase of one test, as pytest reported it."""

    test: str
    phase: Literal["collect", "setup", "call", "teardown"]
    outcome: Literal["passed", "failed", "skipped"]
    output: str = ""
    """Of a failure: the traceback and what was printed."""


def read_reports(path: Path) -> tuple[PhaseReport, ...]:
    """The reports of a run; a last line that a killed run left unfinished is dropped."""
    return tuple(_decode(path.read_bytes().splitlines() if path.exists() else []))


def _decode(lines: list[bytes]) -> Iterator[PhaseReport]:
    for line in lines:
        with suppress(msgspec.DecodeError):
            yield msgspec.json.decode(line, type=PhaseReport)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", metavar="FILE", help="write how each test ended to FILE, a JSON line each")


def pytest_configure(config: pytest.Config) -> None:
    if path := config.getoption("outcomes"):
        config.stash[_FILE] = Path(path).open("wb")  # noqa: SIM115 - closed in pytest_unconfigure
        config.pluginmanager.register(_OutcomeWriter(config.stash[_FILE]))


def pytest_unconfigure(config: pytest.Config) -> None:
    if _FILE in config.stash:
        config.stash[_FILE].close()


class _OutcomeWriter:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        assert report.when is not None
        self._write(PhaseReport(report.nodeid, report.when, report.outcome, _output(report)))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(PhaseReport(report.nodeid, "collect", "failed", _output(report)))

    def _write(self, report: PhaseReport) -> None:
        self._file.write(msgspec.json.encode(report) + b"\n")
        self._file.flush()


def _output(report: pytest.TestReport | pytest.CollectReport) -> str:
    if not report.failed:
        return ""
    sections = (f"--- {title}\n{text}" for title, text in report.sections)
    return "\n".join([report.longreprtext, *sections])
