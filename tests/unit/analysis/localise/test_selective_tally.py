"""How the benchmark of selective faults judges an answer."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.selective_tally import FaultTally, LocaliserAnswer, fit_calibration
from benchmarks.selective_world import SelectiveFault
from netprobe.analysis.localise.loss_modes import LossMode
from netprobe.model.component import Component, node_in, node_out
from netprobe.model.names import ClusterName, NodeId, NodeName

ONE, OTHER = (node(NodeId(ClusterName("c"), NodeName("n"))) for node in (node_in, node_out))
SENT = np.full(10, 20)


def fault(*rows: int, part: Component = ONE, mode: LossMode = LossMode.DEAD) -> SelectiveFault:
    return SelectiveFault(part, (), mode, 1.0, frozenset(rows))


def answer(
    *rows: int, part: Component = ONE, mode: LossMode = LossMode.DEAD, confidence: float = 0.9
) -> LocaliserAnswer:
    return LocaliserAnswer(frozenset({part}), frozenset(rows), mode, confidence)


def lost_by(*faults: SelectiveFault) -> np.ndarray:
    hit = frozenset[int]().union(*(one.rows for one in faults))
    return np.array([20 if row in hit else 0 for row in range(len(SENT))])


def judged(faults: list[SelectiveFault], said: list[LocaliserAnswer], sent: np.ndarray = SENT) -> FaultTally:
    tally = FaultTally()
    tally.judge(faults, said, sent, lost_by(*faults), parts=100)
    return tally


def test_exactly_its_rows_and_its_mode_are_right() -> None:
    right = judged([fault(1, 2)], [answer(1, 2)])
    wider = judged([fault(1, 2)], [answer(1, 2, 3)])
    other = judged([fault(1, 2)], [answer(1, 2, mode=LossMode.RATE)])
    assert (right.class_f1, right.component_f1, right.wrong_confident) == (1.0, 1.0, 0.0)
    assert (wider.class_f1, wider.component_f1, wider.wrong_confident) == (0.0, 1.0, 1.0)
    assert other.class_f1 == 0.0


def test_a_row_that_sent_nothing_decides_nothing() -> None:
    sent = np.where(np.arange(len(SENT)) == 2, 0, SENT)
    assert judged([fault(1, 2, 3)], [answer(1, 3)], sent).class_f1 == 1.0
    assert judged([fault(1, 2, 3)], [answer(1)], sent).class_f1 == 0.0


def test_a_row_that_another_fault_kills_decides_nothing() -> None:
    rate = fault(1, 2, 3, part=OTHER, mode=LossMode.RATE)
    tally = judged([fault(3, 4), rate], [answer(3, 4), answer(1, 2, part=OTHER, mode=LossMode.RATE)])
    assert tally.class_exact == 1.0


def test_a_fault_behind_a_dead_part_is_not_counted() -> None:
    tally = judged([fault(1, 2, 3), fault(2, part=OTHER)], [answer(1, 2, 3)])
    assert (tally.counts["faults"], tally.counts["exact"], tally.counts["false"]) == (1, 1, 0)


def test_an_innocent_part_that_is_named_counts_against_the_healthy_ones() -> None:
    tally = judged([fault(1, 2)], [answer(1, 2), answer(7, part=OTHER)])
    assert tally.counts["false"] == 1
    assert tally.innocent_blamed == pytest.approx(1 / 99, abs=1e-6)


def test_calibration_that_is_right_is_left_alone() -> None:
    random = np.random.default_rng(1)
    odds = random.uniform(-3, 3, 20_000)
    right = random.random(len(odds)) < 1 / (1 + np.exp(-odds))
    slope, offset = fit_calibration(list(zip(odds.tolist(), right.tolist(), strict=True)))
    assert slope == pytest.approx(1.0, abs=0.1)
    assert offset == pytest.approx(0.0, abs=0.1)
