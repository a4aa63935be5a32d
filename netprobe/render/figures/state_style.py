"""How a state looks in every picture: colour, line and mark together, so that no one of them is needed alone.

The colours are Okabe and Ito's, which people with any common colour vision can tell apart ("Color Universal
Design", 2008); what is well stays calm, so that what is broken stands out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netprobe.model.status import PathState

INK = "#1f2933"
SOFT_INK = "#5f6c7b"
PAPER = "#ffffff"
GROUP_FILL = "#f1f5f9"
GROUP_EDGE = "#cbd5e1"
TUBE = "#dbe5ef"


@dataclass(frozen=True, slots=True)
class StateStyle:
    """One state in ink."""

    colour: str
    ink: str
    """The same for text: dark enough to read (contrast at least 4.5 on paper)."""
    width: float
    """Line width in points."""
    dashes: tuple[float, ...]
    """On and off lengths in line widths; empty for a solid line."""
    fill: str
    """Background of a tile or a matrix cell."""
    mark: str


LOOKS: Mapping[PathState, StateStyle] = {
    PathState.UP: StateStyle("#56799b", "#3d5a78", 1.4, (), "#ffffff", "✓"),
    PathState.DEGRADED: StateStyle("#d18a00", "#8a5600", 2.2, (3.2, 1.6), "#fdf0d5", "≈"),
    PathState.DOWN: StateStyle("#d55e00", "#b04a00", 3.4, (), "#fbdccb", "✕"),
    PathState.UNKNOWN: StateStyle("#8a919b", "#535b66", 1.6, (0.6, 1.8), "#eceef1", "?"),
}


def look_of(state: str) -> StateStyle:
    """The look of a state by its word."""
    return LOOKS[PathState(state)]
