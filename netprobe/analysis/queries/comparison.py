"""Compares two moments: what broke, what was repaired, what opened, what became slower. Pure.

Rules: only questions that both moments asked are compared, and the number of the others is reported. What is
no longer measured is ``unmeasured``, not broken. A path that was unknown and is down now counts as broken:
a gate that cannot prove that the fault is old must not pass it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.check import Check, Expectation
from netprobe.model.finding import Finding
from netprobe.model.intent import Cell, CellResult, CellVerdict
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState, PathStatus

SLOWER_FACTOR = 1.5
"""A path is slower where its median round trip has grown by this factor …"""
SLOWER_NS = 1_000_000
"""… and by at least this much: half a millisecond more inside a cluster is jitter."""


class ChangeKind(StrEnum):
    """How a path (or a cell of an intent) differs; the first five are for the worse."""

    BROKEN = "broken"
    LEAK = "leak"
    """Newly open, though it must not be."""
    DEGRADED = "degraded"
    SLOWER = "slower"
    UNMEASURED = "unmeasured"
    """No longer measured."""
    REPAIRED = "repaired"
    CLOSED = "closed"
    """Was a leak, and is none now."""

    @property
    def is_worse(self) -> bool:
        """Whether it counts as worse: all but a repair and a closed leak."""
        return self not in {ChangeKind.REPAIRED, ChangeKind.CLOSED}


@dataclass(frozen=True, slots=True)
class Change:
    """One question whose answer differs."""

    kind: ChangeKind
    source: str
    target: str
    door: str
    """What was asked: ``udp/9771``, ``icmp``."""
    before: str
    after: str
    rtt_before_ns: float | None = None
    rtt_after_ns: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that differs between two moments."""

    changes: tuple[Change, ...]
    compared: int
    """Questions that both moments asked."""
    gone: int
    """Questions of the first moment that the second did not ask."""
    new: int
    begun: tuple[Finding, ...] = ()
    """Findings open in the second moment only."""
    ended: tuple[Finding, ...] = ()
    before_ns: int | None = None
    """Wall time of the first moment; None where it is not known."""
    after_ns: int | None = None


def compare_snapshots(
    before: Snapshot, after: Snapshot, *, slower_factor: float = SLOWER_FACTOR
) -> Comparison:
    """Compare path by path; equal questions have equal ids in every epoch."""
    old, new = ({path.check: path for path in each.paths} for each in (before, after))
    checks = {check.id: check for check in (*before.checks, *after.checks)}
    both = [check for check in old if check in new and check in checks]
    changes = (_compare_paths(checks[each], old[each], new[each], slower_factor) for each in both)
    was_open = {finding.id for finding in before.findings}
    is_open = {finding.id for finding in after.findings}
    return Comparison(
        changes=_in_order(changes),
        compared=len(both),
        gone=len(old) - len(both),
        new=len(new) - len(both),
        begun=tuple(finding for finding in after.findings if finding.id not in was_open),
        ended=tuple(finding for finding in before.findings if finding.id not in is_open),
        before_ns=before.taken_ns,
        after_ns=after.taken_ns,
    )


def _compare_paths(
    check: Check, before: PathStatus, after: PathStatus, slower_factor: float
) -> Change | None:
    if check.expect is Expectation.DENY:
        kind = _kind_of_denied(before, after)
    else:
        kind = _kind_of_states(before.state, after.state)
    if kind is None and _is_slower(before, after, slower_factor):
        kind = ChangeKind.SLOWER
    if kind is None:
        return None
    probe = check.probe
    return Change(
        kind=kind,
        source=str(check.source),
        target=check.target.name,
        door=f"{probe.kind}/{probe.port}" if probe.port else probe.kind,
        before=str(before.state),
        after=str(after.state),
        rtt_before_ns=before.rtt_p50_ns,
        rtt_after_ns=after.rtt_p50_ns,
    )


def _kind_of_states(before: PathState, after: PathState) -> ChangeKind | None:
    if before is after:
        return None
    match after:
        case PathState.DOWN:
            return ChangeKind.BROKEN
        case PathState.UNKNOWN:
            return ChangeKind.UNMEASURED
        case PathState.DEGRADED:
            return ChangeKind.REPAIRED if before is PathState.DOWN else ChangeKind.DEGRADED
        case PathState.UP:
            return None if before is PathState.UNKNOWN else ChangeKind.REPAIRED


def _kind_of_denied(before: PathStatus, after: PathStatus) -> ChangeKind | None:
    """A check that must not be answered: the state says nothing, the answers do."""
    if after.answered and not before.answered:
        return ChangeKind.LEAK
    return ChangeKind.CLOSED if before.answered and after.sent and not after.answered else None


def _is_slower(before: PathStatus, after: PathStatus, factor: float) -> bool:
    was, now = before.rtt_p50_ns, after.rtt_p50_ns
    return was is not None and now is not None and now > was * factor and now - was >= SLOWER_NS


def compare_judged(before: Iterable[CellResult], after: Iterable[CellResult]) -> Comparison:
    """Compare two verifications cell by cell."""
    old, new = _by_cell(before), _by_cell(after)
    both = [key for key in old if key in new]
    changes = (_compare_cells(old[key], new[key]) for key in both)
    return Comparison(_in_order(changes), len(both), len(old) - len(both), len(new) - len(both))


def _by_cell(judged: Iterable[CellResult]) -> Mapping[tuple[str, str, str, str], CellResult]:
    return {_key(one.cell): one for one in judged}


def _key(cell: Cell) -> tuple[str, str, str, str]:
    return str(cell.source), cell.target, cell.address, str(cell.door)


def _compare_cells(before: CellResult, after: CellResult) -> Change | None:
    kind = _kind_of_verdicts(before.verdict, after.verdict)
    if kind is None:
        return None
    cell = after.cell
    return Change(
        kind, str(cell.source), cell.target, str(cell.door), str(before.verdict), str(after.verdict)
    )


def _kind_of_verdicts(before: CellVerdict, after: CellVerdict) -> ChangeKind | None:
    if before is after:
        return None
    match after:
        case CellVerdict.LEAK:
            return ChangeKind.LEAK
        case CellVerdict.BROKEN:
            return ChangeKind.BROKEN
        case CellVerdict.UNPROVEN:
            return ChangeKind.UNMEASURED
        case CellVerdict.AS_INTENDED:
            return {CellVerdict.LEAK: ChangeKind.CLOSED, CellVerdict.BROKEN: ChangeKind.REPAIRED}.get(before)


def _in_order(changes: Iterable[Change | None]) -> tuple[Change, ...]:
    return tuple(sorted(_present(changes), key=_weight))


def _present(changes: Iterable[Change | None]) -> Iterator[Change]:
    yield from (change for change in changes if change is not None)


def _weight(change: Change) -> tuple[int, str, str, str]:
    return list(ChangeKind).index(change.kind), change.source, change.target, change.door
