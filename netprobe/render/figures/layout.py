"""Layout of the map: pure, deterministic geometry without drawing.

The map is 16 × 10 units. Clusters are placed on an ellipse in inventory order, clockwise from the top left; a
gateway straddles the border of its cluster on the side that faces the middle.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]

WIDTH, HEIGHT = 16.0, 10.0
TILE_WIDTH, TILE_HEIGHT = 1.3, 0.82
TILE_GAP = 0.34
"""Gap between rows of tiles, with room for a mark on the line between them."""
MAX_TILES = 6
"""Largest number of workers of a cluster that are drawn one by one."""


_SCALES = ((3, 1.0), (4, 0.85), (6, 0.74), (math.inf, 0.66))
"""Pairs of largest number of clusters and scale of tiles and texts."""


@dataclass(frozen=True, slots=True)
class Rect:
    """An upright rectangle by its lower left corner."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def around(cls, centre: Point, width: float, height: float) -> Rect:
        """The rectangle of that size with that middle."""
        return cls(centre[0] - width / 2, centre[1] - height / 2, width, height)

    @property
    def centre(self) -> Point:
        """The centre."""
        return self.x + self.width / 2, self.y + self.height / 2

    def overlaps(self, other: Rect) -> bool:
        """Whether the two share more than a border.

        >>> Rect(0, 0, 1, 1).overlaps(Rect(1, 0, 1, 1))
        False
        """
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )

    def contains(self, point: Point) -> bool:
        """Whether *point* lies inside or on the border."""
        return self.x <= point[0] <= self.x + self.width and self.y <= point[1] <= self.y + self.height

    def grown(self, by: float) -> Rect:
        """A copy with a margin on all sides."""
        return Rect(self.x - by, self.y - by, self.width + 2 * by, self.height + 2 * by)


AREA = Rect(0.4, 1.05, WIDTH - 0.8, 7.55)
"""The area for the map between title and legend."""


class BorderSide(StrEnum):
    """The border of a cluster on which its gateways are placed."""

    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    BOTTOM = "bottom"


_ACROSS = frozenset((BorderSide.TOP, BorderSide.BOTTOM))


@dataclass(frozen=True, slots=True)
class ClusterBox:
    """One cluster on the map."""

    box: Rect
    side: BorderSide
    header: Point
    """Left baseline of its name."""
    footer: Point
    """Left baseline of its services."""
    tiles: Mapping[str, Rect]
    """Tile of each node, gateways included."""
    scale: float


@dataclass(frozen=True, slots=True)
class ClusterNodes:
    """Nodes that are drawn in a group."""

    gateways: tuple[str, ...]
    workers: tuple[str, ...]


def place_groups(clusters: Mapping[str, ClusterNodes]) -> dict[str, ClusterBox]:
    """Give every cluster its box and every node its tile."""
    scale = next(scale for most, scale in _SCALES if len(clusters) <= most)
    spots = _spots(len(clusters))
    sides = [_facing(spot, number=len(clusters)) for spot in spots]
    rows = {False: 1, True: 1}  # clusters facing the same way have equal heights, so that links are straight
    for members, side in zip(clusters.values(), sides, strict=True):
        across = side in _ACROSS
        rows[across] = max(rows[across], _grid(len(members.workers), across=across)[1])
    return {
        name: _place_group(members, spot, side, scale, rows[side in _ACROSS])
        for (name, members), spot, side in zip(clusters.items(), spots, sides, strict=True)
    }


def _spots(number: int) -> list[Point]:
    """Points on the square from -1 to 1, clockwise from the top left.

    Up to four are placed on an ellipse; more are placed in two rows, whose middle is moved outwards so that a
    link between the ends of a row passes the gateways in between.
    """
    if number <= 1:
        return [(0.0, 0.0)] * number
    if number > 4:
        upper = (number + 1) // 2
        row = _row(upper, y=1.0)
        return row + [(-x, y) for x, y in _row(number - upper, y=-1.0)]
    angles = [math.pi / 2 + math.pi / number - 2 * math.pi * i / number for i in range(number)]
    xs, ys = [math.cos(angle) for angle in angles], [math.sin(angle) for angle in angles]
    reach = max(map(abs, xs))
    low, high = min(ys), max(ys)
    flat = high - low < 1e-9
    return [
        (round(x / reach, 6), 0.0 if flat else round(2 * (y - low) / (high - low) - 1, 6))
        for x, y in zip(xs, ys, strict=True)
    ]


def _row(number: int, *, y: float) -> list[Point]:
    xs = [2 * index / (number - 1) - 1 for index in range(number)]
    return [(x, y * (0.78 if abs(x) == 1 and number > 2 else 1.0)) for x in xs]


def _facing(spot: Point, *, number: int) -> BorderSide:
    """The side that faces the middle of the map."""
    x, y = spot
    if number == 1:
        return BorderSide.RIGHT
    if number <= 4 and abs(x) >= 0.35:
        return BorderSide.RIGHT if x < 0 else BorderSide.LEFT
    return BorderSide.BOTTOM if y > 0 else BorderSide.TOP


def _place_group(members: ClusterNodes, spot: Point, side: BorderSide, scale: float, high: int) -> ClusterBox:
    across = side in _ACROSS
    columns, rows = _grid(len(members.workers), across=across)
    width = max(4.5, columns * (TILE_WIDTH + 0.25) + (0.5 if across else 1.9)) * scale
    height = (1.35 + high * (TILE_HEIGHT + TILE_GAP) + (0.45 if across else 0)) * scale
    half = (AREA.width - width - 0.2) / 2, (AREA.height - height - 0.3) / 2
    centre = AREA.centre[0] + spot[0] * half[0], AREA.centre[1] + spot[1] * half[1]
    box = Rect.around(centre, width, height)
    tiles = _gateway_tiles(members.gateways, box, side, scale)
    tiles |= _worker_tiles(members.workers, box, side, scale, (columns, rows))
    top, bottom = box.y + height - 0.42 * scale, box.y + 0.22 * scale
    left = box.x + (0.25 * scale if side is not BorderSide.LEFT else 0.3 * scale)
    if side is BorderSide.TOP:
        return ClusterBox(box, side, (left, bottom + 0.36 * scale), (left, bottom), tiles, scale)
    if side is BorderSide.BOTTOM:
        return ClusterBox(box, side, (left, top), (left, top - 0.34 * scale), tiles, scale)
    return ClusterBox(box, side, (left, top), (left, bottom), tiles, scale)


def _grid(number: int, *, across: bool) -> tuple[int, int]:
    """Columns and rows for that many tiles: stacked beside a gateway, in rows below one."""
    if number <= 0:
        return 0, 0
    if across:
        columns = min(3, number)
        return columns, math.ceil(number / columns)
    rows = min(2 if number <= 4 else 3, number)
    return math.ceil(number / rows), rows


def _gateway_tiles(names: tuple[str, ...], box: Rect, side: BorderSide, scale: float) -> dict[str, Rect]:
    tiles = {}
    for index, name in enumerate(names):
        shift = index - (len(names) - 1) / 2
        x, y = box.centre
        match side:
            case BorderSide.LEFT | BorderSide.RIGHT:
                x = box.x + (box.width if side is BorderSide.RIGHT else 0)
                y += shift * (TILE_HEIGHT + 0.15) * scale
            case BorderSide.TOP | BorderSide.BOTTOM:
                y = box.y + (box.height if side is BorderSide.TOP else 0)
                x += shift * (TILE_WIDTH + 0.15) * scale
        tiles[name] = Rect.around((x, y), TILE_WIDTH * scale, TILE_HEIGHT * scale)
    return tiles


def _worker_tiles(
    names: tuple[str, ...], box: Rect, side: BorderSide, scale: float, grid: tuple[int, int]
) -> dict[str, Rect]:
    columns, rows = grid
    step_x, step_y = (TILE_WIDTH + 0.25) * scale, (TILE_HEIGHT + TILE_GAP) * scale
    x, y = box.centre
    shift = (0.75 if columns == 1 else 0.45) * scale  # away from the gateway
    match side:
        case BorderSide.RIGHT:
            x -= shift
        case BorderSide.LEFT:
            x += shift
        case _:
            pass
    y += {BorderSide.TOP: 0.1, BorderSide.BOTTOM: -0.1}.get(side, -0.09) * scale
    tiles = {}
    for index, name in enumerate(names):
        column, row = divmod(index, columns)[::-1] if side in _ACROSS else divmod(index, rows)
        at = x + (column - (columns - 1) / 2) * step_x, y - (row - (rows - 1) / 2) * step_y
        tiles[name] = Rect.around(at, TILE_WIDTH * scale, TILE_HEIGHT * scale)
    return tiles


# --- curves ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Curve:
    """A quadratic Bézier curve."""

    start: Point
    bend: Point
    end: Point

    def at(self, share: float) -> Point:
        """The point after *share* (0–1) of the curve."""
        rest = 1 - share
        weights = rest * rest, 2 * rest * share, share * share
        corners = self.start, self.bend, self.end
        return (
            sum(weight * corner[0] for weight, corner in zip(weights, corners, strict=True)),
            sum(weight * corner[1] for weight, corner in zip(weights, corners, strict=True)),
        )

    def cut(self, low: float, high: float) -> Curve:
        """The part between two shares of the curve."""
        start, end = self.at(low), self.at(high)
        rest_low, rest_high = 1 - low, 1 - high
        bend = tuple(
            rest_low * rest_high * a + (rest_low * high + low * rest_high) * b + low * high * c
            for a, b, c in zip(self.start, self.bend, self.end, strict=True)
        )
        return Curve(start, (bend[0], bend[1]), end)

    def between(self, leaving: Rect, entering: Rect, gap: float = 0.06) -> Curve:
        """The part outside two rectangles."""
        steps = [index / 200 for index in range(201)]
        near_start, near_end = leaving.grown(gap), entering.grown(gap)
        low = max((share for share in steps if near_start.contains(self.at(share))), default=0.0)
        high = min(
            (share for share in steps if share > low and near_end.contains(self.at(share))), default=1.0
        )
        return self.cut(low, high)


def curve_between(source: Point, target: Point, *, bow: float) -> Curve:
    """The curve that bends *bow* units to the right of the line from *source* to *target*."""
    dx, dy = target[0] - source[0], target[1] - source[1]
    length = math.hypot(dx, dy) or 1.0
    middle = (source[0] + target[0]) / 2, (source[1] + target[1]) / 2
    return Curve(source, (middle[0] + 2 * bow * dy / length, middle[1] - 2 * bow * dx / length), target)


def nearest(rect: Rect, point: Point) -> Point:
    """The point of *rect* nearest to *point*."""
    return (
        min(max(point[0], rect.x), rect.x + rect.width),
        min(max(point[1], rect.y), rect.y + rect.height),
    )


def find_place(
    anchor: Point,
    size: Point,
    *,
    obstacles: Iterable[Rect],
    words: Iterable[Rect] = (),
    area: Rect = AREA,
    step: float = 0.15,
) -> Rect:
    """The best free place for a box of *size* that points to *anchor*.

    Free means that it covers no obstacle; best means near, with a leader line that crosses no *words*. If
    nothing is free, the nearest place is used.
    """
    width, height = size
    xs = [area.x + step * i for i in range(max(1, int((area.width - width) / step) + 1))]
    ys = [area.y + step * i for i in range(max(1, int((area.height - height) / step) + 1))]
    places = [Rect(x, y, width, height) for x, y in itertools.product(xs, ys)]
    places.sort(key=lambda place: (round(math.dist(nearest(place, anchor), anchor), 6), place.x, place.y))
    blocked = tuple(obstacles)
    free = [place for place in places if not any(map(place.overlaps, blocked))]
    texts = tuple(words)
    return min(free[:400] or places[:1], key=lambda place: _penalty(place, anchor, texts))


def _penalty(place: Rect, anchor: Point, words: tuple[Rect, ...]) -> float:
    """Distance of a place from its anchor, plus three units for every word that its leader crosses."""
    start = nearest(place, anchor)
    dx, dy = anchor[0] - start[0], anchor[1] - start[1]
    leader = [(start[0] + step / 16 * dx, start[1] + step / 16 * dy) for step in range(15)]
    crossed = [word for word in words if any(map(word.contains, leader))]
    return math.dist(place.centre, anchor) + 3.0 * len(crossed)
