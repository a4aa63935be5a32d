"""Callouts: each finding in a small box next to the components it blames, where there is room."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import networkx as nx

from netprobe.model.component import Component, ComponentKind
from netprobe.model.finding import Finding
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.component_state import read_component_states, worst
from netprobe.render.figures.canvas import Canvas, wrap_evenly
from netprobe.render.figures.layout import (
    Point,
    Rect,
    find_place,
    nearest,
)
from netprobe.render.figures.state_style import (
    PAPER,
    SOFT_INK,
    STATE_STYLES,
    StateStyle,
)
from netprobe.render.labels import (
    Names,
    duration,
    headline,
    percent,
)

MAX_CALLOUTS = 6
_PADDING = 0.15


class Callouts:
    """Collects obstacles and anchors while a map is drawn, then draws the callouts."""

    def __init__(self, snapshot: Snapshot, graph: nx.MultiDiGraph[str], canvas: Canvas) -> None:
        self._snapshot = snapshot
        self._graph = graph
        self._canvas = canvas
        self._taken: list[Rect] = []
        self._words: list[Rect] = []
        self._anchors: dict[str, Rect] = {}

    def keep_clear(self, rooms: Iterable[Rect], *, words: bool = False) -> None:
        """Keep callouts off these areas, and off *words* leaders too."""
        rooms = tuple(rooms)
        self._taken += rooms
        if words:
            self._words += rooms

    def avoid_crossing(self, room: Rect) -> None:
        """Keep leaders off this text, which lies where no callout can be."""
        self._words.append(room)

    def anchor(self, name: str, room: Rect) -> None:
        """Register the position of *name*; the first call wins."""
        self._anchors.setdefault(name, room)

    def draw(self) -> None:
        """One callout per finding, as near as possible; findings without a place on the map get none."""
        names = Names.of(self._snapshot.inventory)
        for finding in self._snapshot.findings[:MAX_CALLOUTS]:
            if anchors := self._find_anchors(finding):
                self._draw(finding, headline(finding, names).replace(" %", "\u00a0%"), anchors)

    def _draw(self, finding: Finding, title: str, anchors: list[Rect]) -> None:
        style = self._style_of(finding)
        head = self._canvas.write((0, 0), wrap_evenly(title, 27), size=9, weight="bold", colour=style.ink,
                                  va="top", linespacing=1.2, zorder=12)  # fmt: skip
        foot = self._canvas.write((0, 0), self._small_print(finding), size=7.2, colour=SOFT_INK, va="top",
                                  linespacing=1.25, zorder=12)  # fmt: skip
        upper, lower = self._canvas.measure(head), self._canvas.measure(foot)
        size = max(upper.width, lower.width) + 2 * _PADDING, upper.height + lower.height + 0.34
        words = [word for word in self._words if not any(word.overlaps(anchor) for anchor in anchors)]
        place = find_place(_middle(anchors), size, obstacles=self._taken, words=words)
        self._taken.append(place.grown(0.1))
        self._canvas.box(place, fill=PAPER, edge=style.colour, width=1.3, zorder=11)
        top = place.y + place.height - 0.12
        head.set_position((place.x + _PADDING, top))
        foot.set_position((place.x + _PADDING, top - upper.height - 0.1))
        self._draw_leader(place, anchors, style.colour)

    def _small_print(self, finding: Finding) -> str:
        since = duration(self._snapshot.taken_ns - finding.first_seen_ns)
        return f"{finding.cause} · {percent(finding.confidence)} sure\nfor {since}"

    def _draw_leader(self, place: Rect, anchors: list[Rect], colour: str) -> None:
        """The line from a callout to the nearest of its anchors."""
        anchor = min(anchors, key=lambda each: math.dist(nearest(place, each.centre), each.centre))
        start = nearest(place, anchor.centre)
        self._canvas.leader(start, nearest(anchor, start), colour)

    def _style_of(self, finding: Finding) -> StateStyle:
        nodes = [self._graph.nodes[name] for name in self._graph]
        edges = [self._graph.edges[edge] for edge in self._graph.edges(keys=True)]
        states = [PathState(data["state"]) for data in nodes + edges if data.get("finding") == finding.id]
        # A finding about an intent belongs to no element of the map.
        if not states:
            states = [read_component_states(self._snapshot).of_all(finding.components).state]
        return STATE_STYLES[worst(states)]

    def _find_anchors(self, finding: Finding) -> list[Rect]:
        """Positions of its components on the map; empty if none is drawn."""
        found = []
        for component in finding.components:
            known = [name for name in _names_of(component) if name in self._anchors]
            found += [self._anchors[name] for name in known[:1]]
        return found


def _middle(rects: list[Rect]) -> Point:
    return (
        sum(rect.centre[0] for rect in rects) / len(rects),
        sum(rect.centre[1] for rect in rects) / len(rects),
    )


def _names_of(component: Component) -> Iterator[str]:
    """The names under which a component may be on the map, best first."""
    yield str(component)
    if component.detail and component.kind in {ComponentKind.DNS, ComponentKind.TUNNEL}:
        yield str(component.without_detail())
    yield str(component.source)
    yield component.cluster
