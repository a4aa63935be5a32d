from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.known_paths import matrix_of_paths
from netprobe.analysis.localise.evidence import EvidenceMatrix, Observations
from netprobe.analysis.localise.greedy_lr import GreedyLikelihood
from netprobe.analysis.localise.interface import Localisation

ENGINE = GreedyLikelihood()
PATHS = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=4), min_size=1, max_size=10)


def ring(size: int) -> list[tuple[str, ...]]:
    """Every node asks its two right-hand neighbours: out of one, into the other."""
    return [(f"out{i}", f"in{(i + step) % size}") for i in range(size) for step in (1, 2)]


def observe(
    paths: list[tuple[str, ...]], *, sent: int, loss: dict[str, float], seed: int
) -> Observations[str]:
    random = np.random.default_rng(seed)
    passing = [np.prod([1 - loss.get(part, 1e-5) for part in path]) for path in paths]
    lost = random.binomial(sent, 1 - np.array(passing))
    return Observations(matrix_of_paths(paths), np.full(len(paths), sent), lost.astype(np.int64))


def accused(answer: Localisation[str]) -> set[str]:
    return {part for suspect in answer.suspects for part in suspect.components}


@pytest.mark.parametrize(
    ("loss", "sent"),
    [
        pytest.param({}, 1000, id="nothing"),
        pytest.param({"out3": 1.0}, 3, id="one dead part, three packets"),
        pytest.param({"out3": 1.0, "in7": 1.0}, 5, id="two dead parts"),
        pytest.param({"out3": 0.05}, 200, id="one lossy part"),
        pytest.param({"out3": 0.02, "in4": 0.1, "out9": 1.0}, 2000, id="lossy, lossier, dead"),
        pytest.param({"in0": 0.005}, 10_000, id="half a percent"),
    ],
)
def test_names_exactly_what_is_broken(loss: dict[str, float], sent: int) -> None:
    answer = ENGINE.localise(observe(ring(12), sent=sent, loss=loss, seed=1))
    assert accused(answer) == set(loss)
    for suspect in answer.suspects:
        assert suspect.loss == pytest.approx(loss[suspect.components[0]], rel=0.25)


def test_estimates_the_background_although_something_is_broken() -> None:
    random = np.random.default_rng(5)
    paths = ring(30)
    loss = {part: 5e-4 for path in paths for part in path} | {"out3": 0.3}
    observations = observe(paths, sent=20_000, loss=loss, seed=int(random.integers(99)))
    answer = ENGINE.localise(observations)
    assert accused(answer) == {"out3"}
    assert answer.background == pytest.approx(5e-4, rel=0.1)


def test_one_lost_packet_accuses_nobody() -> None:
    one_lost = np.zeros(12, np.int64)
    one_lost[0] = 1
    answer = ENGINE.localise(Observations(matrix_of_paths(ring(6)), 3 + one_lost, one_lost))
    assert answer.suspects == ()
    assert answer.unexplained == (0,)


def test_rows_that_lost_too_little_speak_against() -> None:
    paths = [("a", "b"), ("a", "c"), ("a", "d"), ("a", "e"), ("b",), ("c",), ("d",), ("e",)]
    lost = np.array([50, 50, 50, 0, 0, 0, 0, 0])
    answer = ENGINE.localise(Observations(matrix_of_paths(paths), np.full(8, 100), lost))
    assert accused(answer) == {"a"}
    assert answer.suspects[0].supporting == (0, 1, 2)
    assert answer.suspects[0].contradicting == (3,)


def test_a_broken_member_of_a_path_set_is_found_among_its_ways() -> None:
    """All packets of a row take one unknown way; a quarter of the rows meet the dead spine."""
    random = np.random.default_rng(3)
    spines = ("s0", "s1", "s2", "s3")
    ends = [(f"a{i}", f"b{j}") for i in range(6) for j in range(6)]
    rows = [[(a, spine, b) for spine in spines] for a, b in ends]
    probes = [(spine, f"b{i}") for spine in ("s0", "s1", "s3") for i in range(6)]
    matrix = EvidenceMatrix.of_path_sets(rows + [[probe] for probe in probes])
    lost = np.array([10 if random.integers(4) == 2 else 0 for _ in ends] + [0] * len(probes))
    answer = ENGINE.localise(Observations(matrix, np.full(len(lost), 10), lost))
    assert accused(answer) == {"s2"}


def test_the_broken_end_of_a_path_set_is_found_too() -> None:
    rows = [[(f"a{i}", spine, f"b{j}") for spine in "xyz"] for i in range(5) for j in range(5)]
    lost = np.array([20 if i == 1 else 0 for i in range(5) for _ in range(5)])
    answer = ENGINE.localise(Observations(EvidenceMatrix.of_path_sets(rows), np.full(25, 20), lost))
    assert accused(answer) == {"a1"}


def test_a_given_background_is_not_estimated() -> None:
    answer = GreedyLikelihood(background=3e-3).localise(observe(ring(5), sent=10, loss={}, seed=0))
    assert answer.background == 3e-3


@settings(deadline=None)
@given(PATHS, st.data())
def test_the_order_of_rows_does_not_matter(paths: list[list[int]], data: st.DataObject) -> None:
    lost = data.draw(st.lists(st.integers(0, 8), min_size=len(paths), max_size=len(paths)))
    order = data.draw(st.permutations(range(len(paths))))
    every = [list(range(7)), *paths]  # so that components are numbered alike
    shuffled = [every[0], *(paths[index] for index in order)]
    sent = np.full(len(every), 8)
    straight = ENGINE.localise(Observations(matrix_of_paths(every), sent, np.array([0, *lost])))
    mixed = ENGINE.localise(
        Observations(matrix_of_paths(shuffled), sent, np.array([0, *(lost[i] for i in order)]))
    )
    assert [suspect.components for suspect in straight.suspects] == [s.components for s in mixed.suspects]
    assert (straight.hidden, straight.innocent) == (mixed.hidden, mixed.innocent)


@settings(deadline=None)
@given(PATHS, st.data())
def test_every_component_stands_in_exactly_one_list(paths: list[list[int]], data: st.DataObject) -> None:
    sent = data.draw(st.lists(st.integers(0, 9), min_size=len(paths), max_size=len(paths)))
    lost = [data.draw(st.integers(0, count)) for count in sent]
    matrix = matrix_of_paths(paths)
    answer = ENGINE.localise(Observations(matrix, np.array(sent), np.array(lost)))
    listed = [part for suspect in answer.suspects for part in suspect.components]
    listed += [*answer.hidden, *answer.unmeasured, *answer.innocent]
    assert sorted(listed) == sorted(matrix.components)


@settings(deadline=None)
@given(PATHS, st.data())
def test_two_parts_that_always_stand_together_are_accused_together(
    paths: list[list[int]], data: st.DataObject
) -> None:
    lost = data.draw(st.lists(st.integers(0, 30), min_size=len(paths), max_size=len(paths)))
    twin = data.draw(st.integers(0, 6))
    doubled = [[*path, 99] if twin in path else path for path in paths]
    answer = ENGINE.localise(Observations(matrix_of_paths(doubled), np.full(len(paths), 30), np.array(lost)))
    for suspect in answer.suspects:
        assert (twin in suspect.components) == (99 in suspect.components)


@settings(deadline=None)
@given(st.integers(0, 11), st.integers(0, 10_000))
def test_more_healthy_rows_never_accuse_the_innocent(broken: int, seed: int) -> None:
    paths = ring(12)
    before = observe(paths, sent=50, loss={f"out{broken}": 0.5}, seed=seed)
    more = [(f"out{i}", f"in{(i + 5) % 12}") for i in range(12) if i != broken]
    matrix = matrix_of_paths([*paths, *more])
    quiet = np.zeros(len(more), np.int64)
    after = Observations(matrix, np.full(matrix.rows, 50), np.concatenate((before.lost, quiet)))
    assert accused(ENGINE.localise(after)) <= accused(ENGINE.localise(before))


def test_suspects_stand_strongest_first() -> None:
    loss = {"out1": 0.02, "out5": 0.3, "in9": 0.1}
    answer = ENGINE.localise(observe(ring(12), sent=1000, loss=loss, seed=2))
    assert all(first.gain >= second.gain for first, second in pairwise(answer.suspects))
    assert answer.suspects[0].components == ("out5",)


@pytest.mark.parametrize(("sent", "is_sure"), [(3, False), (300, True)])
def test_what_explains_nearly_as_well_is_a_rival_until_enough_was_sent(sent: int, is_sure: bool) -> None:
    """Only one row tells the two parts apart."""
    paths = [("a", "b"), ("a", "b"), ("a", "b"), ("b",)]
    lost = np.array([sent // 3] * 3 + [0])
    observations = Observations(matrix_of_paths(paths), np.array([sent] * 4), lost.astype(np.int64))
    (suspect,) = GreedyLikelihood(threshold=1.0, background=1e-4).localise(observations).suspects
    assert suspect.components == ("a",)
    assert (suspect.rivals == ()) is is_sure
    assert (suspect.share > 0.99) is is_sure
    assert 0 < suspect.share <= 1
