"""Compares what was seen with what was intended, cell by cell. Pure.

Rule: nothing is taken for proven without a control probe. A silent port counts as filtered only if the same
source heard the same address answer something else; a refusal by the host itself may be an open path without
a listener or a firewall's reset, and looks the same. UDP silence proves something only where a responder is
known to run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, CellCause, CellResult, CellVerdict, PortSpec, Protocol, Requirements
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import Verdict
from netprobe.probes.drops import DropLocation
from netprobe.probes.wording import describe_reason

THIS_HOST = "this host"
"""The one that asked, as the place of a drop."""
_PASSES = frozenset({CellCause.ANSWERED, CellCause.PATH_FREE})
_NO_WITNESS = Reason(ReasonCode.NO_WITNESS)


@dataclass(frozen=True, slots=True)
class PortObservation:
    """What one source saw of one port."""

    verdict: Verdict
    sender: str = ""
    """Who rejected."""
    reason: Reason | None = None
    """For ``unknown``: why; for ``filtered``: who is known to drop it."""
    is_witnessed: bool = False
    """The host answered something else in the same question."""
    was_asked: bool = True
    """A packet left; False where our own side failed."""
    place: DropLocation | None = None
    """Between which hops it is lost, where a walk was made."""

    @property
    def is_undecided(self) -> bool:
        """Whether it is unknown only because the question ended too early."""
        return self.reason is not None and self.reason.is_undecided

    @property
    def is_lost_on_the_way(self) -> bool:
        """Whether it is known to be lost before its target, so that no listener's silence explains it."""
        after = self.place.after if self.place else None
        return self.place is not None and after is not None and after.address != self.place.address


Sights = Mapping[Cell, PortObservation]


def judge_cells(
    cells: Iterable[Cell], sights: Sights, *, responders: frozenset[PortSpec]
) -> Iterator[CellResult]:
    """Every cell with its verdict; a cell without a sight is unproven."""
    alive = {
        (cell.source, cell.address)
        for cell, sight in sights.items()
        if sight.verdict in {Verdict.OPEN, Verdict.CLOSED}
        or (sight.verdict is Verdict.REJECTED and sight.sender == cell.address)
    }
    for cell in cells:
        sight = sights.get(cell)
        if sight is None:
            yield CellResult(cell, CellVerdict.UNPROVEN, Prose("no agent was there to ask"))
            continue
        if sight.verdict is Verdict.FILTERED and not _has_witness(cell, sight, alive):
            sight = replace(sight, verdict=Verdict.UNKNOWN, reason=_NO_WITNESS)
        yield _judge(cell, sight, responders)


def _has_witness(cell: Cell, sight: PortObservation, alive: set[tuple[AgentId, str]]) -> bool:
    return sight.is_witnessed or (cell.source, cell.address) in alive


def _judge(cell: Cell, sight: PortObservation, responders: frozenset[PortSpec]) -> CellResult:  # noqa: PLR0911 - a decision table
    is_meant = cell.expected is Expectation.ALLOW
    match sight.verdict:
        case Verdict.OPEN:
            return _tell(cell, CellCause.ANSWERED, "answered")
        case Verdict.CLOSED if cell.needs is Requirements.PATH:
            return _tell(cell, CellCause.PATH_FREE, "the host itself refuses: the way is free")
        case Verdict.CLOSED if is_meant:
            return _tell(cell, CellCause.REFUSED, "refused: no process listens, or something resets")
        case Verdict.CLOSED:
            why = "refused by that address: a free way without a listener, or a firewall's reset"
            return CellResult(cell, CellVerdict.UNPROVEN, Prose(why), cause=CellCause.REFUSED)
        case Verdict.REJECTED:
            return _tell(cell, CellCause.REJECTED, f"rejected by {sight.sender}", at=sight.sender)
        case Verdict.FILTERED if _may_be_heard(cell, sight, responders):
            why = "silence on UDP: a drop, or a listener with nothing to say"
            return CellResult(cell, CellVerdict.UNPROVEN, Prose(why), cause=CellCause.MUTE)
        case Verdict.FILTERED:
            return _tell_drop(cell, sight)
        case Verdict.UNKNOWN:
            is_broken = is_meant and _says_something(cell, sight)
            verdict = CellVerdict.BROKEN if is_broken else CellVerdict.UNPROVEN
            return CellResult(cell, verdict, describe_reason(sight.reason or _NO_WITNESS))


def _says_something(cell: Cell, sight: PortObservation) -> bool:
    """Whether a silence behind which nothing is known to live is one: asked for, and for long enough."""
    is_mute = cell.door.protocol is Protocol.UDP
    return sight.was_asked and not is_mute and not sight.is_undecided


def _may_be_heard(cell: Cell, sight: PortObservation, responders: frozenset[PortSpec]) -> bool:
    """Whether a process may have received the datagram and not answered."""
    is_mute = cell.door.protocol is Protocol.UDP and cell.door not in responders
    return is_mute and sight.reason is None and not sight.is_lost_on_the_way


def _tell_drop(cell: Cell, sight: PortObservation) -> CellResult:
    place, why = sight.place, sight.reason
    if why is not None:
        at = THIS_HOST if why.code is ReasonCode.OWN_FILTER else ""
        return _tell(cell, CellCause.DROPPED, describe_reason(why), at=at)
    if place is None:
        return _tell(cell, CellCause.DROPPED, "dropped in silence")
    told = _tell(cell, CellCause.DROPPED, f"dropped in silence {place.sentence}")
    hops = (place.before, place.after) if place.after else (place.before,)
    return replace(told, between=tuple(hop.address or THIS_HOST for hop in hops))


def _tell(cell: Cell, cause: CellCause, reason: str | Prose, *, at: str = "") -> CellResult:
    passes = cause in _PASSES
    if passes is (cell.expected is Expectation.ALLOW):
        verdict = CellVerdict.AS_INTENDED
    else:
        verdict = CellVerdict.LEAK if passes else CellVerdict.BROKEN
    return CellResult(cell, verdict, Prose(reason), at, cause=cause)
