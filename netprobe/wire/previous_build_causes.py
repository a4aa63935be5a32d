"""Causes of a cell, as builds before they had a code wrote them: sentences.

Rule: as :mod:`netprobe.wire.previous_build`, apart from it because no agent needs what is verified.
"""

from __future__ import annotations

import re

from netprobe.model.intent import CellCause

_CAUSES: tuple[tuple[re.Pattern[str], CellCause], ...] = (
    (re.compile(r"answered( \(.*\))?"), CellCause.ANSWERED),
    (re.compile(r"the host itself refuses: .*"), CellCause.PATH_FREE),
    (re.compile(r"refused(:| by that address:) .*"), CellCause.REFUSED),
    (re.compile(r"rejected by .*"), CellCause.REJECTED),
    (re.compile(r"dropped in silence.*|this host's own packet filter drops it.*"), CellCause.DROPPED),
    (re.compile(r"silence on UDP: .*"), CellCause.MUTE),
)


def read_cause(reason: str) -> CellCause:
    """What was measured at a port, from the reason in a document of ``netprobe verify``."""
    return next((cause for pattern, cause in _CAUSES if pattern.fullmatch(reason)), CellCause.NOT_KNOWN)
