"""Registry of pictures by name; a new picture is a function and a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netprobe.model.snapshot import Snapshot
from netprobe.render.figures.canvas import Canvas
from netprobe.render.figures.heatmap import draw_matrix
from netprobe.render.figures.map import draw_map
from netprobe.render.figures.ring_map import draw_ring

MAX_GROUPS = 8
"""Largest number of clusters drawn node by node; more are drawn as one dot each."""


def draw_topology(snapshot: Snapshot) -> Canvas:
    """Draw the map that suits the size of the fleet."""
    small = len(snapshot.inventory.clusters) <= MAX_GROUPS
    return draw_map(snapshot) if small else draw_ring(snapshot)


FIGURES: Mapping[str, Callable[[Snapshot], Canvas]] = {
    "topology": draw_topology,
    "matrix": draw_matrix,
}
