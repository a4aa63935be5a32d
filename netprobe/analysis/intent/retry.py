"""Decides which silences are asked about again, and when silence may be believed. Pure.

Routers and firewalls reject only so many packets per second (RFC 1812 section 4.3.2.8, nftables' ``limit``),
and all askers share that limit: once it is used up, a rejected packet gets no answer, and looks like a drop.
Both are denied, but a drop is located elsewhere than a rejection. So where anything was rejected, the
silences that matter are asked about again, and nothing else is, until nothing that was silent answers any
more: then no silence is due to the limit, because even a limited router still rejects some packets.

A far end or a gateway without processor time for a moment is as silent as a drop. It answers again soon, and
a drop does not: so what would be called broken for its silence alone is always asked about again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from netprobe.analysis.intent.verdicts import PortObservation
from netprobe.model.check import Expectation
from netprobe.model.intent import Cell
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import Verdict

MOST_LOOKS = 12
"""After so many looks, what may still be starved is unproven."""
_SPOKEN = frozenset({Verdict.OPEN, Verdict.CLOSED, Verdict.REJECTED})
STARVED = Reason(ReasonCode.STARVED)


def find_doubtful(sights: Mapping[Cell, PortObservation], wanted: Iterable[Cell]) -> list[Cell]:
    """The silences of *wanted* that may be none.

    Those are what should work, what was not asked for long enough, and, where anybody rejects, every drop.
    """
    is_limited = any(sight.verdict is Verdict.REJECTED for sight in sights.values())
    silent = [(cell, sights[cell]) for cell in wanted if cell in sights]
    return [cell for cell, sight in silent if _is_doubtful(cell, sight, is_limited=is_limited)]


def _is_doubtful(cell: Cell, sight: PortObservation, *, is_limited: bool) -> bool:
    is_meant = cell.expected is Expectation.ALLOW
    if sight.verdict is Verdict.UNKNOWN:
        return sight.was_asked and (is_meant or sight.is_undecided)
    return sight.verdict is Verdict.FILTERED and sight.reason is None and (is_meant or is_limited)


def find_news(told: Mapping[Cell, PortObservation]) -> dict[Cell, PortObservation]:
    """Those of *told*, asked about again, that have spoken now."""
    return {cell: sight for cell, sight in told.items() if sight.verdict in _SPOKEN}


def give_up(
    cells: Collection[Cell], news: Collection[Cell], sights: Mapping[Cell, PortObservation]
) -> dict[Cell, PortObservation]:
    """The sights of silent *cells* once there is no more time though *news* came in the last look.

    Those that share an end with a port that answered late become unknown: they may not be drops.
    """
    sources, addresses = {cell.source for cell in news}, {cell.address for cell in news}
    return {
        cell: replace(sights[cell], verdict=Verdict.UNKNOWN, reason=STARVED)
        for cell in cells
        if (cell.source in sources or cell.address in addresses) and not sights[cell].is_undecided
    }
