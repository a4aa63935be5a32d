"""The reachability matrix as a picture: rows are sources, columns are targets, grouped by cluster.

Rule: colour, mark and count each show the state; a pair without checks is left empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from netprobe.model.names import Plane
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.figures.canvas import Canvas
from netprobe.render.figures.layout import Point, Rect
from netprobe.render.figures.state_style import (
    GROUP_EDGE,
    INK,
    PAPER,
    SOFT_INK,
    STATE_STYLES,
)
from netprobe.render.labels import Names, count, short_names
from netprobe.render.reachability import (
    Level,
    MatrixCell,
    ReachabilityMatrix,
    read_matrix,
)

MANY_ROWS = 40
"""With more nodes than this, rows are clusters."""
_TOP, _BOTTOM, _LEFT = 7.75, 1.0, 3.3
_HEAD = 8.6
"""The title is above this line."""
_TURN = 60
"""Rotation of cluster names above their columns, in degrees."""
_LONGEST = 1.6
"""Largest length of a name beside its row or above its column."""
_CLUSTER = 0.6
"""Room for the names of clusters above those of their nodes."""
_NARROW = 0.42
"""Names above columns narrower than this are vertical."""
_BIGGEST = 0.86
_LABEL = 0.17
"""Distance between two labels where they are crowded."""
_BIG, _SMALL = 0.55, 0.2
"""Smallest width of cells with a count, and of cells with a mark."""

_FILLS: Mapping[PathState, str] = {
    PathState.UP: "#d5e3ef",
    PathState.DEGRADED: "#f3c15f",
    PathState.DOWN: STATE_STYLES[PathState.DOWN].colour,
    PathState.UNKNOWN: "#e3e5e8",
}


def draw_matrix(snapshot: Snapshot, *, plane: Plane | None = None, level: Level | None = None) -> Canvas:
    """Draw the matrix of *snapshot*; *plane* selects checks from one plane."""
    nodes = sum(len(cluster.nodes) for cluster in snapshot.inventory.clusters)
    matrix = read_matrix(
        snapshot, plane=plane, level=level or (Level.CLUSTER if nodes > MANY_ROWS else Level.NODE)
    )
    canvas = Canvas.blank()
    canvas.head(snapshot)
    picture = _Picture(matrix, canvas, Names.of(snapshot.inventory))
    picture.draw_labels()
    picture.draw_cells()
    _draw_legend(canvas, matrix, picture.right + 0.6, plane)
    canvas.foot(snapshot)
    return canvas


class _Picture:
    """Computes the position of each row and column, and draws them."""

    def __init__(self, matrix: ReachabilityMatrix, canvas: Canvas, names: Names) -> None:
        self._matrix = matrix
        self._canvas = canvas
        self._short = short_names(dict.fromkeys(matrix.cluster_of(name) for name in matrix.names))
        self._labels = {
            name: names.shorten(name).partition("/")[2] or self._short[name] for name in matrix.names
        }
        breaks = [index for index in range(1, len(matrix.names)) if self._breaks_before(index)]
        rows = max(1.0, len(matrix.names) + 0.2 * len(breaks))
        self._tilt_deg, self._top = self._rotate_columns(size=min(_BIGGEST, (_TOP - _BOTTOM) / rows))
        self._size = min(_BIGGEST, (self._top - _BOTTOM) / rows)
        self._offset = {
            name: self._size * (index + 0.2 * sum(at <= index for at in breaks))
            for index, name in enumerate(matrix.names)
        }
        self.right = _LEFT + max(self._offset.values(), default=0.0) + self._size

    def _rotate_columns(self, *, size: float) -> tuple[float, float]:
        """Rotation of names above columns, and the top of the cells, so that names stay below the title."""
        if not self._labels:
            return 0.0, _TOP
        if self._matrix.level is Level.CLUSTER:
            return _TURN, min(_TOP, _HEAD - self._measure_longest(7, _TURN).height - 0.12)
        widest = self._measure_longest(9).width
        if size >= _NARROW and widest < size:
            return 0.0, _TOP
        return 90.0, min(_TOP, _HEAD - min(widest, _LONGEST) - _CLUSTER)

    def _measure_longest(self, size: float, tilt_deg: float = 0.0) -> Rect:
        drawn = self._canvas.write((0, 0), max(self._labels.values(), key=len), size=size, rotation=tilt_deg)
        room = self._canvas.measure(drawn)
        self._canvas.erase(drawn)
        return room

    def _breaks_before(self, index: int) -> bool:
        before, name = self._matrix.names[index - 1], self._matrix.names[index]
        return self._matrix.level is Level.NODE and self._matrix.cluster_of(
            before
        ) != self._matrix.cluster_of(name)

    def draw_labels(self) -> None:
        """Label rows and columns, each cluster once; where crowded, only those that differ."""
        crowded = self._size < _SMALL
        size = 7.0 if crowded else max(6.0, min(9.0, 12 * self._size + 2))
        tilt_deg = self._tilt_deg
        rows, columns = [], []
        names = self._matrix.differing if crowded else self._matrix.names
        middles = [self._offset[name] + self._size / 2 for name in names]
        for name, middle in zip(names, _spread(middles) if crowded else middles, strict=True):
            beside, above = (_LEFT - 0.12, self._top - middle), (_LEFT + middle, self._top + 0.12)
            rows.append(
                self._canvas.write_within(_LONGEST, beside, self._labels[name], size=size, least=6,
                                          ha="right", va="center")
            )  # fmt: skip
            columns.append(
                self._canvas.write_within(_LONGEST, above, self._labels[name], size=size, least=6,
                                          rotation=tilt_deg, rotation_mode="anchor",
                                          ha="left" if tilt_deg else "center",
                                          va="center" if tilt_deg else "bottom")
            )  # fmt: skip
        if self._matrix.level is Level.NODE and rows:
            left = min(self._canvas.measure(drawn).x for drawn in rows)
            top = max(room.y + room.height for room in map(self._canvas.measure, columns))
            self._draw_clusters(left - 0.14, top + 0.08)

    def _draw_clusters(self, left: float, top: float) -> None:
        """A bracket and a name for each cluster, beside its rows and above its columns."""
        for cluster in self._short:
            places = [
                self._offset[name] for name in self._matrix.names if self._matrix.cluster_of(name) == cluster
            ]
            start, end = places[0] + 0.05, places[-1] + self._size - 0.05
            self._canvas.thread([(left, self._top - start), (left, self._top - end)])
            self._canvas.thread([(_LEFT + start, top), (_LEFT + end, top)])
            middle = (start + end) / 2
            self._canvas.write_within(
                left - 0.45, (left - 0.15, self._top - middle), self._short[cluster], weight="bold",
                size=min(10.5, 40 * (end - start)), least=5, ha="right", va="center",
            )  # fmt: skip
            self._write_within(self._short[cluster], (_LEFT + middle, top + 0.07), end - start)

    def _write_within(self, text: str, at: Point, width: float) -> None:
        """Write a column's name as large as fits; leave it out if nothing fits, as the rows show it too."""
        drawn = self._canvas.write(at, text, size=10.5, weight="bold", ha="center", va="bottom")
        size = min(10.5, 10.5 * width / self._canvas.measure(drawn).width)
        drawn.set_fontsize(size)
        if size < 5:
            self._canvas.erase(drawn)

    def draw_cells(self) -> None:
        """Every pair with checks."""
        gap = 0.06 * self._size
        if self._size < _SMALL:
            side = self.right - _LEFT
            self._canvas.box(
                Rect(_LEFT, self._top - side, side, side).grown(0.08), fill=PAPER, edge=GROUP_EDGE
            )
        for row in self._matrix.names:
            for column in self._matrix.names:
                x, y = _LEFT + self._offset[column], self._top - self._offset[row] - self._size
                room = Rect(x + gap, y + gap, self._size - 2 * gap, self._size - 2 * gap)
                cell = self._matrix.find(source=row, target=column)
                if cell is not None:
                    self._draw_cell(room, cell)
                elif self._size >= _SMALL:
                    self._canvas.box(room, fill=PAPER, edge=GROUP_EDGE, width=0.5, rounding=0.1 * self._size)

    def _draw_cell(self, room: Rect, cell: MatrixCell) -> None:
        state = cell.state
        self._canvas.box(room, fill=_FILLS[state], edge="none", width=0, rounding=0.1 * self._size)
        if self._size < _SMALL:
            return
        ink = PAPER if state is PathState.DOWN else STATE_STYLES[state].ink if state is PathState.UP else INK
        x, y = room.centre
        big = self._size >= _BIG
        self._canvas.write((x, y + 0.1 * self._size * big), STATE_STYLES[state].mark, weight="bold",
                           size=min(13.0, 17 * self._size), colour=ink, ha="center", va="center")  # fmt: skip
        if big:
            ratio = f"{cell.count(PathState.UP)}/{cell.paths}"
            self._canvas.write(
                (x, y - 0.27 * self._size), ratio, size=7, colour=ink, ha="center", va="center"
            )


def _spread(places: list[float]) -> list[float]:
    """Move ascending positions apart just so far that labels do not touch."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + _LABEL) if moved else place)
    return moved


def _draw_legend(canvas: Canvas, matrix: ReachabilityMatrix, x: float, plane: Plane | None) -> None:
    """The legend, with the number of pairs in each state."""
    y = _TOP - 0.1
    planes = f"asked from the {plane} plane" if plane else "asked from both planes, worst state shown"
    for line in ("rows: sources, columns: targets", planes):
        canvas.write((x, y), line, size=8.5, colour=SOFT_INK, va="center")
        y -= 0.34
    y -= 0.2
    states = Counter(cell.state for cell in matrix.cells.values())
    for state in PathState:
        if states[state]:
            canvas.box(Rect(x, y - 0.16, 0.32, 0.32), fill=_FILLS[state], edge="none", rounding=0.06)
            canvas.write((x + 0.16, y), STATE_STYLES[state].mark, size=8.5, weight="bold", ha="center",
                         va="center", colour=PAPER if state is PathState.DOWN else INK)  # fmt: skip
            canvas.write((x + 0.48, y), f"{state}: {count(states[state], 'pair')}", size=9.5, va="center")
            y -= 0.46
    if any(cell.paths > 1 for cell in matrix.cells.values()) and len(matrix.names) * _BIG < _TOP - _BOTTOM:
        canvas.write((x, y), "7/9: paths up of all paths asked", size=8.5, colour=SOFT_INK, va="center")
