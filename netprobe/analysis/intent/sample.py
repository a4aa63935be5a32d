"""Which cells of a large matrix are asked, and what may then be said about all of them. Pure.

The sample is drawn without replacement, each cell with the same chance: cells are ranked by a keyed hash of
what they are, and the lowest are taken. So one key always draws the same sample. Every rule is asked at least
once beside it, which the bound does not count on.

The bound is the exact one-sided limit for a finite population (hypergeometric; Wright, Exact confidence
bounds when sampling from small finite universes, 1991): with none found in *n* of many cells it comes near
3/n at 95 % (the rule of three; Hanley and Lippman-Hand, JAMA 1983).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from netprobe.model.intent import Cell, CellResult, CellVerdict

CONFIDENCE = 0.95
ROUNDING = 1e-9
"""What the logarithms of the chances may lose: a number on the very edge is kept, the cautious side."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is asked of a matrix."""

    cells: tuple[Cell, ...]
    total: int
    drawn: frozenset[Cell]
    """Those drawn by chance; the others were added so that no rule stays unasked."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left out."""
        return len(self.cells) == self.total


def draw_sample(cells: Sequence[Cell], *, size: int, key: str) -> Sample:
    """*size* of *cells* by chance, and one cell of every rule beside them; all where there are no more."""
    if len(cells) <= size:
        return Sample(tuple(cells), len(cells), frozenset(cells))
    ranked = sorted(cells, key=lambda cell: _rank(cell, key))
    drawn = frozenset(ranked[:size])
    seen = {cell.rule for cell in drawn}
    extra = set()
    for cell in ranked[size:]:
        if cell.rule not in seen:
            seen.add(cell.rule)
            extra.add(cell)
    asked = drawn | extra
    return Sample(tuple(cell for cell in cells if cell in asked), len(cells), drawn)


def _rank(cell: Cell, key: str) -> bytes:
    what = f"{key}|{cell.source}|{cell.target}|{cell.address}|{cell.door}"
    return hashlib.blake2b(what.encode(), digest_size=8).digest()


def find_most_deviating(*, total: int, asked: int, found: int, confidence: float = CONFIDENCE) -> int:
    """The largest number of deviating cells among *total* that *found* in *asked* does not rule out.

    >>> find_most_deviating(total=1_000_000, asked=3_000, found=0)
    996
    >>> find_most_deviating(total=100, asked=100, found=2)
    2
    """
    low, high = found, total - (asked - found)
    while low < high:
        middle = (low + high + 1) // 2
        if _chance_of_at_most(found, total=total, deviating=middle, asked=asked) > 1 - confidence - ROUNDING:
            low = middle
        else:
            high = middle - 1
    return low


def _chance_of_at_most(found: int, *, total: int, deviating: int, asked: int) -> float:
    """Of seeing no more than *found* deviating cells in the sample."""
    return sum(
        math.exp(
            _log_choose(deviating, seen)
            + _log_choose(total - deviating, asked - seen)
            - _log_choose(total, asked)
        )
        for seen in range(max(0, asked - (total - deviating)), min(found, deviating) + 1)
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def describe_sample(sample: Sample, judged: Sequence[CellResult]) -> str:
    """What the sample says about the whole matrix, in one line; empty where nothing was left out."""
    if sample.is_whole:
        return ""
    drawn = [one for one in judged if one.cell in sample.drawn and one.verdict is not CellVerdict.UNPROVEN]
    found = sum(one.verdict is not CellVerdict.AS_INTENDED for one in drawn)
    most = find_most_deviating(total=sample.total, asked=len(drawn), found=found)
    return (
        f"A sample of {len(sample.cells):,} of {sample.total:,} cells: with {CONFIDENCE:.0%} confidence "
        f"at most {most:,} ({most / sample.total:.2%}) of all are not as intended. --exhaustive asks all."
    )
