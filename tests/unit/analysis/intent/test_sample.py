"""Samples: reproducible, with every rule, and a bound that is the exact one."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.analysis.intent.sample import ROUNDING, describe_sample, draw_sample, find_most_deviating
from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, CellResult, CellVerdict, PortSpec, Protocol
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose

CELLS = tuple(
    Cell(AgentId.parse("a/w/pod"), "b", f"10.0.{n // 256}.{n % 256}", PortSpec(Protocol.TCP, 80),
         Expectation.ALLOW, "rare" if n == 7 else "common")
    for n in range(1000)
)  # fmt: skip


def test_a_small_matrix_is_asked_in_full() -> None:
    sample = draw_sample(CELLS, size=1000, key="k")
    assert sample.is_whole
    assert describe_sample(sample, [CellResult(cell, CellVerdict.LEAK, Prose("")) for cell in CELLS]) == ""


def test_one_key_draws_the_same_sample_and_another_key_another() -> None:
    one, again, other = (draw_sample(CELLS, size=50, key=key) for key in ("k", "k", "l"))
    assert one == again
    assert one.drawn != other.drawn
    assert len(one.drawn) == 50


def test_no_rule_stays_unasked() -> None:
    for key in map(str, range(5)):
        sample = draw_sample(CELLS, size=20, key=key)
        assert CELLS[7] in sample.cells
        assert len(sample.cells) <= 21


@given(st.integers(1, 40), st.data())
def test_the_bound_is_the_largest_number_that_is_not_ruled_out(total: int, data: st.DataObject) -> None:
    asked = data.draw(st.integers(1, total))
    found = data.draw(st.integers(0, asked))
    most = find_most_deviating(total=total, asked=asked, found=found)
    assert found <= most <= total - (asked - found)
    assert chance(total, most, asked, found) > 0.05 - 2 * ROUNDING or most == found
    if most < total - (asked - found):
        assert chance(total, most + 1, asked, found) <= 0.05


def test_a_number_on_the_very_edge_is_not_ruled_out() -> None:
    assert chance(25, 19, 2, 0) == 0.05
    assert find_most_deviating(total=25, asked=2, found=0) == 19


def chance(total: int, deviating: int, asked: int, found: int) -> float:
    """Naively: the chance of seeing no more than *found*."""
    ways = sum(
        comb(deviating, seen) * comb(total - deviating, asked - seen)
        for seen in range(found + 1)
        if asked - seen <= total - deviating
    )
    return ways / comb(total, asked)


def test_the_bound_comes_near_the_rule_of_three() -> None:
    most = find_most_deviating(total=10_000_000, asked=30_000, found=0)
    assert most / 10_000_000 == pytest.approx(3 / 30_000, rel=0.01)


def test_what_nobody_could_judge_does_not_count_as_asked() -> None:
    sample = draw_sample(CELLS, size=100, key="k")
    fine = [CellResult(cell, CellVerdict.AS_INTENDED, Prose("")) for cell in sample.cells]
    half = [replace(one, verdict=CellVerdict.UNPROVEN) if n % 2 else one for n, one in enumerate(fine)]
    assert "A sample of 10" in describe_sample(sample, fine)
    assert most_of(describe_sample(sample, half)) > most_of(describe_sample(sample, fine))


def most_of(said: str) -> int:
    return int(said.partition("at most ")[2].partition(" ")[0])
