from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.analysis.localise.evidence import EvidenceMatrix, Observations, sum_by_component
from netprobe.errors import InputError, MisuseError

PATHS = st.lists(st.lists(st.integers(0, 6), max_size=5), min_size=1, max_size=12)


def counts(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def test_components_are_numbered_as_they_appear_and_counted_once_per_path() -> None:
    matrix = EvidenceMatrix.of_paths([("b", "a", "b"), ("a",)])
    assert matrix.components == ("b", "a")
    assert matrix.path_indices.tolist() == [0, 1, 1]


def test_a_path_set_weighs_each_component_by_its_share_of_the_paths() -> None:
    matrix = EvidenceMatrix.of_path_sets([[("in", "left"), ("in", "right")]])
    shares = dict(zip(matrix.components, matrix.crossings.share.tolist(), strict=True))
    assert shares == {"in": 1.0, "left": 0.5, "right": 0.5}


@pytest.mark.parametrize(
    ("sent", "lost", "said"),
    [
        pytest.param((3, 3), (0, 4), "row 1: 4 lost of 3 sent", id="more lost than sent"),
        pytest.param((3, 3), (-1, 0), "row 0: -1 lost of 3 sent", id="negative"),
        pytest.param((3,), (0,), "sent: 1 counts for 2 rows", id="too few rows"),
    ],
)
def test_impossible_counts_are_refused(sent: tuple[int, ...], lost: tuple[int, ...], said: str) -> None:
    matrix = EvidenceMatrix.of_paths([("a",), ("b",)])
    with pytest.raises(InputError, match=said):
        Observations(matrix, counts(*sent), counts(*lost))


@pytest.mark.parametrize(
    ("path_indptr", "indices", "row_indptr"),
    [
        pytest.param((0, 2), (0,), (0, 1), id="paths end beyond the indices"),
        pytest.param((0, 1), (5,), (0, 1), id="unknown component"),
        pytest.param((0, 1), (0,), (0, 0, 1), id="row without a path"),
        pytest.param((1, 1), (0,), (0, 1), id="does not start at 0"),
    ],
)
def test_a_broken_matrix_is_refused(
    path_indptr: tuple[int, ...], indices: tuple[int, ...], row_indptr: tuple[int, ...]
) -> None:
    with pytest.raises(MisuseError):
        EvidenceMatrix(("a", "b"), counts(*path_indptr), counts(*indices), counts(*row_indptr))


def test_only_measured_rows_tell_components_apart() -> None:
    matrix = EvidenceMatrix.of_paths([("a", "b"), ("b", "c"), ("c",)])
    both = Observations(matrix, counts(5, 5, 5), counts(0, 0, 0))
    assert both.classes.tolist() == [0, 1, 2]
    first = Observations(matrix, counts(5, 0, 0), counts(0, 0, 0))
    assert first.classes.tolist() == [0, 0, 2]


@given(PATHS)
def test_classes_are_exactly_the_equal_columns(paths: list[list[int]]) -> None:
    matrix = EvidenceMatrix.of_paths([*paths, range(7)])
    observations = Observations(matrix, np.ones(matrix.rows, np.int64), np.zeros(matrix.rows, np.int64))
    columns = [
        frozenset(row for row, path in enumerate([*paths, range(7)]) if part in path)
        for part in matrix.components
    ]
    assert observations.classes.tolist() == [columns.index(column) for column in columns]


@given(PATHS, st.data())
def test_batches_add_up_to_the_whole_and_can_be_taken_back(
    paths: list[list[int]], data: st.DataObject
) -> None:
    matrix = EvidenceMatrix.of_paths(paths)
    row = st.integers(0, matrix.rows - 1)
    batch = data.draw(st.lists(st.tuples(row, st.integers(0, 9)), max_size=20))
    rows = counts(*(row for row, _ in batch))
    sent = np.full(len(batch), 9, np.int64)
    lost = counts(*(lost for _, lost in batch))
    step_by_step = Observations.none_yet(matrix)
    for index in range(len(batch)):
        here = slice(index, index + 1)
        step_by_step = step_by_step.plus(rows[here], sent[here], lost[here])
    at_once = Observations.none_yet(matrix).plus(rows, sent, lost)
    assert step_by_step.sent.tolist() == at_once.sent.tolist()
    assert step_by_step.lost.tolist() == at_once.lost.tolist()
    assert at_once.minus(rows, sent, lost).sent.sum() == 0


def test_a_batch_for_a_row_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="outside 0–0"):
        Observations.none_yet(EvidenceMatrix.of_paths([("a",)])).plus(counts(1), counts(1), counts(0))


def test_sums_run_over_the_rows_that_cross() -> None:
    matrix = EvidenceMatrix.of_paths([("a", "b"), ("b",)])
    observations = Observations(matrix, counts(3, 4), counts(0, 0))
    assert sum_by_component(observations, observations.sent).tolist() == [3, 7]
