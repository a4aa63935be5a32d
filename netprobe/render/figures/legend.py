"""The legend: the styles used in this picture, in one row at the bottom."""

from __future__ import annotations

import networkx as nx

from netprobe.model.status import PathState
from netprobe.render.figures.canvas import Canvas
from netprobe.render.figures.layout import Rect
from netprobe.render.figures.state_style import SOFT_INK, STATE_STYLES, TUBE

_Y = 0.5


def draw_legend(canvas: Canvas, graph: nx.MultiDiGraph[str], *, nodes: bool = True) -> None:
    """Explain the states drawn and, if *nodes* are drawn, links and agents."""
    x = 0.47
    edges = [graph.edges[edge] for edge in graph.edges(keys=True)]
    drawn = frozenset(canvas.styles)
    for state in PathState:
        style = STATE_STYLES[state]
        if style in drawn:
            canvas.line(((x, _Y), (x + 0.55, _Y)), style)
            word = f"{style.mark} {state}" if state is not PathState.UP else str(state)
            x = _write_label(canvas, x + 0.65, word)
    if not nodes:
        return
    if "tunnel" in {data.get("link") for data in edges}:
        canvas.box(Rect(x, _Y - 0.1, 0.5, 0.2), fill=TUBE, edge=TUBE, rounding=0.02)
        x = _write_label(canvas, x + 0.6, "tunnel")
    planes = {graph.nodes[name].get("plane") for name in graph}
    for plane, marker in (("pod", "o"), ("host", "s")):
        if plane in planes:
            canvas.dot((x + 0.08, _Y), STATE_STYLES[PathState.UP], marker=marker, size=5)
            x = _write_label(canvas, x + 0.24, f"{plane} agent")


def _write_label(canvas: Canvas, x: float, word: str) -> float:
    drawn = canvas.write((x, _Y), word, size=8, colour=SOFT_INK, va="center_baseline")
    room = canvas.measure(drawn)
    return room.x + room.width + 0.4
