"""Opens and closes incidents from what changed between two looks. Pure.

An incident is one rule that is broken, or leaks, between two clusters. It opens with the first cell that
differs and closes when every cell that was asked again is as intended: an unproven cell keeps it open,
because unknown is not repaired.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from netprobe.model.component import intent_rule
from netprobe.model.finding import Cause, Evidence, Finding
from netprobe.model.intent import CellResult, CellVerdict, Deviation
from netprobe.model.names import ClusterName
from netprobe.model.prose import Prose

_DIFFERS = frozenset({CellVerdict.LEAK, CellVerdict.BROKEN})


class IncidentChange(StrEnum):
    """What happened to an incident."""

    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, order=True)
class IncidentSubject:
    """What an incident is about."""

    verdict: CellVerdict
    source: ClusterName
    target: str
    """Cluster, or an address outside the fleet."""
    rule: str


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """An incident opened or closed."""

    change: IncidentChange
    number: int
    at_ns: int
    """Wall time of the look that showed it."""
    opened_ns: int
    subject: IncidentSubject
    cells: int
    """How many differ (or differed last)."""
    example: CellResult
    """One of them."""


@dataclass(frozen=True, slots=True)
class _Incident:
    number: int
    opened_ns: int
    cells: tuple[CellResult, ...]


@dataclass(slots=True)
class IncidentTracker:
    """The incidents that are open now."""

    _open: dict[IncidentSubject, _Incident] = field(default_factory=dict)
    _count: int = 0

    @property
    def is_calm(self) -> bool:
        """Whether no incident is open."""
        return not self._open

    @property
    def deviations(self) -> tuple[Deviation, ...]:
        """What is not as intended now, as reported to the collector."""
        return tuple(_describe(subject, incident.cells) for subject, incident in self._open.items())

    def see(self, judged: Iterable[CellResult], *, at_ns: int) -> tuple[IncidentEvent, ...]:
        """Take in a look; the incidents that it opens and closes."""
        listed = tuple(judged)
        differing: dict[IncidentSubject, list[CellResult]] = defaultdict(list)
        for one in listed:
            if one.verdict in _DIFFERS:
                differing[_subject(one)].append(one)
        proven = {one.cell for one in listed if one.verdict is CellVerdict.AS_INTENDED}
        opened = [self._note(subject, tuple(cells), at_ns) for subject, cells in differing.items()]
        gone = [
            subject
            for subject, incident in self._open.items()
            if subject not in differing and all(one.cell in proven for one in incident.cells)
        ]
        return (*filter(None, opened), *(self._close(subject, at_ns) for subject in gone))

    def _note(
        self, subject: IncidentSubject, cells: tuple[CellResult, ...], at_ns: int
    ) -> IncidentEvent | None:
        known = self._open.get(subject)
        if known is not None:
            self._open[subject] = _Incident(known.number, known.opened_ns, cells)
            return None
        self._count += 1
        self._open[subject] = _Incident(self._count, at_ns, cells)
        return IncidentEvent(IncidentChange.OPENED, self._count, at_ns, at_ns, subject, len(cells), cells[0])

    def _close(self, subject: IncidentSubject, at_ns: int) -> IncidentEvent:
        told = self._open.pop(subject)
        return IncidentEvent(
            IncidentChange.CLOSED, told.number, at_ns, told.opened_ns, subject, len(told.cells), told.cells[0]
        )


def _describe(subject: IncidentSubject, cells: tuple[CellResult, ...]) -> Deviation:
    one = cells[0]
    example = f"{one.cell.source} → {one.cell.target} {one.cell.door}: {one.reason}"
    return Deviation(
        subject.verdict, subject.source, subject.target, subject.rule, len(cells), Prose(example)
    )


_CAUSES = {CellVerdict.BROKEN: Cause.INTENT_BROKEN, CellVerdict.LEAK: Cause.INTENT_LEAK}
INTENT_CAUSES = frozenset(_CAUSES.values())


def find_deviation(told: Deviation, *, watch: str, first_seen_ns: int, last_seen_ns: int) -> Finding:
    """A deviation as a finding; *watch* names who watches."""
    part = intent_rule(told.source, told.target, rule=told.rule)
    cause = _CAUSES[told.verdict]
    ports = f"{told.cells:,} port{' is' if told.cells == 1 else 's are'}"
    said = "forbids" if cause is Cause.INTENT_LEAK else "allows"
    seen = "reachable all the same" if cause is Cause.INTENT_LEAK else "not reachable"
    return Finding(
        f"{cause}:{part}",
        (part,),
        cause,
        1.0,
        Prose(f"The rule {told.rule!r} {said} {told.source} → {told.target}, but {ports} {seen}."),
        evidence_for=(
            Evidence(told.example),
            Evidence(Prose(f"asked again and again by netprobe verify -f {watch}")),
        ),
        first_seen_ns=first_seen_ns,
        last_seen_ns=last_seen_ns,
        next_step=Prose(
            f"netprobe verify -f {watch} --locate all: every port, and where it is lost or let through"
        ),
    )


def _subject(one: CellResult) -> IncidentSubject:
    cell = one.cell
    return IncidentSubject(one.verdict, cell.source.cluster, cell.target_cluster, cell.rule)
