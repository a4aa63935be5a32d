"""What lag can explain, and how long its doubt holds a finding back."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.analysis.diagnosis.agent_lag import LEAST_INTERVALS, LagTolerance
from netprobe.analysis.intervals.assembler import Interval
from netprobe.analysis.intervals.observation import IntervalObservation, observe_interval
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import AgentHealth, Histogram, Window
from tests.scenarios.player import SECOND, T0, default_fleet

MS = SECOND // 1000
MOST = 6
NODE = "prod-us-west-1/w1"
TOOK_MS = (1, 20, 60, 90, 200)


@cache
def facts() -> PlanIndex:
    return PlanIndex(*default_fleet())


@cache
def dead_checks() -> tuple[CheckFacts, ...]:
    """The HTTP checks of services from one node."""
    found = [c for c in facts().checks if c.aspect is Aspect.SERVICE and c.check.probe.kind == "http"]
    found = [check for check in found if str(check.source.node_id) == NODE]
    assert sum(check.check.count for check in found) >= 4
    return tuple(found)


@cache
def behind() -> frozenset[AgentId]:
    return frozenset(facts().endpoints(dead_checks()[0]))


EVERYBODY = frozenset(facts().agents)


def look(
    who: Collection[AgentId], lag_ms: int, took_ms: int, answer: OutcomeKind = OutcomeKind.TIMED_OUT
) -> IntervalObservation:
    """A frame in which a node's services are dead; *who* lags at worst, and its connections took, so much."""
    frame = Interval(T0, SECOND)
    for agent in facts().agents:
        lag_ns = lag_ms * MS if agent in who else 0
        frame.health[agent] = AgentHealth(agent, T0, 1, loop_lag_ns=lag_ns)
    for check in facts().checks:
        if check.aspect is Aspect.TCP:
            took_ns = took_ms * MS if check.source in who else MS
            frame.windows[check.number] = window(check, OutcomeKind.REACHED, took_ns)
    for check in dead_checks():
        frame.windows[check.number] = window(check, answer)
    return observe_interval(frame, facts(), known=facts().agent_set)


def window(check: CheckFacts, outcome: OutcomeKind, took_ns: int = 0) -> Window:
    count = check.check.count
    rtt = Histogram.of([took_ns] * count) if took_ns else Histogram()
    return Window(check.check.id, T0, SECOND, count, rtt.total, ((outcome, count),), rtt=rtt)


def patience(*looks: IntervalObservation) -> int:
    """Frames for a proxy all of whose checks are dead, behind which stand agents of its cluster."""
    checks = ((check, facts().endpoints(check)) for check in dead_checks())
    return LagTolerance(looks, facts()).patience(checks, most=MOST)


def test_where_nobody_lags_nothing_waits() -> None:
    assert patience(look(EVERYBODY, 0, 1)) == LEAST_INTERVALS


def test_one_long_lag_excuses_no_frame_whose_connections_took_no_time() -> None:
    assert patience(look(EVERYBODY, 240, 5)) == LEAST_INTERVALS


def test_agents_that_wake_late_all_the_time_excuse_everything() -> None:
    assert patience(look(EVERYBODY, 120, 120)) == MOST


def test_patience_grows_with_what_connections_take_step_by_step() -> None:
    waited = [patience(look(EVERYBODY, 200, took)) for took in range(5, 125, 5)]
    assert waited == sorted(waited)
    assert {LEAST_INTERVALS, 3, MOST} <= set(waited)


@given(st.lists(st.sampled_from(TOOK_MS), min_size=1, max_size=2))
def test_an_agent_wakes_as_late_as_its_connections_take_on_average(took: list[int]) -> None:
    """Naively: the mean over all frames, but for the width of a histogram's bucket."""
    who = dead_checks()[0].source
    measured = LagTolerance([look(EVERYBODY, 100, each) for each in took], facts()).waking_ns(who)
    assert measured == pytest.approx(sum(took) / len(took) * MS, rel=0.09)


def test_where_no_connection_was_measured_lag_explains_everything() -> None:
    frame = look(EVERYBODY, 120, 1)
    for check in facts().checks:
        if check.aspect is Aspect.TCP:
            frame.seen.asked[check.number] = 0
    assert patience(frame) == MOST


def test_lag_refuses_nobody() -> None:
    assert patience(look(EVERYBODY, 200, 200, OutcomeKind.REFUSED)) == LEAST_INTERVALS


def test_an_agent_that_neither_asks_nor_answers_excuses_nothing() -> None:
    others = EVERYBODY - behind() - {check.source for check in dead_checks()}
    assert len(others) > 4
    assert patience(look(others, 240, 200)) == LEAST_INTERVALS


def test_either_end_can_be_late_enough_alone() -> None:
    assert patience(look({check.source for check in dead_checks()}, 240, 240)) == MOST
    assert patience(look(behind(), 240, 200)) == MOST


def test_the_frame_before_counts_as_well() -> None:
    assert patience(look(EVERYBODY, 120, 300), look(EVERYBODY, 0, 1)) == MOST
