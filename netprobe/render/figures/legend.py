"""The legend: only what occurs in this picture, in one row at the foot of the sheet."""

from __future__ import annotations

import networkx as nx

from netprobe.model.status import PathState
from netprobe.render.figures.canvas import Canvas
from netprobe.render.figures.layout import Rect
from netprobe.render.figures.state_style import LOOKS, SOFT_INK, TUBE

_Y = 0.5


def draw_legend(sheet: Canvas, graph: nx.MultiDiGraph[str], *, nodes: bool = True) -> None:
    """Explain states and, where *nodes* are drawn, links and agents; only what is there."""
    x = 0.47
    edges = [graph.edges[edge] for edge in graph.edges(keys=True)]
    drawn = frozenset(sheet.looks)
    for state in PathState:
        look = LOOKS[state]
        if look in drawn:
            sheet.line(((x, _Y), (x + 0.55, _Y)), look)
            word = f"{look.mark} {state}" if state is not PathState.UP else str(state)
            x = _say(sheet, x + 0.65, word)
    if not nodes:
        return
    if "tunnel" in {data.get("link") for data in edges}:
        sheet.box(Rect(x, _Y - 0.1, 0.5, 0.2), fill=TUBE, edge=TUBE, rounding=0.02)
        x = _say(sheet, x + 0.6, "tunnel")
    planes = {graph.nodes[name].get("plane") for name in graph}
    for plane, marker in (("pod", "o"), ("host", "s")):
        if plane in planes:
            sheet.dot((x + 0.08, _Y), LOOKS[PathState.UP], marker=marker, size=5)
            x = _say(sheet, x + 0.24, f"{plane} agent")


def _say(sheet: Canvas, x: float, word: str) -> float:
    drawn = sheet.write((x, _Y), word, size=8, colour=SOFT_INK, va="center_baseline")
    room = sheet.measure(drawn)
    return room.x + room.width + 0.4
