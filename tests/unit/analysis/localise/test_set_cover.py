from __future__ import annotations

import numpy as np
import pytest

from benchmarks.known_paths import matrix_of_paths
from benchmarks.localisers.localiser import Localiser
from benchmarks.localisers.netbouncer import NetBouncer
from benchmarks.localisers.vote007 import Vote007
from netprobe.analysis.localise.evidence import Observations
from netprobe.analysis.localise.greedy_lr import GreedyLikelihood
from netprobe.analysis.localise.set_cover import SetCover

ENGINES: dict[str, Localiser] = {
    "greedy_lr": GreedyLikelihood(),
    "netbouncer": NetBouncer(),
    "set_cover": SetCover(),
    "vote007": Vote007(),
}
PATHS = [("a-out", "wire", "b-in"), ("b-out", "wire", "a-in"), ("a-out", "c-in"), ("c-out", "a-in"),
         ("b-out", "c-in"), ("c-out", "b-in")]  # fmt: skip


def observe(lost: dict[int, int], *, sent: int = 5, silent: tuple[int, ...] = ()) -> Observations[str]:
    counts = np.full(len(PATHS), sent, np.int64)
    counts[list(silent)] = 0
    losses = np.zeros(len(PATHS), np.int64)
    for row, count in lost.items():
        losses[row] = count
    return Observations(matrix_of_paths(PATHS), counts, losses)


def test_a_dead_part_is_what_all_bad_rows_share_and_no_good_row_crosses() -> None:
    answer = SetCover().localise(observe({0: 5, 1: 5}))
    assert [suspect.components for suspect in answer.suspects] == [("wire",)]
    assert answer.suspects[0].supporting == (0, 1)
    assert answer.suspects[0].loss == 1.0
    assert set(answer.innocent) == {"a-out", "b-in", "b-out", "a-in", "c-in", "c-out"}


def test_rows_nobody_measured_neither_accuse_nor_acquit() -> None:
    answer = SetCover().localise(observe({0: 5}, silent=(1, 2, 3, 4, 5)))
    assert answer.suspects[0].components == ("a-out", "wire", "b-in")
    assert answer.unmeasured == ("b-out", "a-in", "c-in", "c-out")
    assert answer.innocent == ()


def test_a_row_that_every_suspect_is_acquitted_of_stays_unexplained() -> None:
    matrix = matrix_of_paths([("a",), ("a",)])
    counts = np.array([5, 5])
    answer = SetCover().localise(Observations(matrix, counts, np.array([5, 0])))
    assert answer.suspects == ()
    assert answer.unexplained == (0,)


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_all_quiet_accuses_nobody(name: str) -> None:
    answer = ENGINES[name].localise(observe({}))
    assert answer.suspects == ()
    assert len(answer.innocent) == 7


@pytest.mark.parametrize("name", sorted(ENGINES.keys() - {"netbouncer"}))  # it fits each part its own loss
def test_what_lies_behind_a_dead_part_is_hidden_not_innocent(name: str) -> None:
    paths = [("gate", "far", "x"), ("gate", "far", "y"), ("gate", "z"), ("x",), ("y",), ("z",), ("gate", "w")]
    sent = np.full(len(paths), 10)
    lost = np.array([10, 10, 10, 0, 0, 0, 10])
    answer = ENGINES[name].localise(Observations(matrix_of_paths(paths), sent, lost))
    assert [suspect.components for suspect in answer.suspects] == [("gate",)]
    assert answer.hidden == ("far", "w")
    assert answer.innocent == ("x", "y", "z")
