"""The reachability matrix as a terminal table: a grid of marks, with counts if there is room."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table

from netprobe.model.names import Plane
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.component_state import WORST_FIRST
from netprobe.render.labels import (
    MARKS,
    Names,
    count,
    short_names,
)
from netprobe.render.reachability import (
    Level,
    MatrixCell,
    ReachabilityMatrix,
    read_matrix,
)
from netprobe.render.terminal.console import Text
from netprobe.render.terminal.tables import (
    MANY_NODES,
    STYLES,
    headed,
    new_table,
)

_NOT_ASKED = Text("·", style="bright_black")
_GRID_GAP = 1


def matrix_table(
    snapshot: Snapshot, *, plane: Plane | None = None, level: Level | None = None
) -> RenderableType:
    """The matrix with its legend; many nodes are shown as clusters, many clusters as differing pairs."""
    nodes = sum(len(cluster.nodes) for cluster in snapshot.inventory.clusters)
    level = level or (Level.CLUSTER if nodes > MANY_NODES else Level.NODE)
    matrix = read_matrix(snapshot, plane=plane, level=level)
    planes = f"asked from the {plane} plane" if plane else "asked from both planes, worst shown"
    about = Text(f"{count(len(matrix.cells), 'pair')} of {level}s {planes}", style="bright_black")
    return headed(snapshot, about, _Grid(matrix, Names.of(snapshot.inventory)), _legend(matrix))


class _Grid:
    """Shows marks with counts, marks alone, or a list of differing pairs, depending on the width."""

    def __init__(self, matrix: ReachabilityMatrix, names: Names) -> None:
        self._matrix = matrix
        self._names = names
        self._short = short_names(dict.fromkeys(matrix.cluster_of(name) for name in matrix.names))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = self._matrix.names
        label = max((len(self._label(name)) for name in names), default=0) + len(str(len(names))) + 3
        room = options.max_width - label
        widest = max((cell.paths for cell in self._matrix.cells.values()), default=0)
        with_counts = 2 + 2 * len(str(widest)) + 1 + _GRID_GAP
        if len(names) * with_counts <= room:
            yield self._grid(counts=True)
        elif len(names) <= MANY_NODES and len(names) * (len(str(len(names))) + 1 + _GRID_GAP) <= room:
            yield self._grid(counts=False)
        else:
            yield self._differing()

    def _label(self, name: str) -> str:
        head, slash, _ = name.partition("/")
        return self._short[head] + slash + self._names.shorten(name).partition("/")[2]

    def _grid(self, *, counts: bool) -> Table:
        table = Table(
            box=None, show_edge=False, pad_edge=False, padding=(0, _GRID_GAP, 0, 0), header_style="bold"
        )
        table.add_column("", justify="right", style="bright_black")
        table.add_column("from \\ to", no_wrap=True)
        for number in range(1, len(self._matrix.names) + 1):
            table.add_column(str(number), justify="center", min_width=2)
        cluster = ""
        for number, source in enumerate(self._matrix.names, start=1):
            here = self._matrix.cluster_of(source)
            if cluster and here != cluster and self._matrix.level is Level.NODE:
                table.add_row()
            cluster = here
            cells = [self._cell(source, target, counts=counts) for target in self._matrix.names]
            table.add_row(str(number), self._label(source), *cells)
        return table

    def _cell(self, source: str, target: str, *, counts: bool) -> Text:
        cell = self._matrix.find(source=source, target=target)
        if cell is None:
            return _NOT_ASKED
        return Text(
            f"{MARKS[cell.state]} {_ratio(cell)}" if counts else MARKS[cell.state], STYLES[cell.state]
        )

    def _differing(self) -> RenderableType:
        differing = [
            (pair, cell) for pair, cell in self._matrix.cells.items() if cell.state is not PathState.UP
        ]
        up = len(self._matrix.cells) - len(differing)
        head = Text(f"{count(up, 'pair')} of {len(self._matrix.cells)} are all up")
        if not differing:
            return head
        table = new_table("FROM", "TO", "STATE", "UP", "DEGRADED", "DOWN", "UNKNOWN",
                          right=("UP", "DEGRADED", "DOWN", "UNKNOWN"))  # fmt: skip
        for (source, target), cell in sorted(differing, key=_by_weight):
            numbers = [str(cell.count(state) or "–") for state in PathState]
            state = Text(f"{MARKS[cell.state]} {cell.state}", STYLES[cell.state])
            table.add_row(self._label(source), self._label(target), state, *numbers)
        return Group(head, Text(""), table)


def _by_weight(entry: tuple[tuple[str, str], MatrixCell]) -> tuple[int, tuple[str, str]]:
    pair, cell = entry
    return WORST_FIRST.index(cell.state), pair


def _ratio(cell: MatrixCell) -> str:
    return f"{cell.count(PathState.UP)}/{cell.paths}"


def _legend(matrix: ReachabilityMatrix) -> Text:
    """The marks that occur."""
    states = {cell.state for cell in matrix.cells.values()}
    marks = [f"{MARKS[state]} {state}" for state in PathState if state in states]
    full = len(matrix.names) * (len(matrix.names) - 1)
    off_diagonal = sum(source != target for source, target in matrix.cells)
    return Text("   ".join([*marks, *(["· not asked"] if off_diagonal < full else [])]), style="bright_black")
