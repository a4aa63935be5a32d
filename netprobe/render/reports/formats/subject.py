"""What a report is about, as every form of it asks: a moment, a verification, a comparison.

Rule: a subject knows its own words and pictures; a form knows a file format. Neither knows the other's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rich.console import RenderableType

from netprobe.render.documents.snapshot import Document


class CaseOutcome(StrEnum):
    """What became of one case."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Nobody can say; *message* says why."""


@dataclass(frozen=True, slots=True)
class ReportCase:
    """One statement that holds or does not: what a test runner counts."""

    name: str
    group: str
    """What the statement belongs to: a rule, or a kind of question."""
    outcome: CaseOutcome
    kind: str = ""
    """For a failure: its kind in a word (``leak``, ``tunnel-down``)."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ReportProblem:
    """Something to be repaired, as code scanners file it."""

    rule: str
    """Kind of the problem: ``leak``, ``broken``, ``tunnel-down``."""
    about: str
    """What this kind means, in one sentence."""
    message: str
    parts: tuple[str, ...]
    """The places in the network that are concerned, source first."""
    identity: str
    """Equal for the same problem in the next run, however often it was seen."""
    is_proven: bool = True
    """False where nobody can say whether it is one."""
    place: str = ""
    """``file:line:column`` of the statement that is violated; empty where there is none."""


class ReportSubject(Protocol):
    """Something a report can be written about; each part is built only when a form asks for it."""

    @property
    def title(self) -> str:
        """The verdict in one sentence."""

    def table(self) -> RenderableType:
        """For a terminal."""

    def document(self) -> Document:
        """For machines: the shape published in ``docs/schemas``."""

    def markdown(self) -> str:
        """For a ticket or a wiki."""

    def html(self) -> str:
        """One page with everything inside."""

    def cases(self) -> Iterator[ReportCase]:
        """Every statement, those that hold too."""

    def problems(self) -> Iterator[ReportProblem]:
        """What is not as it should be."""
