"""Judged cells as rows that a person can read: what differs alike is one row, fifty clusters or not.

Cells that differ in the same way between the same clusters are one row; a row that stands alike for many
targets (or sources) becomes one with all of them. A router is the same however far away it is: where only its
distance differs, all distances are told.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from netprobe.model.intent import CellResult, CellVerdict
from netprobe.render.labels import count

ORDER = (CellVerdict.LEAK, CellVerdict.BROKEN, CellVerdict.UNPROVEN)
"""What differs, the gravest first."""
_FOLD = 4
"""From so many rows that differ in one end only, one row is made."""
_DISTANCE = re.compile(r"hop (\d+)(?= \()")
"""How many hops a named router is away, as ``probes.drops`` says it."""
MAX_CLUSTERS = 24
"""Up to so many clusters there is a grid of all pairs."""


@dataclass(frozen=True, slots=True)
class VerificationRow:
    """Cells that differ in the same way, between the same clusters."""

    verdict: CellVerdict
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    reason: str
    doors: tuple[str, ...]
    rules: tuple[str, ...]
    cells: int

    @property
    def source(self) -> str:
        """Who asked, in a few words."""
        return _some(self.sources)

    @property
    def target(self) -> str:
        """Who was asked, in a few words."""
        return _some(self.targets)


def group_judged(judged: Iterable[CellResult]) -> tuple[VerificationRow, ...]:
    """What differs, by verdict, cluster pair and reason; leaks and the largest first."""
    groups: dict[tuple[CellVerdict, str, str, str], list[CellResult]] = defaultdict(list)
    for one in judged:
        if one.verdict is not CellVerdict.AS_INTENDED:
            target = one.cell.target.split("/")[0]
            reason = _DISTANCE.sub("hop", str(one.reason))
            groups[one.verdict, one.cell.source.cluster, target, reason].append(one)
    rows = [
        VerificationRow(
            verdict,
            (_common(source, [str(one.cell.source) for one in members]),),
            (_common(target, [one.cell.target for one in members]),),
            _with_distances(str(one.reason) for one in members),
            tuple(str(door) for door in sorted({one.cell.door for one in members})),
            tuple(dict.fromkeys(one.cell.rule for one in members)),
            len(members),
        )
        for (verdict, source, target, _), members in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (ORDER.index(row.verdict), -row.cells, row.source, row.target)))


def _with_distances(reasons: Iterable[str]) -> str:
    """Reasons that differ in distances only, as one with all of them.

    >>> _with_distances(["behind hop 4 (10.0.0.1)", "behind hop 3 (10.0.0.1)"])
    'behind hop 3 or 4 (10.0.0.1)'
    """
    first, *others = dict.fromkeys(reasons)
    if not others:
        return first
    places = zip(*(_DISTANCE.findall(reason) for reason in (first, *others)), strict=True)
    told = iter([" or ".join(sorted(set(hops), key=int)) for hops in places])
    return _DISTANCE.sub(lambda _: f"hop {next(told)}", first)


def fold_rows(rows: Iterable[VerificationRow]) -> tuple[VerificationRow, ...]:
    """Rows that differ only in their targets as one, then those only in their sources, then in both ends."""
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
        alike[row.verdict, row.reason, row.doors, row.rules, kept(row)].append(row)
    folded: list[VerificationRow] = []
    for group in alike.values():
        if len(group) < _FOLD:
            folded += group
        else:
            names = tuple(sorted({name for row in group for name in merged(row)}))
            folded.append(build(group[0], names, sum(row.cells for row in group)))
    return folded


def _fold_pairs(rows: Iterable[VerificationRow]) -> list[VerificationRow]:
    """What differs alike between many pairs, as one row with everybody of both ends."""
    alike: dict[object, list[VerificationRow]] = defaultdict(list)
    for row in rows:
        alike[row.verdict, row.reason, row.doors, row.rules].append(row)
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


def _some(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    clusters = tuple(dict.fromkeys(name.partition("/")[0] for name in names))
    told = ", ".join(clusters[:3]) + (", …" if len(clusters) > 3 else "")
    return f"{count(len(clusters), 'cluster')} ({told})"


def _common(cluster: str, names: list[str]) -> str:
    return names[0] if len(set(names)) == 1 else cluster


@dataclass(frozen=True, slots=True)
class Grid:
    """Who may reach whom between clusters: the worst verdict of each ordered pair, and its count."""

    names: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], tuple[CellVerdict, int]]

    def find(self, source: str, target: str) -> tuple[CellVerdict, int] | None:
        """The worst verdict of a pair and how many cells have it, or None where nothing is said."""
        return self.cells.get((source, target))


def read_grid(judged: Sequence[CellResult]) -> Grid | None:
    """The grid of *judged*; None where it would be too large to be read."""
    counts: dict[tuple[str, str], Counter[CellVerdict]] = defaultdict(Counter)
    for one in judged:
        counts[one.cell.source.cluster, one.cell.target.split("/")[0]][one.verdict] += 1
    names = tuple(sorted({pair[0] for pair in counts}))
    columns = tuple(sorted({pair[1] for pair in counts}))
    if max(len(names), len(columns)) > MAX_CLUSTERS:
        return None
    order = (*ORDER, CellVerdict.AS_INTENDED)
    cells = {}
    for pair, seen in counts.items():
        worst = next(verdict for verdict in order if seen[verdict])
        cells[pair] = (worst, seen[worst])
    return Grid(names, columns, cells)
