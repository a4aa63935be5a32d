"""Style of each state in every picture.

Rule: colour, line and mark are used together, so that none of them is needed alone. The colours are those of
Okabe and Ito, distinguishable with any common colour vision ("Color Universal Design", 2008).
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
    """Colours, line and mark of one state."""

    colour: str
    ink: str
    """Text colour, dark enough to read (contrast at least 4.5 on white)."""
    width: float
    """Line width in points."""
    dashes: tuple[float, ...]
    """On and off lengths in line widths; empty for a solid line."""
    fill: str
    """Background of a tile or a matrix cell."""
    mark: str


STATE_STYLES: Mapping[PathState, StateStyle] = {
    PathState.UP: StateStyle("#56799b", "#3d5a78", 1.4, (), "#ffffff", "✓"),
    PathState.DEGRADED: StateStyle("#d18a00", "#8a5600", 2.2, (3.2, 1.6), "#fdf0d5", "≈"),
    PathState.DOWN: StateStyle("#d55e00", "#b04a00", 3.4, (), "#fbdccb", "✕"),
    PathState.UNKNOWN: StateStyle("#8a919b", "#535b66", 1.6, (0.6, 1.8), "#eceef1", "?"),
}


def style_of(state: str) -> StateStyle:
    """The style of the state called *state*."""
    return STATE_STYLES[PathState(state)]
