"""Rows that may have taken one of several paths, against a naive oracle that writes every likelihood out."""

from __future__ import annotations

from itertools import combinations
from math import comb, exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.analysis.localise.evidence import EvidenceMatrix, Observations
from netprobe.analysis.localise.greedy_lr import GreedyLikelihood
from netprobe.analysis.localise.likelihood import LossEvidence
from netprobe.analysis.localise.verdict import Accused, conclude

Paths = list[list[str]]
BACKGROUND = 1e-4
ENGINE = GreedyLikelihood(background=BACKGROUND)
PARTS = "abcde"
PATHS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3, unique=True)
ROWS = st.lists(st.lists(PATHS, min_size=1, max_size=3), min_size=1, max_size=6)


def naive_likelihood(rows: list[Paths], sent: list[int], lost: list[int], rate: dict[str, float]) -> float:
    """Σ over rows of log of the mean over paths of Binomial(lost; sent, 1 − Π survival)."""
    total = 0.0
    for paths, n, y in zip(rows, sent, lost, strict=True):
        mean = 0.0
        for path in paths:
            p = 1 - exp(-sum(BACKGROUND + rate.get(part, 0.0) for part in path))
            mean += comb(n, y) * p**y * (1 - p) ** (n - y) / len(paths)
        total += log(mean)
    return total


@settings(deadline=None, max_examples=60)
@given(rows=ROWS, data=st.data())
def test_the_likelihood_is_the_mean_over_the_paths_of_each_row(
    rows: list[Paths], data: st.DataObject
) -> None:
    sent = data.draw(st.lists(st.integers(1, 9), min_size=len(rows), max_size=len(rows)))
    lost = [data.draw(st.integers(0, n)) for n in sent]
    rates = {part: data.draw(st.sampled_from([0.0, 0.05, 0.5, 3.0])) for part in PARTS}
    matrix = EvidenceMatrix.of_path_sets(rows)
    evidence = LossEvidence.of(Observations(matrix, np.array(sent), np.array(lost)))

    def engine_says(rate: dict[str, float]) -> float:
        """Open rows path by path, and what the summed-up rows add."""
        added = np.array([rate.get(part, 0.0) for part in matrix.components])
        of_row = {row: place for place, row in enumerate(evidence.rows.number.tolist())}
        paths = [
            sum(BACKGROUND + rate.get(part, 0.0) for part in path) for row in of_row for path in rows[row]
        ]
        open_rows = float(evidence.score_rows(np.array(paths)).sum()) if paths else 0.0
        return open_rows - float(evidence.through @ added)

    expected = naive_likelihood(rows, sent, lost, rates) - naive_likelihood(rows, sent, lost, {})
    assert engine_says(rates) - engine_says({}) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_the_engine_accuses_whom_exhaustive_search_accuses(seed: int) -> None:
    """Two links share the flows between three sources and three targets; one of them is broken."""
    random = np.random.default_rng(seed)
    ends = [(f"s{i}", f"t{j}") for i in range(3) for j in range(3)]
    rows: list[Paths] = [[[a, link, b] for link in ("one", "other")] for a, b in ends for _ in range(2)]
    rows += [[["one", "t0"]], [["other", "t1"]]]
    guilty, loss = ("one", "other")[seed % 2], (1.0, 0.4)[seed // 2 % 2]
    sent = [20] * len(rows)
    taken = [path[int(random.integers(len(path)))] for path in rows]
    lost = [int(random.binomial(20, loss if guilty in path else 0.0)) for path in taken]
    answer = ENGINE.localise(Observations(EvidenceMatrix.of_path_sets(rows), np.array(sent), np.array(lost)))
    parts = sorted({part for paths in rows for path in paths for part in path})
    grid = (0.3, 0.5, 0.8, 7.0)
    hypotheses = [
        dict(zip(chosen, rates, strict=True))
        for chosen in [(part,) for part in parts] + list(combinations(parts, 2))
        for rates in ([(r,) for r in grid] if len(chosen) == 1 else [(r, q) for r in grid for q in grid])
    ]
    # as the engine: a further part has to explain λ more than it costs
    best = max(hypotheses, key=lambda h: naive_likelihood(rows, sent, lost, h) - ENGINE.threshold * len(h))
    assert {part for suspect in answer.suspects for part in suspect.components} == set(best) == {guilty}
    came_through = {part for path, y in zip(taken, lost, strict=True) if y < 20 for part in path}
    assert set(answer.innocent) == came_through - {guilty}
    assert set(answer.hidden) == set(parts) - came_through - {guilty}


def test_what_lies_behind_a_dead_link_is_hidden_though_flows_pass_on_the_other() -> None:
    """Every flow that came through took the live link; nothing proves what only the dead one leads to."""
    rows = [[["w", "dead", "far gateway"], ["w", "live"]] for _ in range(12)] + [
        [["w", "dead"]],
        [["w", "live"]],
    ]
    lost = np.array([9, 0] * 6 + [9, 0])
    observations = Observations(EvidenceMatrix.of_path_sets(rows), np.full(14, 9), lost)
    answer = ENGINE.localise(observations)
    assert [suspect.components for suspect in answer.suspects] == [("dead",)]
    assert answer.hidden == ("far gateway",)
    assert set(answer.innocent) == {"w", "live"}


def test_without_suspects_nothing_is_hidden() -> None:
    matrix = EvidenceMatrix.of_path_sets([[["a", "x"], ["a", "y"]]])
    answer = conclude(Observations(matrix, np.array([8]), np.array([0])), list[Accused]())
    assert (answer.hidden, answer.innocent) == ((), ("a", "x", "y"))


def test_parts_that_share_every_path_set_are_one_class() -> None:
    rows = [[["one"], ["other"]] for _ in range(10)]
    lost = np.array([8, 0] * 5)
    answer = ENGINE.localise(Observations(EvidenceMatrix.of_path_sets(rows), np.full(10, 8), lost))
    assert [set(suspect.components) for suspect in answer.suspects] == [{"one", "other"}]
