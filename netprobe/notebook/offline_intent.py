"""Compares an intent with a saved snapshot, without asking anything new. Pure.

Rule: a path that is up is an open port. A path that is down is a filtered port, if the same agent got an
answer from the same address by another check (the control probe). Cells without a check are unproven.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netprobe.analysis.intent.verdicts import PortObservation
from netprobe.model.check import Check
from netprobe.model.intent import Cell, PortSpec, Protocol
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState, PathStatus
from netprobe.model.verdict import Verdict

_PROTOCOLS = {"icmp": Protocol.ICMP, "udp": Protocol.UDP, "tcp": Protocol.TCP}


def see_cells(snapshot: Snapshot, cells: Iterable[Cell]) -> dict[Cell, PortObservation]:
    """The observations of *cells* in the paths of *snapshot*; cells without a path are left out."""
    paths = {path.check: path for path in snapshot.paths}
    observations = {
        key: _observation(paths[check.id])
        for check in snapshot.checks
        if check.id in paths
        for key in _keys(check)
    }
    return {cell: observation for cell in cells if (observation := _find(observations, cell)) is not None}


Key = tuple[str, str, PortSpec]


def _keys(check: Check) -> Iterator[Key]:
    protocol = _PROTOCOLS.get(check.probe.kind)
    if protocol is not None and not check.probe.size:  # a lost large packet says nothing about a port
        port = check.probe.port if protocol is not Protocol.ICMP else 0
        yield str(check.source), check.target.address, PortSpec(protocol, port)


def _find(observations: Mapping[Key, PortObservation], cell: Cell) -> PortObservation | None:
    return observations.get((str(cell.source), cell.address, cell.door))


def _observation(path: PathStatus) -> PortObservation:
    match path.state:
        case PathState.UP | PathState.DEGRADED:
            return PortObservation(Verdict.OPEN)
        case PathState.DOWN:
            return PortObservation(Verdict.FILTERED, reason=_recorded(path))
        case PathState.UNKNOWN:
            return PortObservation(Verdict.UNKNOWN, reason=Reason(ReasonCode.NOT_MEASURED), was_asked=False)


def _recorded(path: PathStatus) -> Reason | None:
    return Reason(ReasonCode.RECORDED, detail=Prose(path.reason)) if path.reason else None
