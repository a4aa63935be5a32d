"""The map: clusters as groups, gateways on their borders, tunnels as tubes, broken components drawn broken.

Rule: each direction of a link is its own arrow; a finding is shown in a callout next to what it blames. Many
clusters are drawn by :mod:`netprobe.render.figures.ring_map`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import networkx as nx

from netprobe.model.component import Component
from netprobe.model.inventory import KnownFrom
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.component_state import worst
from netprobe.render.figures.callouts import Callouts
from netprobe.render.figures.canvas import Canvas
from netprobe.render.figures.layout import (
    MAX_TILES,
    ClusterBox,
    ClusterNodes,
    Curve,
    Point,
    Rect,
    curve_between,
    place_groups,
)
from netprobe.render.figures.legend import draw_legend
from netprobe.render.figures.state_style import (
    GROUP_EDGE,
    GROUP_FILL,
    INK,
    PAPER,
    SOFT_INK,
    STATE_STYLES,
    TUBE,
    style_of,
)
from netprobe.render.graph import build_graph, link_label
from netprobe.render.labels import Names, duration, percent

_BOW = 0.27
_SHARES = (0.5, 0.36, 0.64, 0.24, 0.76)
"""Positions of a label along a link; the middle may hold marks, which cover narrow links."""
_SHARES_BESIDE_MARK = (0.24, 0.76, 0.36, 0.64)
"""The same if one of two arrows is marked: its leader may pass between them, in the middle."""
_LANES = 0.96
"""Total width of all links between the same two ends."""

Data = dict[str, Any]


def draw_map(snapshot: Snapshot) -> Canvas:
    """Draw up to eight clusters node by node."""
    canvas = Canvas.blank()
    graph = build_graph(snapshot)
    map_ = _Map(snapshot, graph, canvas)
    canvas.head(snapshot)
    map_.draw_links()
    map_.draw_groups()
    map_.callouts.draw()
    draw_legend(canvas, graph)
    canvas.foot(snapshot)
    return canvas


class _Map:
    """Draws one layer after another and registers obstacles for callouts."""

    def __init__(self, snapshot: Snapshot, graph: nx.MultiDiGraph[str], canvas: Canvas) -> None:
        self._snapshot = snapshot
        self._graph = graph
        self._canvas = canvas
        self._names = Names.of(snapshot.inventory)
        self._groups = place_groups({name: _members(graph, name) for name in _of_kind(graph, "cluster")})
        self._tiles = {name: rect for group in self._groups.values() for name, rect in group.tiles.items()}
        self._scale = min((group.scale for group in self._groups.values()), default=1.0)
        self._labels: list[Rect] = []
        self._lanes = _find_lanes(graph)
        self.callouts = Callouts(snapshot, graph, canvas)
        for group in self._groups.values():
            self.callouts.keep_clear([group.box.grown(0.08)])
            self.callouts.keep_clear(group.tiles.values(), words=True)

    # --- links ---------------------------------------------------------------------------

    def draw_links(self) -> None:
        """Tunnels as tubes around two arrows, direct links as two arrows alone."""
        for source, target, data in self._graph.edges(data=True):
            if data["kind"] == "tunnel" and source in self._tiles and target in self._tiles:
                self._draw_direction(source, target, data)
        for (source, target, _), data in self._links().items():
            self._draw_link_body(source, target, data)

    def _links(self) -> dict[tuple[str, str, str], Data]:
        """Each link once, by its two ends and the detail that identifies it."""
        links: dict[tuple[str, str, str], Data] = {}
        for source, target, data in self._graph.edges(data=True):
            if data["kind"] == "tunnel" and {source, target} <= self._tiles.keys():
                detail = Component.parse(data["component"]).link
                if (target, source, detail) not in links:
                    links.setdefault((source, target, detail), data)
        return links

    def _lane(self, source: str, target: str, data: Data) -> tuple[Point, Point, float]:
        """Start, end and relative width of a link, beside other links between the same tiles."""
        start, end = self._tiles[source].centre, self._tiles[target].centre
        place, lanes = self._lanes[_lane_of(source, target, data)]
        if lanes == 1:
            return start, end, 1.0
        offset = (place - (lanes - 1) / 2) * _LANES / lanes * self._scale * (1 if source < target else -1)
        dx, dy = end[0] - start[0], end[1] - start[1]
        length = math.hypot(dx, dy) or 1.0
        x, y = offset * dy / length, -offset * dx / length
        return (start[0] + x, start[1] + y), (end[0] + x, end[1] + y), 1.2 / lanes

    def _draw_link_body(self, source: str, target: str, data: Data) -> None:
        start, end, slim = self._lane(source, target, data)
        straight = curve_between(start, end, bow=0).between(self._tiles[source], self._tiles[target])
        if data["link"] == "tunnel":
            self._canvas.tube(start, end, colour=TUBE, width=42 * self._scale * slim)
        own = _lane_of(source, target, data)
        directions = [
            each
            for one, other, each in self._graph.edges(data=True)
            if each["kind"] == "tunnel" and _lane_of(one, other, each) == own
        ]
        rtts = [float(each["rtt_ms"]) for each in directions if "rtt_ms" in each]
        rtt = f"  {duration(min(rtts) * 1e6)}" if rtts else ""
        marked = sum(each["state"] != PathState.UP for each in directions) == 1
        shares = _SHARES_BESIDE_MARK if marked else _SHARES if slim == 1 else _SHARES[1:]
        for label in _link_labels(data, rtt):
            if self._label_link(straight, label, shares=shares):
                break

    def _label_link(self, line: Curve, label: str, *, shares: Sequence[float]) -> bool:
        """Write a link's label along it where it overlaps no other; False where there is no such place."""
        for share in shares:
            drawn = self._canvas.write(line.at(share), label, size=8 * self._scale, colour=SOFT_INK,
                                       ha="center", va="center", rotation=_upright(line),
                                       rotation_mode="anchor")  # fmt: skip
            drawn.set_rotation(0)
            fits = self._canvas.measure(drawn).width < 0.9 * math.dist(line.start, line.end)
            drawn.set_rotation(_upright(line))
            room = self._canvas.measure(drawn)
            if fits and not any(room.overlaps(other) for other in self._labels):
                self._labels.append(room)
                self.callouts.keep_clear([room], words=True)
                return True
            self._canvas.erase(drawn)
        return False

    def _draw_direction(self, source: str, target: str, data: Data) -> None:
        style = style_of(data["state"])
        tiles = self._tiles[source], self._tiles[target]
        start, end, slim = self._lane(source, target, data)
        curve = curve_between(start, end, bow=_BOW * self._scale * slim).between(*tiles)
        self._canvas.arrow(curve, style)
        self.callouts.keep_clear(
            (Rect.around(curve.at(step / 24), 0.3, 0.3) for step in range(25)), words=True
        )
        self.callouts.anchor(data["component"], Rect.around(curve.at(0.5), 0.24, 0.24))
        if data["state"] != PathState.UP:
            self._canvas.mark(curve.at(0.5), style, size=10)
        if data["state"] == PathState.DEGRADED and "loss" in data:
            self._write_beside(curve, f"{percent(data['loss'])} lost", style.ink)

    def _write_beside(self, curve: Curve, text: str, colour: str) -> None:
        """Write a word outside a curve, shortly before its middle."""
        (x0, y0), (x1, y1) = curve.at(0.2), curve.at(0.4)
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        x, y = curve.at(0.28)
        at = x + 0.24 * (y1 - y0) / length, y - 0.24 * (x1 - x0) / length
        drawn = self._canvas.write(at, text, size=8, colour=colour, weight="bold", ha="center", va="center",
                                   rotation=_upright(curve), rotation_mode="anchor")  # fmt: skip
        self.callouts.keep_clear([self._canvas.measure(drawn)], words=True)

    # --- clusters ------------------------------------------------------------------------

    def draw_groups(self) -> None:
        """Every cluster with its nodes, agents, services and the overlay inside."""
        for name, group in self._groups.items():
            self._canvas.box(group.box, fill=GROUP_FILL, edge=GROUP_EDGE, rounding=0.28, zorder=0.5)
            room = group.box.x + group.box.width - group.header[0] - 0.2
            drawn = self._canvas.write_within(
                room, group.header, name, size=11.5 * group.scale, least=7, weight="bold", va="baseline"
            )
            self.callouts.avoid_crossing(self._canvas.measure(drawn))
            self.callouts.anchor(name, self._canvas.measure(drawn))
            self._draw_overlays(group)
            for node, rect in group.tiles.items():
                self.callouts.anchor(node, rect)
                self._draw_node(node, rect, group.scale)
            self._draw_services(name, group)

    def _draw_overlays(self, group: ClusterBox) -> None:
        """Lines between a cluster's nodes: always to gateways, elsewhere only if not up."""
        pairs: dict[frozenset[str], list[Data]] = {}
        for source, target, data in self._graph.edges(data=True):
            if data["kind"] == "overlay" and {source, target} <= group.tiles.keys():
                pairs.setdefault(frozenset((source, target)), []).append(data)
        for pair, both in pairs.items():
            one, other = sorted(pair)
            state = _merged(PathState(data["state"]) for data in both)
            gateway = any(self._graph.nodes[node]["role"] == "gateway" for node in pair)
            if state is PathState.UP and not gateway:
                continue
            style, ends = STATE_STYLES[state], (group.tiles[one].centre, group.tiles[other].centre)
            self._canvas.line(ends, style, width=min(2.4, style.width * 0.75))
            curve = curve_between(*ends, bow=0).between(group.tiles[one], group.tiles[other])
            for data in both:
                self.callouts.anchor(data["component"], Rect.around(curve.at(0.5), 0.2, 0.2))
            if state in {PathState.DOWN, PathState.DEGRADED}:
                self._canvas.mark(curve.at(0.5), style, size=7)

    def _draw_node(self, name: str, rect: Rect, scale: float) -> None:
        if name not in self._graph:
            self._canvas.box(rect, fill=GROUP_FILL, edge=GROUP_EDGE, zorder=3)
            self._canvas.write(rect.centre, name, size=8 * scale, colour=SOFT_INK, ha="center", va="center")
            return
        data = self._graph.nodes[name]
        style = style_of(data["state"])
        self._canvas.styles.add(style)
        gateway = data["role"] == "gateway"
        is_up = data["state"] == PathState.UP
        fill = ("#e3ecf4" if gateway else PAPER) if is_up else style.fill
        width = 1.8 if gateway or not is_up else 1.0
        self._canvas.box(rect, fill=fill, edge=style.colour, width=width, dashes=style.dashes, zorder=6)
        x, y = rect.centre
        label = self._names.shorten(name).partition("/")[2]
        self._canvas.write_within(
            rect.width - 0.16 * scale, (x, y + 0.17 * scale), label if is_up else f"{style.mark} {label}",
            size=10 * scale, least=6.5 * scale, weight="bold", colour=INK if is_up else style.ink,
            ha="center", va="center",
        )  # fmt: skip
        self._draw_agents(name, rect, scale)

    def _draw_agents(self, node: str, rect: Rect, scale: float) -> None:
        x, y = rect.centre[0], rect.y + 0.2 * scale
        agents = [
            agent for agent in _inside(self._graph, node) if self._graph.nodes[agent]["kind"] == "agent"
        ]
        for index, agent in enumerate(sorted(agents, reverse=True)):
            data = self._graph.nodes[agent]
            at = x + (index - (len(agents) - 1) / 2) * 0.58 * scale - 0.17 * scale, y
            alive = data["presence"] == "alive"
            style = style_of(data["state"]) if alive else STATE_STYLES[PathState.UNKNOWN]
            marker = "o" if data["plane"] == "pod" else "s"
            self._canvas.dot(at, style, marker=marker, size=5 * scale)
            word = data["plane"] if alive else f"{data['plane']} ?"
            self._canvas.write((at[0] + 0.11 * scale, at[1]), word, size=6.5 * scale,
                               colour=SOFT_INK if alive else INK, va="center_baseline")  # fmt: skip
            self.callouts.anchor(f"agent({agent})", Rect(at[0] - 0.1, at[1] - 0.1, 0.5, 0.2))

    def _draw_services(self, cluster: str, group: ClusterBox) -> None:
        """Services and DNS in one line."""
        x, y = group.footer
        inside = [
            name
            for name in _inside(self._graph, cluster)
            if self._graph.nodes[name]["kind"] in {"service", "dns"}
        ]
        not_up_first = sorted(inside, key=lambda name: self._graph.nodes[name]["state"] == PathState.UP)
        for name in not_up_first[:3]:
            data = self._graph.nodes[name]
            style = style_of(data["state"])
            self._canvas.styles.add(style)
            is_up = data["state"] == PathState.UP
            word = f"{style.mark} {data['label'] if data['kind'] == 'service' else 'DNS'}"
            drawn = self._canvas.write(
                (x, y), word, size=7.5 * group.scale, va="baseline",
                colour=SOFT_INK if is_up else style.ink, weight="normal" if is_up else "bold",
            )  # fmt: skip
            room = self._canvas.measure(drawn)
            self.callouts.anchor(name, room.grown(0.04))
            self.callouts.avoid_crossing(room)
            x += room.width + 0.25 * group.scale


def _link_labels(data: Data, rtt: str) -> Iterator[str]:
    """What may be written along a link, the most telling first: the first one that fits is.

    A claim is written with its claimant, so that it is not taken for what was measured.
    """
    label = link_label(data)
    if data["claimed"]:
        fabric = "" if data["known_from"] in set(KnownFrom) else data["known_from"]
        told = f"{fabric or 'claimed'}: “{data['claimed']}”"
        whole = label.replace(fabric, told, 1) if fabric else f"{label} · {told}"
        yield whole + rtt
        yield whole
        yield told + rtt
        yield told
    yield label + rtt
    yield data["mechanism"] + rtt


def _lane_of(source: str, target: str, data: Data) -> tuple[frozenset[str], str]:
    """The two ends of a link, and the detail that identifies it."""
    return frozenset((source, target)), Component.parse(data["component"]).link


def _find_lanes(graph: nx.MultiDiGraph[str]) -> dict[tuple[frozenset[str], str], tuple[int, int]]:
    """For each link its position among those between the same two ends, and their number."""
    lanes: dict[frozenset[str], dict[str, None]] = {}
    for source, target, data in graph.edges(data=True):
        if data["kind"] == "tunnel":
            ends, detail = _lane_of(source, target, data)
            lanes.setdefault(ends, {})[detail] = None
    return {
        (ends, detail): (place, len(details))
        for ends, details in lanes.items()
        for place, detail in enumerate(details)
    }


def _members(graph: nx.MultiDiGraph[str], cluster: str) -> ClusterNodes:
    """Nodes drawn as tiles: every gateway; of many workers, those that differ and one tile for the rest."""
    nodes = [name for name in _inside(graph, cluster) if graph.nodes[name]["kind"] == "node"]
    gateways = tuple(name for name in nodes if graph.nodes[name]["role"] == "gateway")
    workers = tuple(name for name in nodes if name not in gateways)
    if len(workers) > MAX_TILES:
        differing_first = sorted(workers, key=lambda name: graph.nodes[name]["state"] == PathState.UP)
        shown = differing_first[: MAX_TILES - 1]
        workers = (*shown, f"+ {len(workers) - len(shown)} more")
    return ClusterNodes(gateways, workers)


def _merged(states: Iterable[PathState]) -> PathState:
    """The state of a line that represents several directions; unknown counts only if all are unknown."""
    distinct = set(states)
    return worst(distinct - {PathState.UNKNOWN} or distinct)


def _inside(graph: nx.MultiDiGraph[str], name: str) -> list[str]:
    return [target for _, target, data in graph.out_edges(name, data=True) if data["kind"] == "contains"]


def _of_kind(graph: nx.MultiDiGraph[str], kind: str) -> list[str]:
    return [name for name in graph if graph.nodes[name]["kind"] == kind]


def _upright(curve: Curve) -> float:
    """The angle of a line, such that text along it is never upside down."""
    angle = math.degrees(math.atan2(curve.end[1] - curve.start[1], curve.end[0] - curve.start[0]))
    return angle - 180 if angle > 90 else angle + 180 if angle < -90 else angle
