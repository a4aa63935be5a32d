from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.known_paths import matrix_of_paths
from netprobe.analysis.localise.evidence import EvidenceMatrix, Observations, sum_by_component
from netprobe.errors import InputError, MisuseError

PATHS = st.lists(st.lists(st.integers(0, 6), max_size=5), min_size=1, max_size=12)


def counts(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def test_components_are_numbered_as_they_appear_and_counted_once_per_path() -> None:
    matrix = matrix_of_paths([("b", "a", "b"), ("a",)])
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
    matrix = matrix_of_paths([("a",), ("b",)])
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
    matrix = matrix_of_paths([("a", "b"), ("b", "c"), ("c",)])
    both = Observations(matrix, counts(5, 5, 5), counts(0, 0, 0))
    assert both.classes.tolist() == [0, 1, 2]
    first = Observations(matrix, counts(5, 0, 0), counts(0, 0, 0))
    assert first.classes.tolist() == [0, 0, 2]


@given(PATHS)
def test_classes_are_exactly_the_equal_columns(paths: list[list[int]]) -> None:
    matrix = matrix_of_paths([*paths, range(7)])
    observations = Observations(matrix, np.ones(matrix.rows, np.int64), np.zeros(matrix.rows, np.int64))
    columns = [
        frozenset(row for row, path in enumerate([*paths, range(7)]) if part in path)
        for part in matrix.components
    ]
    assert observations.classes.tolist() == [columns.index(column) for column in columns]


def test_sums_run_over_the_rows_that_cross() -> None:
    matrix = matrix_of_paths([("a", "b"), ("b",)])
    observations = Observations(matrix, counts(3, 4), counts(0, 0))
    assert sum_by_component(observations, observations.sent).tolist() == [3, 7]
