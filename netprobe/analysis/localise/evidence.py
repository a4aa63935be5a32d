"""What a localiser reads: which components each row's packets cross, and how many of them were lost.

Rules: a row is one leg of one check (a row whose direction is unknown covers both legs). A row whose path is
one of several (ECMP) owns them all. An :class:`EvidenceMatrix` is built once per plan; each batch only adds
to the counts of :class:`Observations`. Arrays are never changed in place.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from netprobe.errors import InputError, MisuseError
from netprobe.model.arrays import BoolArray, FloatArray, IntArray

L = TypeVar("L", bound=Hashable)
"""What components are called: ``model.component.Component``, or plain numbers in a benchmark."""


@dataclass(frozen=True, eq=False)  # not slotted: the derived tables are computed once, when first asked for
class EvidenceMatrix(Generic[L]):
    """Rows × components as two sparse levels: a row owns paths, a path crosses components.

    Row *r* owns the paths ``row_indptr[r]:row_indptr[r + 1]``; path *p* crosses
    ``components[i] for i in path_indices[path_indptr[p]:path_indptr[p + 1]]``, each once.
    """

    components: tuple[L, ...]
    path_indptr: IntArray
    path_indices: IntArray
    row_indptr: IntArray

    def __post_init__(self) -> None:
        _require_indptr(self.path_indptr, end=len(self.path_indices), what="path_indptr")
        _require_indptr(self.row_indptr, end=len(self.path_indptr) - 1, what="row_indptr")
        if bool(np.any(np.diff(self.row_indptr) < 1)):
            raise MisuseError("every row needs at least one path")
        indices = self.path_indices
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < len(self.components):
            raise MisuseError("path_indices name a component that is not there")

    @classmethod
    def of_path_sets(cls, rows: Iterable[Iterable[Iterable[L]]]) -> EvidenceMatrix[L]:
        """Each row with all paths its packets may have taken; components are numbered as they appear.

        >>> EvidenceMatrix.of_path_sets([[("a", "b")], [("b", "c"), ("b", "d")]]).components
        ('a', 'b', 'c', 'd')
        """
        number_of: dict[L, int] = {}
        indices: list[int] = []
        path_ends, row_ends = [0], [0]
        for paths in rows:
            for path in paths:
                indices += dict.fromkeys(number_of.setdefault(part, len(number_of)) for part in path)
                path_ends.append(len(indices))
            row_ends.append(len(path_ends) - 1)
        return cls(tuple(number_of), *(np.array(part, np.int64) for part in (path_ends, indices, row_ends)))

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.row_indptr) - 1

    @cached_property
    def paths_per_row(self) -> IntArray:
        """How many paths each row may have taken."""
        return np.diff(self.row_indptr)

    @cached_property
    def has_path_sets(self) -> bool:
        """Whether any row may have taken one of several paths."""
        return len(self.path_indptr) != len(self.row_indptr)

    @cached_property
    def number_of(self) -> dict[L, int]:
        """The number of each component."""
        return {part: number for number, part in enumerate(self.components)}

    @cached_property
    def _by_component(self) -> tuple[IntArray, IntArray]:
        """Entries of `crossings` by their component, as CSR."""
        order = np.argsort(self.crossings.component, kind="stable")
        count = np.bincount(self.crossings.component, minlength=len(self.components))
        return np.concatenate(([0], np.cumsum(count))).astype(np.int64), order

    def rows_crossing(self, components: IntArray, *, surely: bool = False) -> tuple[IntArray, IntArray]:
        """The rows that cross each of *components*, one after the other, and beside each the component.

        *surely* leaves out rows that may have taken a path beside it.
        """
        rows, crossed, share = self.rows_that_may_cross(components)
        if surely and self.has_path_sets:
            return rows[share == 1], crossed[share == 1]
        return rows, crossed

    def rows_that_may_cross(self, components: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """As `rows_crossing`, and beside each the share of the row's paths that cross the component."""
        indptr, order = self._by_component
        begin, end = indptr[components], indptr[components + 1]
        entry, crossed = order[ranges(begin, end)], np.repeat(components, end - begin)
        return self.crossings.row[entry], crossed, self.crossings.share[entry]

    def components_on(self, rows: IntArray) -> IntArray:
        """The components that any of *rows* crosses, ascending."""
        paths = ranges(self.row_indptr[rows], self.row_indptr[rows + 1])
        crossed = self.path_indices[ranges(self.path_indptr[paths], self.path_indptr[paths + 1])]
        return np.flatnonzero(_marked(crossed, len(self.components)))

    def select(self, rows: IntArray, *, components: IntArray | None = None) -> EvidenceMatrix[L]:
        """Only *rows*, and of what they cross only *components* where those are given."""
        paths = ranges(self.row_indptr[rows], self.row_indptr[rows + 1])
        length = self.path_indptr[paths + 1] - self.path_indptr[paths]
        indices = self.path_indices[ranges(self.path_indptr[paths], self.path_indptr[paths + 1])]
        if components is not None:
            kept = np.isin(indices, components)
            owner = np.repeat(np.arange(len(paths)), length)[kept]
            indices, length = indices[kept], np.bincount(owner, minlength=len(paths))
        is_used = _marked(indices, len(self.components))
        names = tuple(compress(self.components, is_used.tolist()))
        indices = (np.cumsum(is_used) - 1)[indices]
        return EvidenceMatrix(names, _add_up_ends(length), indices, _add_up_ends(self.paths_per_row[rows]))

    @cached_property
    def crossings(self) -> Crossings:
        """Every (row, component) pair once."""
        return _cross(self)


@dataclass(frozen=True, eq=False)
class Crossings:
    """Every (row, component) pair once, by row: the matrix with path sets laid over each other."""

    row: IntArray
    component: IntArray
    share: FloatArray
    """The share of the row's paths that cross the component; 1 where the path is known."""


@dataclass(frozen=True, eq=False)
class Observations(Generic[L]):
    """What each row sent and lost. A row with ``sent == 0`` was not measured and says nothing."""

    matrix: EvidenceMatrix[L]
    sent: IntArray
    lost: IntArray

    def __post_init__(self) -> None:
        for name, counts in (("sent", self.sent), ("lost", self.lost)):
            if counts.shape != (self.matrix.rows,):
                raise InputError(f"{len(counts)} counts for {self.matrix.rows} rows", where=name)
        wrong = np.flatnonzero((self.lost < 0) | (self.lost > self.sent))
        if len(wrong):
            row = int(wrong[0])
            raise InputError(f"{int(self.lost[row])} lost of {int(self.sent[row])} sent", where=f"row {row}")

    def around(self, components: IntArray, *, alone: bool = False) -> tuple[Observations[L], IntArray]:
        """Only the measured rows that cross *components*, and the number each of them has here.

        What can be blamed on *components* alone is the same there as here, as no other row speaks of them.
        With *alone* nothing else is left that could be blamed.
        """
        crossing = _marked(self.matrix.rows_crossing(components)[0], self.matrix.rows)
        rows = np.flatnonzero(crossing & (self.sent > 0))
        matrix = self.matrix.select(rows, components=components if alone else None)
        return Observations(matrix, self.sent[rows], self.lost[rows]), rows

    @cached_property
    def classes(self) -> IntArray:
        """For each component the first one with the same column: over measured rows nothing tells them apart.

        A component that no measured row crosses is its own class.
        """
        crossings = self.matrix.crossings
        measured = self.sent[crossings.row] > 0
        component = crossings.component[measured]
        mark = _scatter(crossings.row[measured])
        if self.matrix.has_path_sets:
            mark = mark ^ _scatter(np.round(crossings.share[measured] * 2**40).astype(np.int64))
        # The sum of one random-looking number per row names the column; wrapping is meant.
        size = len(self.matrix.components)
        name = np.zeros(size, np.uint64)
        np.add.at(name, component, mark)
        seen = np.bincount(component, minlength=size)
        name[seen == 0] = _scatter(-1 - np.flatnonzero(seen == 0))
        _, first, back = np.unique(name ^ _scatter(seen), return_index=True, return_inverse=True)
        alike: IntArray = first.astype(np.int64)[back.reshape(-1)]
        return alike


def sum_by_component(observations: Observations[L], per_row: npt.NDArray[np.generic]) -> FloatArray:
    """For each component the sum of *per_row* over the rows that cross it, by their share."""
    crossings = observations.matrix.crossings
    values = per_row.astype(np.float64)[crossings.row] * crossings.share
    size = len(observations.matrix.components)
    return np.bincount(crossings.component, weights=values, minlength=size).astype(np.float64, copy=False)


def _marked(numbers: IntArray, size: int) -> BoolArray:
    """Which of *size* numbers stand in *numbers*; much quicker than sorting where these are many."""
    marked = np.zeros(size, np.bool_)
    marked[numbers] = True
    return marked


def ranges(begin: IntArray, end: IntArray) -> IntArray:
    """All numbers of ``begin[i]:end[i]``, one range after the other."""
    count = end - begin
    offset = np.repeat(begin - (np.cumsum(count) - count), count)
    return offset + np.arange(int(count.sum()))


def _add_up_ends(lengths: IntArray) -> IntArray:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def _require_indptr(indptr: IntArray, *, end: int, what: str) -> None:
    if len(indptr) < 1 or indptr[0] != 0 or indptr[-1] != end or bool(np.any(np.diff(indptr) < 0)):
        raise MisuseError(f"{what} does not rise from 0 to {end}")


def _cross(matrix: EvidenceMatrix[L]) -> Crossings:
    row_of_path = np.repeat(np.arange(matrix.rows), matrix.paths_per_row)
    row = np.repeat(row_of_path, np.diff(matrix.path_indptr))
    if not matrix.has_path_sets:
        return Crossings(row, matrix.path_indices, np.ones(len(row)))
    pair, count = np.unique(row * len(matrix.components) + matrix.path_indices, return_counts=True)
    row, component = np.divmod(pair, len(matrix.components))
    return Crossings(row, component, count / matrix.paths_per_row[row])


def _scatter(numbers: IntArray) -> npt.NDArray[np.uint64]:
    """A 64-bit number that looks random for each number (splitmix64, Steele et al., OOPSLA 2014)."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
