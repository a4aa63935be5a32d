"""Groups cells that differ from the intent into readable rows.

Rule: cells with the same verdict and reason between the same clusters are one row; equal rows for many
targets (or sources) are merged, and so are reasons that differ only in a router's distance.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from netprobe.model.intent import CellResult, CellVerdict
from netprobe.render.labels import count

ORDER = (CellVerdict.LEAK, CellVerdict.BROKEN, CellVerdict.UNPROVEN)
"""Verdicts that differ from the intent, the gravest first."""
_FOLD = 4
"""Smallest number of rows, different in one end only, that are merged."""
_DISTANCE = re.compile(r"hop (\d+)(?= \()")
"""The distance of a named router in a reason of ``probes.drops``."""
MAX_CLUSTERS = 24
"""Largest number of clusters for which a grid of all pairs is shown."""


@dataclass(frozen=True, slots=True)
class VerificationRow:
    """Cells that differ in the same way, between the same clusters."""

    verdict: CellVerdict
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    reason: str
    ports: tuple[str, ...]
    rules: tuple[str, ...]
    cells: int

    @property
    def source(self) -> str:
        """The sources, shortened."""
        return _shorten_names(self.sources)

    @property
    def target(self) -> str:
        """The targets, shortened."""
        return _shorten_names(self.targets)


def group_judged(judged: Iterable[CellResult]) -> tuple[VerificationRow, ...]:
    """Cells that differ, grouped by verdict, cluster pair and reason: leaks first, then the largest."""
    groups: dict[tuple[CellVerdict, str, str, str], list[CellResult]] = defaultdict(list)
    for result in judged:
        if result.verdict is not CellVerdict.AS_INTENDED:
            target = result.cell.target_cluster
            reason = _DISTANCE.sub("hop", str(result.reason))
            groups[result.verdict, result.cell.source.cluster, target, reason].append(result)
    rows = [
        VerificationRow(
            verdict,
            (_common(source, [str(result.cell.source) for result in members]),),
            (_common(target, [result.cell.target for result in members]),),
            _with_distances(str(result.reason) for result in members),
            tuple(str(port) for port in sorted({result.cell.door for result in members})),
            tuple(dict.fromkeys(result.cell.rule for result in members)),
            len(members),
        )
        for (verdict, source, target, _), members in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (ORDER.index(row.verdict), -row.cells, row.source, row.target)))


def _with_distances(reasons: Iterable[str]) -> str:
    """Merge reasons that differ only in a distance into one with all distances.

    >>> _with_distances(["behind hop 4 (10.0.0.1)", "behind hop 3 (10.0.0.1)"])
    'behind hop 3 or 4 (10.0.0.1)'
    """
    first, *others = dict.fromkeys(reasons)
    if not others:
        return first
    places = zip(*(_DISTANCE.findall(reason) for reason in (first, *others)), strict=True)
    distances = iter([" or ".join(sorted(set(hops), key=int)) for hops in places])
    return _DISTANCE.sub(lambda _: f"hop {next(distances)}", first)


def fold_rows(rows: Iterable[VerificationRow]) -> tuple[VerificationRow, ...]:
    """Merge rows that differ only in targets, then only in sources, then in both ends."""
    by_source = _fold(rows, lambda row: row.sources, lambda row: row.targets, _with_targets)
    folded = _fold(by_source, lambda row: row.targets, lambda row: row.sources, _with_sources)
    folded = _fold_pairs(folded)
    return tuple(sorted(folded, key=lambda row: (ORDER.index(row.verdict), -row.cells, row.sources)))


End = Callable[[VerificationRow], tuple[str, ...]]


def _fold(
    rows: Iterable[VerificationRow],
    kept: End,
    merged: End,
    build: Callable[[VerificationRow, tuple[str, ...], int], VerificationRow],
) -> list[VerificationRow]:
    alike: dict[object, list[VerificationRow]] = defaultdict(list)
    for row in rows:
        alike[row.verdict, row.reason, row.ports, row.rules, kept(row)].append(row)
    folded: list[VerificationRow] = []
    for group in alike.values():
        if len(group) < _FOLD:
            folded += group
        else:
            names = tuple(sorted({name for row in group for name in merged(row)}))
            folded.append(build(group[0], names, sum(row.cells for row in group)))
    return folded


def _fold_pairs(rows: Iterable[VerificationRow]) -> list[VerificationRow]:
    """Merge equal rows of many pairs into one row with all their ends."""
    alike: dict[object, list[VerificationRow]] = defaultdict(list)
    for row in rows:
        alike[row.verdict, row.reason, row.ports, row.rules].append(row)
    folded: list[VerificationRow] = []
    for group in alike.values():
        if len(group) < _FOLD:
            folded += group
        else:
            sources = tuple(sorted({name for row in group for name in row.sources}))
            targets = tuple(sorted({name for row in group for name in row.targets}))
            cells = sum(row.cells for row in group)
            folded.append(replace(group[0], sources=sources, targets=targets, cells=cells))
    return folded


def _with_targets(row: VerificationRow, names: tuple[str, ...], cells: int) -> VerificationRow:
    return replace(row, targets=names, cells=cells)


def _with_sources(row: VerificationRow, names: tuple[str, ...], cells: int) -> VerificationRow:
    return replace(row, sources=names, cells=cells)


def _shorten_names(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    clusters = tuple(dict.fromkeys(name.partition("/")[0] for name in names))
    listed = ", ".join(clusters[:3]) + (", …" if len(clusters) > 3 else "")
    return f"{count(len(clusters), 'cluster')} ({listed})"


def _common(cluster: str, names: list[str]) -> str:
    return names[0] if len(set(names)) == 1 else cluster


@dataclass(frozen=True, slots=True)
class Grid:
    """The worst verdict of each ordered cluster pair, and the number of its cells with that verdict."""

    names: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], tuple[CellVerdict, int]]

    def find(self, source: str, target: str) -> tuple[CellVerdict, int] | None:
        """The worst verdict of a pair and the number of cells with it, or None if the pair has no cells."""
        return self.cells.get((source, target))


def read_grid(judged: Sequence[CellResult]) -> Grid | None:
    """The grid of *judged*; None if it would be too large to read."""
    counts: dict[tuple[str, str], Counter[CellVerdict]] = defaultdict(Counter)
    for result in judged:
        counts[result.cell.source.cluster, result.cell.target_cluster][result.verdict] += 1
    names = tuple(sorted({pair[0] for pair in counts}))
    columns = tuple(sorted({pair[1] for pair in counts}))
    if max(len(names), len(columns)) > MAX_CLUSTERS:
        return None
    order = (*ORDER, CellVerdict.AS_INTENDED)
    cells = {}
    for pair, verdicts in counts.items():
        worst = next(verdict for verdict in order if verdicts[verdict])
        cells[pair] = (worst, verdicts[worst])
    return Grid(names, columns, cells)
