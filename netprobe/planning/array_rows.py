"""A plan as arrays: rows in blocks, and what can be counted on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from netprobe.model.arrays import IntArray
from netprobe.model.component import Component, ComponentKind
from netprobe.model.fleet import ClassCoverage, ClassGap
from netprobe.model.traffic import Attribute
from netprobe.planning.class_coverage import KINDS, KindCrossings, find_place, measure_classes, mix
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.part_numbers import IN, OUT, PartNumbers
from netprobe.planning.traffic_profiles import VALUES, digits

Numbers = npt.NDArray[np.int32]
Profiles = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class ArrayPlan:
    """All legs of one epoch as CSR: row *r* crosses ``indices[indptr[r]:indptr[r + 1]]``."""

    graph: ClusterGraph
    indptr: IntArray
    indices: Numbers
    components: int
    """How many component numbers there are; some belong to no existing component and are never crossed."""
    spans: tuple[tuple[int, int, bool], ...]
    """First row, number of rows, and whether as many rows follow with their legs back."""
    checks: int
    expected: IntArray
    """Components that exist independently of the checks."""
    numbering: PartNumbers
    profile: Profiles
    """By row what its packets are like (`traffic_profiles`); −1 where services or names are asked."""

    def component(self, number: int) -> Component:
        """The component with a number."""
        return self.numbering.component(number)


@dataclass(frozen=True, slots=True)
class CoverageCounts:
    """Coverage of the legs."""

    components: int
    covered: int
    identifiable: int
    """Components whose failure looks different from the failure of every other component."""


@dataclass(eq=False)
class RowBlocks:
    """Rows, written in blocks; all rows of a block have the same length."""

    blocks: list[Numbers] = field(default_factory=list)
    profiles: list[Profiles] = field(default_factory=list)
    spans: list[tuple[int, int, bool]] = field(default_factory=list)
    count: int = 0

    def add(
        self,
        out: Sequence[IntArray],
        back: Sequence[IntArray] | None = None,
        profiles: tuple[int | IntArray, int | IntArray] = (-1, -1),
    ) -> None:
        """Add legs out by columns, and the legs back of the same checks if they have any.

        *profiles* are those of the packets out and back, one for all or one per check.
        """
        size = len(out[0]) if out else 0
        if not size:
            return
        self.spans.append((self.count, size, back is not None))
        for columns, profile in zip((out, back) if back is not None else (out,), profiles, strict=False):
            self.blocks.append(np.column_stack(columns).astype(np.int32))
            self.profiles.append(np.broadcast_to(np.asarray(profile, np.int16), size))
            self.count += size

    def finish(self) -> tuple[IntArray, Numbers, Profiles]:
        """The bounds of the rows, what they cross, and their profiles."""
        widths = [np.full(len(block), block.shape[1]) for block in self.blocks]
        indptr = np.concatenate(([0], np.cumsum(np.concatenate(widths)))).astype(np.int64)
        crossed = np.concatenate([block.reshape(-1) for block in self.blocks])
        return indptr, crossed, np.concatenate(self.profiles)


def count_coverage(plan: ArrayPlan) -> CoverageCounts:
    """Count covered and identifiable components; equal columns have equal sums of row hashes."""
    length = np.diff(plan.indptr)
    row = np.repeat(mix(np.arange(1, len(length) + 1, dtype=np.uint64)), length)
    column = np.zeros(plan.components, np.uint64)
    np.add.at(column, plan.indices, row)
    covered = np.bincount(plan.indices, minlength=plan.components) > 0
    exists = covered.copy()
    exists[plan.expected] = True
    _, equal_columns = np.unique(column[covered], return_counts=True)
    return CoverageCounts(int(exists.sum()), int(covered.sum()), int((equal_columns == 1).sum()))


def count_classes(plan: ArrayPlan) -> tuple[tuple[ClassCoverage, ...], tuple[ClassGap, ...]]:
    """The classes of traffic that are told apart, as in `coverage.measure_class_coverage`."""
    length = np.diff(plan.indptr)
    row_key = _row_keys(plan)
    kind_of = _kinds(plan.numbering, plan.components)
    place_of = _places(plan.numbering, plan.components)
    row = np.repeat(np.arange(len(length), dtype=np.int32), length)
    is_counted = (plan.profile >= 0)[row]
    crossings = {}
    for number, kind in enumerate(KINDS):
        entries = np.flatnonzero((kind_of[plan.indices] == number) & is_counted)
        crossed, part = np.unique(plan.indices[entries], return_inverse=True)
        rows = row[entries]
        profile = plan.profile[rows].astype(np.int64)
        crossings[kind] = KindCrossings(part.reshape(-1), profile, row_key[rows], place_of[crossed])
    return measure_classes(crossings)


def _row_keys(plan: ArrayPlan) -> npt.NDArray[np.uint64]:
    """A random number per row; a check whose responder does not count has one for both legs."""
    check = np.arange(len(plan.profile), dtype=np.uint64)
    protocol = digits(plan.profile.astype(np.int64), Attribute.PROTOCOL)
    is_udp = protocol == VALUES[Attribute.PROTOCOL].index("udp")
    for first, count, returns in plan.spans:
        if returns:
            back = slice(first + count, first + 2 * count)
            check[back] = np.where(is_udp[back], check[back], check[first : first + count])
    return mix(check + np.uint64(1))


def _kinds(numbering: PartNumbers, components: int) -> npt.NDArray[np.int8]:
    """By component the place of its kind in `KINDS`, or −1."""
    nodes, kind_of = len(numbering.nodes), np.full(components, -1, np.int8)
    kind_of[OUT * nodes : (OUT + 1) * nodes] = KINDS.index(ComponentKind.NODE_OUT)
    kind_of[IN * nodes : (IN + 1) * nodes] = KINDS.index(ComponentKind.NODE_IN)
    for part, number in numbering.number_of.items():
        if part.kind in KINDS:
            kind_of[number] = KINDS.index(part.kind)
    return kind_of


def _places(numbering: PartNumbers, components: int) -> IntArray:
    """By component a number that both directions of a part share (`class_coverage.find_place`)."""
    nodes, place_of = len(numbering.nodes), np.full(components, -1, np.int64)
    for base in (OUT, IN):
        place_of[base * nodes : (base + 1) * nodes] = np.arange(nodes)
    known: dict[tuple[str, ...], int] = {}
    for part, number in numbering.number_of.items():
        if part.kind in KINDS:
            place_of[number] = nodes + known.setdefault(find_place(part), len(known))
    return place_of
