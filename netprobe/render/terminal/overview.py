"""The report of one snapshot for a terminal: the fleet by place, findings, and only what differs.

Rule: clusters are grouped by place (environment and region), so that fifty clusters fit into a dozen rows;
rows that are not all up come first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table

from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, PathState
from netprobe.render.component_state import WORST_FIRST, worst
from netprobe.render.labels import (
    MARKS,
    count,
    place_of,
    short_names,
)
from netprobe.render.reachability import (
    Level,
    MatrixCell,
    read_matrix,
    up_of_all,
)
from netprobe.render.terminal.console import Text
from netprobe.render.terminal.tables import (
    STYLES,
    finding_block,
    headed,
    new_table,
    state_text,
)

MAX_PAIRS = 20
"""Largest number of differing cluster pairs shown; ``-o json`` has all."""


@dataclass(frozen=True, slots=True)
class OverviewGroup:
    """Clusters of one environment and region."""

    name: str
    clusters: tuple[str, ...]
    state: PathState
    """The worst state of any path that begins or ends there."""
    inside: MatrixCell
    """Paths between nodes of the same cluster."""
    outside: MatrixCell
    """Paths to and from other clusters."""
    agents: int
    alive: int


def group_by_place(snapshot: Snapshot) -> tuple[OverviewGroup, ...]:
    """Every place: the worst first, then by name."""
    clusters: dict[str, list[str]] = {}
    for cluster in snapshot.inventory.clusters:
        kind = cluster.environment or ("site" if cluster.is_site else "")
        clusters.setdefault(place_of(kind, cluster.region), []).append(cluster.name)
    cells = read_matrix(snapshot, level=Level.CLUSTER).cells
    alive = Counter(
        str(status.agent.cluster) for status in snapshot.agents if status.state is AgentState.ALIVE
    )
    agents = Counter(str(agent.cluster) for agent in snapshot.inventory.iter_agents())
    places = [_read_place(name, names, cells, agents, alive) for name, names in clusters.items()]
    return tuple(sorted(places, key=lambda place: (WORST_FIRST.index(place.state), place.name)))


def _read_place(
    name: str,
    clusters: list[str],
    cells: Mapping[tuple[str, str], MatrixCell],
    agents: Mapping[str, int],
    alive: Mapping[str, int],
) -> OverviewGroup:
    here = set(clusters)
    inside = _sum(cell for (one, other), cell in cells.items() if one == other and one in here)
    outside = _sum(cell for (one, other), cell in cells.items() if one != other and here & {one, other})
    return OverviewGroup(
        name,
        tuple(clusters),
        worst((*inside.states, *outside.states)),
        inside,
        outside,
        sum(agents.get(each, 0) for each in clusters),
        sum(alive.get(each, 0) for each in clusters),
    )


def _sum(cells: Iterable[MatrixCell]) -> MatrixCell:
    total: Counter[PathState] = Counter()
    for cell in cells:
        total.update(cell.states)
    return MatrixCell(dict(total))


def report_table(snapshot: Snapshot) -> RenderableType:
    """Verdict, places, findings, then cluster pairs that are not all up and agents that are not alive."""
    blocks: list[RenderableType] = []
    places = group_by_place(snapshot)
    if places:
        blocks.append(_places_table(places))
    blocks += [
        finding_block(number, finding, snapshot.taken_ns)
        for number, finding in enumerate(snapshot.findings, start=1)
    ]
    blocks += _differing(snapshot)
    blocks += _agents(snapshot)
    return headed(snapshot, *blocks)


def _places_table(places: tuple[OverviewGroup, ...]) -> Table:
    table = new_table("PLACE", "CLUSTERS", "STATE", "INSIDE", "ACROSS", "AGENTS",
                      right=("INSIDE", "ACROSS", "AGENTS"))  # fmt: skip
    for place in places:
        clusters = place.clusters[0] if len(place.clusters) == 1 else str(len(place.clusters))
        agents = Text(f"{place.alive}/{place.agents}", "" if place.alive == place.agents else "bold yellow")
        table.add_row(
            place.name, clusters, state_text(place.state), _up(place.inside), _up(place.outside), agents
        )
    table.caption, table.caption_justify = (
        "paths up of all asked, inside a cluster and across clusters",
        "left",
    )
    table.caption_style = "bright_black"
    return table


def _up(cell: MatrixCell) -> Text:
    return Text(up_of_all(cell), STYLES[cell.state])


def _differing(snapshot: Snapshot) -> Iterator[RenderableType]:
    matrix = read_matrix(snapshot, level=Level.CLUSTER)
    differing = [(pair, cell) for pair, cell in matrix.cells.items() if cell.state is not PathState.UP]
    if not differing:
        return
    differing.sort(key=lambda entry: (WORST_FIRST.index(entry[1].state), entry[0]))
    short = short_names(matrix.names)
    table = new_table("FROM", "TO", "STATE", "UP", "OF", right=("UP", "OF"))
    for (source, target), cell in differing[:MAX_PAIRS]:
        state = Text(f"{MARKS[cell.state]} {cell.state}", STYLES[cell.state])
        table.add_row(short[source], short[target], state, str(cell.count(PathState.UP)), str(cell.paths))
    up = len(matrix.cells) - len(differing)
    head = f"{count(up, 'pair')} of clusters {'is' if up == 1 else 'are'} all up; the others:"
    more = len(differing) - MAX_PAIRS
    rest = [Text(f"and {more} more; -o json has all", "bright_black")] if more > 0 else []
    yield Group(Text(head), Text(""), table, *rest)


def _agents(snapshot: Snapshot) -> Iterator[RenderableType]:
    inactive = [status for status in snapshot.agents if status.state is not AgentState.ALIVE]
    if inactive:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(overflow="fold")
        for status in inactive[:10]:
            grid.add_row(str(status.agent), state_text(status.state), str(status.reason))
        more = [Text(f"and {len(inactive) - 10} more", "bright_black")] if len(inactive) > 10 else []
        yield Group(Text(f"{count(len(inactive), 'agent')} not alive:"), Text(""), grid, *more)
