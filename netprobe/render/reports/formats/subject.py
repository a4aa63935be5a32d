"""Interface between report subjects (snapshot, verification, comparison) and report formats.

Rule: a subject knows its contents, a format knows a file format; neither depends on the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rich.console import RenderableType

from netprobe.render.documents.snapshot import Document


class CaseOutcome(StrEnum):
    """Result of one case."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not decided; *message* gives the reason."""


@dataclass(frozen=True, slots=True)
class ReportCase:
    """One statement that holds or fails: a test case."""

    name: str
    group: str
    """The rule or kind of question that the statement belongs to."""
    outcome: CaseOutcome
    kind: str = ""
    """Kind of a failure, such as ``leak`` or ``tunnel-down``."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ReportProblem:
    """A problem to repair, as code scanners record it."""

    rule: str
    """Kind of the problem: ``leak``, ``broken``, ``tunnel-down``."""
    about: str
    """Meaning of this kind, in one sentence."""
    message: str
    parts: tuple[str, ...]
    """The affected places in the network, source first."""
    identity: str
    """Stable identity: the same problem has the same identity in every run."""
    is_proven: bool = True
    """False if it could not be decided whether this is a problem."""
    place: str = ""
    """``file:line:column`` of the violated statement; empty if there is none."""


class ReportSubject(Protocol):
    """The subject of a report; a part is built only when a format asks for it."""

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
        """Every statement, including those that hold."""

    def problems(self) -> Iterator[ReportProblem]:
        """Every problem."""
