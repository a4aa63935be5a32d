"""The map of many clusters: one dot each on a ring, links as lines through the middle.

Rule: links and clusters that are up are thin and unlabelled; only what differs is drawn bold and labelled,
with its finding. Clusters are grouped by place (environment and region); the more links, the larger the dot.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import groupby

import networkx as nx

from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.component_state import WORST_FIRST, worst
from netprobe.render.figures.callouts import Callouts
from netprobe.render.figures.canvas import Canvas
from netprobe.render.figures.layout import (
    AREA,
    Curve,
    Point,
    Rect,
)
from netprobe.render.figures.legend import draw_legend
from netprobe.render.figures.state_style import SOFT_INK, STATE_STYLES
from netprobe.render.graph import build_graph
from netprobe.render.labels import count, place_of

_CENTRE = AREA.centre[0], AREA.centre[1] - 0.05
_RADIUS = 3.1
_GAP = 0.8
"""Gap between two places, in clusters."""
_TRIES = 8
"""Steps sideways to find room for the name of a place."""


def draw_ring(snapshot: Snapshot) -> Canvas:
    """Draw any number of clusters, one dot per cluster."""
    canvas = Canvas.blank()
    graph = build_graph(snapshot)
    canvas.head(snapshot)
    _Ring(snapshot, graph, canvas).draw()
    draw_legend(canvas, graph, nodes=False)
    canvas.foot(snapshot)
    return canvas


class _Ring:
    """Positions the clusters and draws links, dots, names and callouts."""

    def __init__(self, snapshot: Snapshot, graph: nx.MultiDiGraph[str], canvas: Canvas) -> None:
        self._graph = graph
        self._canvas = canvas
        self._callouts = Callouts(snapshot, graph, canvas)
        clusters = [name for name in graph if graph.nodes[name]["kind"] == "cluster"]
        self._place = {
            name: place_of(graph.nodes[name]["environment"], graph.nodes[name]["region"]) for name in clusters
        }
        clusters.sort(key=lambda name: (self._place[name], name))
        self._angles = self._spread(clusters)
        self._links = _links_of(graph)
        self._labelled: dict[str, float] = {}
        """Width of the name of each labelled cluster."""
        self._places: list[Rect] = []
        self._degree = Counter(end for pair in self._links for end in pair)

    def draw(self) -> None:
        """Draw links first, so that dots and names stay on top."""
        up_first = sorted(self._links.items(), key=lambda entry: -WORST_FIRST.index(entry[1]))
        for (one, other), state in up_first:
            self._draw_link(one, other, state)
        for name in self._angles:
            self._draw_cluster(name)
        self._draw_places()
        self._callouts.keep_clear(_disc())
        self._callouts.draw()

    def _spread(self, clusters: list[str]) -> dict[str, float]:
        """An angle for each cluster, clockwise from the top, with gaps between places."""
        places = [tuple(group) for _, group in groupby(clusters, key=self._place.__getitem__)]
        gap = _GAP if len(places) > 1 else 0.0
        step = 2 * math.pi / (len(clusters) + gap * len(places))
        angles: dict[str, float] = {}
        for number, names in enumerate(places):
            for name in names:
                angles[name] = math.pi / 2 - step * (len(angles) + gap * (number + 0.5))
        return angles

    def _at(self, name: str, radius: float = _RADIUS) -> Point:
        angle = self._angles[name]
        return _CENTRE[0] + radius * math.cos(angle), _CENTRE[1] + radius * math.sin(angle)

    def _draw_link(self, one: str, other: str, state: PathState) -> None:
        start, end = self._at(one), self._at(other)
        bend = (
            _CENTRE[0] + 0.35 * ((start[0] + end[0]) / 2 - _CENTRE[0]),
            _CENTRE[1] + 0.35 * ((start[1] + end[1]) / 2 - _CENTRE[1]),
        )
        curve = Curve(start, bend, end)
        style = STATE_STYLES[state]
        width = 0.7 if state is PathState.UP else style.width
        self._canvas.line([curve.at(step / 30) for step in range(31)], style, width=width, zorder=3)
        if state is PathState.UP:
            return
        self._canvas.mark(curve.at(0.5), style, size=8)
        self._callouts.keep_clear(Rect.around(curve.at(step / 12), 0.25, 0.25) for step in range(13))
        for _, _, data in self._between(one, other):
            self._callouts.anchor(data["component"], Rect.around(curve.at(0.5), 0.26, 0.26))

    def _between(self, one: str, other: str) -> Iterable[tuple[str, str, dict[str, str]]]:
        for source, target, data in self._graph.edges(data=True):
            if data["kind"] == "tunnel" and {_cluster(source), _cluster(target)} == {one, other}:
                yield source, target, data

    def _draw_cluster(self, name: str) -> None:
        state = PathState(self._graph.nodes[name]["state"])
        at = self._at(name)
        size = 5 + 1.6 * math.sqrt(self._degree[name])
        self._canvas.dot(at, STATE_STYLES[state], marker="o", size=size)
        self._callouts.keep_clear([Rect.around(at, 0.3, 0.3)])
        self._callouts.anchor(name, Rect.around(at, 0.2, 0.2))
        differs = state is not PathState.UP or any(
            name in pair for pair, link_state in self._links.items() if link_state is not PathState.UP
        )
        if differs:
            self._label(name, state)

    def _label(self, name: str, state: PathState) -> None:
        angle = math.degrees(self._angles[name]) % 360
        left = 90 < angle < 270
        drawn = self._canvas.write(
            self._at(name, _RADIUS + 0.22), name, size=8, weight="bold", rotation_mode="anchor", va="center",
            rotation=angle - 180 if left else angle, ha="right" if left else "left",
            colour=STATE_STYLES[state].ink,
        )  # fmt: skip
        room = self._canvas.measure(drawn)
        self._labelled[name] = room.width
        self._callouts.keep_clear([room], words=True)

    def _draw_places(self) -> None:
        """Name each place once, outside its part of the ring."""
        for place, group in groupby(self._angles, key=self._place.__getitem__):
            names = tuple(group)
            angles = [self._angles[name] for name in names]
            middle = sum(angles) / len(angles)
            radius = _RADIUS + 0.42
            arc = [(_CENTRE[0] + (_RADIUS + 0.14) * math.cos(a), _CENTRE[1] + (_RADIUS + 0.14) * math.sin(a))
                   for a in _steps(angles[0], angles[-1])]  # fmt: skip
            self._canvas.thread(arc)
            if place == "–":
                continue
            reach = max((self._labelled.get(name, 0.0) for name in names), default=0.0)
            self._name_place(f"{place}\n{count(len(angles), 'cluster')}", middle, radius, reach)

    def _name_place(self, label: str, angle: float, radius: float, reach: float) -> None:
        """Write a place's name outside the cluster names, further out if another name is there."""
        outwards = 1 if math.cos(angle) >= 0 else -1
        x = _CENTRE[0] + radius * math.cos(angle) + outwards * (reach + 0.15 if reach else 0.1)
        y = _CENTRE[1] + radius * math.sin(angle)
        drawn = self._canvas.write((x, y), label, size=8.5, colour=SOFT_INK, va="center",
                                   ha="left" if outwards > 0 else "right")  # fmt: skip
        room = self._canvas.measure(drawn)
        for step in range(1, _TRIES):
            if not any(map(room.grown(0.04).overlaps, self._places)):
                break
            drawn.set_position((x + outwards * 0.15 * step, y))
            room = self._canvas.measure(drawn)
        self._places.append(room)
        self._callouts.keep_clear([room], words=True)


def _disc() -> list[Rect]:
    """The inside of the ring as horizontal slabs, which callouts must avoid."""
    slabs = []
    for step in range(-9, 10):
        y = step * _RADIUS / 10
        half = math.sqrt(_RADIUS**2 - y**2)
        slabs.append(Rect.around((_CENTRE[0], _CENTRE[1] + y), 2 * half, _RADIUS / 10))
    return slabs


def _steps(first: float, last: float) -> list[float]:
    return [first + (last - first) * step / 24 for step in range(25)]


def _cluster(name: str) -> str:
    return name.partition("/")[0]


def _links_of(graph: nx.MultiDiGraph[str]) -> dict[tuple[str, str], PathState]:
    """Each pair of linked clusters once, with the worst state of its directions."""
    states: dict[tuple[str, str], list[PathState]] = {}
    for source, target, data in graph.edges(data=True):
        if data["kind"] == "tunnel":
            one, other = sorted((_cluster(source), _cluster(target)))
            states.setdefault((one, other), []).append(PathState(data["state"]))
    return {pair: worst(link_states) for pair, link_states in states.items()}
