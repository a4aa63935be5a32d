"""The reachability matrix, between nodes or between clusters.

Rule: a cell shows the worst state of its checks and counts all of them; a pair without checks has no cell,
which differs from a cell that is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from netprobe.model.check import Expectation, Layer
from netprobe.model.names import Plane
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.component_state import worst

_LAYERS = frozenset((Layer.NODE, Layer.POD, Layer.HOST_POD))
"""Layers whose target is a node; services, DNS and outer addresses are not part of the matrix."""


class Level(StrEnum):
    """What a row represents."""

    NODE = "node"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """All checks of one ordered pair."""

    states: Mapping[PathState, int] = field(default_factory=dict)

    @property
    def state(self) -> PathState:
        """The worst of them."""
        return worst(self.states)

    @property
    def paths(self) -> int:
        """How many checks there are."""
        return sum(self.states.values())

    def count(self, state: PathState) -> int:
        """How many checks are in *state*."""
        return self.states.get(state, 0)


def up_of_all(cell: MatrixCell) -> str:
    """How many of a cell's paths are up; a dash if it has none.

    >>> up_of_all(MatrixCell({PathState.UP: 1200, PathState.DOWN: 3})), up_of_all(MatrixCell())
    ('1,200/1,203', '–')
    """
    return f"{cell.count(PathState.UP):,}/{cell.paths:,}" if cell.paths else "–"


@dataclass(frozen=True, slots=True)
class ReachabilityMatrix:
    """Rows are sources, columns are targets; both in inventory order."""

    level: Level
    names: tuple[str, ...]
    cells: Mapping[tuple[str, str], MatrixCell]

    def find(self, *, source: str, target: str) -> MatrixCell | None:
        """The cell of a pair, or None if no check covers it."""
        return self.cells.get((source, target))

    @property
    def differing(self) -> tuple[str, ...]:
        """Names with a row or column that is not all up, in order."""
        differing = {
            name for pair, cell in self.cells.items() if cell.state is not PathState.UP for name in pair
        }
        return tuple(name for name in self.names if name in differing)

    def cluster_of(self, name: str) -> str:
        """The cluster a row belongs to."""
        return name.partition("/")[0]


def read_matrix(
    snapshot: Snapshot, *, plane: Plane | None = None, level: Level = Level.NODE
) -> ReachabilityMatrix:
    """Count the path states of every ordered pair; *plane* selects checks from one plane."""
    states = {path.check: path.state for path in snapshot.paths}
    counts: dict[tuple[str, str], Counter[PathState]] = {}
    for check in snapshot.checks:
        target = check.target.node
        if check.layer not in _LAYERS or target is None or check.expect is Expectation.DENY:
            continue
        if plane is not None and check.source.plane is not plane:
            continue
        nodes = (check.source.node_id, target)
        pair = (str(nodes[0]), str(nodes[1])) if level is Level.NODE else (nodes[0].cluster, nodes[1].cluster)
        counts.setdefault(pair, Counter())[states.get(check.id, PathState.UNKNOWN)] += 1
    return ReachabilityMatrix(
        level,
        _names(snapshot, level),
        {pair: MatrixCell(dict(tally)) for pair, tally in counts.items()},
    )


def _names(snapshot: Snapshot, level: Level) -> tuple[str, ...]:
    clusters = snapshot.inventory.clusters
    if level is Level.CLUSTER:
        return tuple(cluster.name for cluster in clusters)
    return tuple(str(cluster.node_id(node)) for cluster in clusters for node in cluster.nodes)
