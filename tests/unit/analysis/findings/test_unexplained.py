"""Trouble that lasts without a finding becomes one, with what it shares and what acquits which part."""

from __future__ import annotations

import numpy as np

from netprobe.analysis.findings.unexplained import UnexplainedLoss
from netprobe.analysis.intervals.assembler import Interval
from netprobe.analysis.intervals.observation import IntervalObservation, ObservationTable
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.component import tunnel
from netprobe.model.finding import Cause
from netprobe.model.names import ClusterName
from tests.scenarios.player import SECOND, T0, default_fleet

PROD, STAGING = ClusterName("prod-us-west-1"), ClusterName("staging-eu-central-1")
INDEX = PlanIndex(*default_fleet())
CROSSING = sorted(INDEX.crossing[tunnel(PROD, STAGING)])[:6]


def observe(failing: list[int]) -> IntervalObservation:
    seen = ObservationTable(INDEX, Interval(T0, SECOND))
    seen.asked[:] = 2
    seen.reached[:] = 2
    seen.reached[failing] = 0
    return IntervalObservation(
        T0, T0 + SECOND, seen, frozenset(), frozenset(), frozenset(), troubled=frozenset(failing)
    )


def watch(loss: UnexplainedLoss, failing: list[int], *, times: int) -> None:
    for number in range(times):
        loss.see(INDEX, observe(failing), frozenset(failing), now_ns=T0 + number * SECOND)


def test_ten_intervals_of_trouble_are_one_finding_with_what_they_share() -> None:
    loss = UnexplainedLoss(INDEX)
    watch(loss, CROSSING, times=9)
    assert not loss.open
    watch(loss, CROSSING, times=1)
    (finding,) = loss.open
    assert finding.cause is Cause.UNEXPLAINED
    assert finding.confidence <= 0.3
    assert set(finding.affected) == set(INDEX.ids(CROSSING))
    assert set(finding.components) <= set.intersection(
        *(set(INDEX.checks[number].legs.crossed) for number in CROSSING)
    )
    assert all("pass" in str(one.text) for one in finding.evidence_against)


def test_it_ends_when_the_trouble_does_and_is_remembered() -> None:
    loss = UnexplainedLoss(INDEX)
    watch(loss, CROSSING, times=12)
    watch(loss, [], times=6)
    assert not loss.open
    (finding,) = loss.past
    assert finding.ended_ns is not None


def test_trouble_that_comes_and_goes_is_not_said() -> None:
    loss = UnexplainedLoss(INDEX)
    for _ in range(20):
        watch(loss, CROSSING, times=1)
        watch(loss, [], times=1)
    assert not loss.open


def test_one_finding_stays_while_most_of_its_checks_do() -> None:
    loss = UnexplainedLoss(INDEX)
    watch(loss, CROSSING, times=12)
    first = loss.open[0]
    watch(loss, CROSSING[1:], times=12)
    now = loss.open[0]
    assert len(loss.open) == 1
    assert (now.id, now.first_seen_ns) == (first.id, first.first_seen_ns)
    assert len(now.affected) == len(CROSSING) - 1
    assert not np.isin(INDEX.checks[CROSSING[0]].check.id, now.affected)
