"""What is worked out frame by frame, in the rows that matter, is what the whole says from scratch."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.analysis.analyst import Analyst
from netprobe.analysis.diagnosis.loss_rows import LossRows
from netprobe.analysis.diagnosis.packet_loss import PacketLossDetector
from netprobe.analysis.diagnosis.symptom import TrafficClass
from netprobe.analysis.intervals.assembler import Interval, QuietWindows
from netprobe.analysis.intervals.observation import IntervalObservation, observe_interval
from netprobe.analysis.localise.evidence import Observations
from netprobe.analysis.localise.greedy_lr import GreedyLikelihood
from netprobe.analysis.localise.set_cover import SetCover
from netprobe.analysis.plan.index import Aspect, PlanIndex
from netprobe.analysis.state.path_state import PathStateMachine
from netprobe.model.component import Component
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import AgentHealth, Histogram, ReceivedCount, Report, Window
from netprobe.planning.fleet_plan import plan_fleet
from tests.scenarios.default_topology import build_inventory
from tests.unit.analysis.state.naive_path_state import NaiveJudge

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
PATHS = 6
FRAME = st.lists(st.sampled_from((None, 0, 0, 1, 2, 3, 3, 3)), min_size=PATHS, max_size=PATHS)
"""For each path how many of three probes were answered; None where nothing was measured."""


@cache
def fleet() -> tuple[Inventory, FleetPlan]:
    inventory = build_inventory()
    return inventory, plan_fleet(inventory, epoch=1, seed=1, interval_ns=SECOND, cookie_key=b"key")


@cache
def facts() -> PlanIndex:
    return PlanIndex(*fleet())


@cache
def network() -> PacketLossDetector:
    return PacketLossDetector(facts())


def window_of(number: int, start_ns: int, reached: int, sent: int = 3) -> Window:
    outcomes = ((OutcomeKind.REACHED, reached), (OutcomeKind.TIMED_OUT, sent - reached))
    rtt = Histogram((160,), (reached,)) if reached else Histogram()
    check = facts().checks[number].check.id
    return Window(check, start_ns, SECOND, sent, reached, tuple(o for o in outcomes if o[1]), rtt=rtt)


def look_of(answers: list[int | None], second: int) -> IntervalObservation:
    numbers = [check.number for check in facts().checks if check.aspect is Aspect.UDP][:PATHS]
    start_ns = T0 + second * SECOND
    windows = {
        number: window_of(number, start_ns, reached)
        for number, reached in zip(numbers, answers, strict=True)
        if reached is not None
    }
    look = observe_interval(Interval(start_ns, SECOND, windows=windows), facts(), known=frozenset())
    return replace(look, slow=frozenset(numbers[:1]) & windows.keys() if second % 3 else frozenset())


@settings(max_examples=60, deadline=None)
@given(frames=st.lists(FRAME, max_size=25), is_sick=st.booleans())
def test_the_judge_of_arrays_agrees_with_one_path_at_a_time(
    frames: list[list[int | None]], is_sick: bool
) -> None:
    sick = frozenset(facts().agents[1:3]) if is_sick else frozenset[AgentId]()
    judge, naive = PathStateMachine(facts()), NaiveJudge(facts())
    for second, answers in enumerate(frames):
        look = look_of(answers, second)
        judge.see(look)
        naive.see(look)
        now_ns = look.end_ns + SECOND
        assert judge.states(now_ns=now_ns, sick=sick).all() == naive.states(now_ns=now_ns, sick=sick)


def test_what_was_read_does_not_change_when_the_next_frame_comes() -> None:
    judge = PathStateMachine(facts())
    judge.see(look_of([3] * PATHS, 0))
    read = judge.states(now_ns=T0 + SECOND, sick=frozenset())
    before = read.all()
    for second in (1, 2):
        judge.see(look_of([0] * PATHS, second))
    assert read.all() == before
    assert judge.states(now_ns=T0 + 3 * SECOND, sick=frozenset()).all() != before


def broken_look(seed: int, shares: tuple[float, ...]) -> IntervalObservation:
    """Every check measured; some parts lose the given share of what crosses them."""
    random = np.random.default_rng(seed)
    parts = sorted(facts().crossing)
    picked = random.choice(len(parts), len(shares), replace=False).tolist()
    loss = {parts[number]: share for number, share in zip(picked, shares, strict=True)}
    windows = {}
    for check in facts().checks:
        through = 1.0
        for part in (*check.legs.forward, *check.legs.back):
            through *= 1 - loss.get(part, 1e-4)
        windows[check.number] = window_of(check.number, T0, int(random.binomial(20, through)), sent=20)
    return observe_interval(Interval(T0, SECOND, windows=windows), facts(), known=frozenset())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shares", [(), (1.0,), (0.3,), (1.0, 1.0), (1.0, 0.2)])
def test_only_the_rows_that_matter_accuse_what_all_rows_accuse(seed: int, shares: tuple[float, ...]) -> None:
    look = broken_look(seed, shares)
    rows = LossRows(facts(), (TrafficClass.MAIN,))
    every = rows.observe((look,), without=())
    dead = SetCover(bad_share=0.999, good_share=0.0)
    lossy = GreedyLikelihood(threshold=10.0, healthy_bound=1e-3, background=1e-4)
    near, number = every.around(every.matrix.components_on(np.flatnonzero(every.lost)))
    assert _accused(dead, every) == _accused(dead, near)
    assert _accused(lossy, every) == pytest.approx(_accused(lossy, near))
    assert np.array_equal(every.sent[number], near.sent)
    told = {blamed.checks for blamed in network().find_dead(look, TrafficClass.MAIN, without=())}
    whole = {
        frozenset(rows.check_of(row) for row in suspect.supporting)
        for suspect in dead.localise(every).suspects
    }
    assert told == whole


def _accused(
    engine: SetCover | GreedyLikelihood, observations: Observations[Component]
) -> dict[tuple[Component, ...], float]:
    return {suspect.components: suspect.loss for suspect in engine.localise(observations).suspects}


def test_quiet_windows_in_columns_say_what_the_same_windows_say_one_by_one() -> None:
    inventory, plan = fleet()
    random = np.random.default_rng(5)
    columns, single = Analyst(inventory, plan), Analyst(inventory, plan)
    count = np.array([check.check.count for check in facts().checks])
    for frame in range(4):
        start_ns, now_ns = T0 + frame * SECOND, T0 + frame * SECOND + 2 * SECOND
        answered = np.where(random.random(len(count)) < 0.05, 0, count)
        health = {agent: AgentHealth(agent, now_ns, 1) for agent in facts().agents}
        batch = QuietWindows(
            ("boot", frame), start_ns, SECOND, facts().ids_array, count, answered,
            np.full(len(count), 160), np.where(facts().is_counted, answered, 0), health,
        )  # fmt: skip
        columns.observe_quiet(batch, now_ns=now_ns)
        for report in _reports_of(batch, frame):
            single.observe(report, now_ns=now_ns)
        one, other = columns.conclude(now_ns=now_ns), single.conclude(now_ns=now_ns)
        assert one.paths == other.paths
        assert one.agents == other.agents
        assert [finding.id for finding in one.findings] == [finding.id for finding in other.findings]
    assert columns.rejected == single.rejected == {}


def _reports_of(batch: QuietWindows, sequence: int) -> list[Report]:
    windows: dict[AgentId, list[Window]] = {agent: [] for agent in facts().agents}
    heard: dict[AgentId, list[ReceivedCount]] = {agent: [] for agent in facts().agents}
    for check in facts().checks:
        number = check.number
        sent, reached = int(batch.sent[number]), int(batch.answered[number])
        windows[check.source].append(window_of(number, batch.start_ns, reached, sent=sent))
        if check.asked is not None and batch.heard[number]:
            heard[check.asked].append(ReceivedCount(check.check.id, batch.start_ns, int(batch.heard[number])))
    return [
        Report(
            agent, 1, sequence, "boot", batch.start_ns, SECOND, tuple(windows[agent]), tuple(heard[agent]),
            batch.health[agent],
        )
        for agent in facts().agents
    ]  # fmt: skip


def test_what_is_wrong_with_quiet_windows_is_counted_with_its_reason() -> None:
    analyst = Analyst(*fleet())
    ids = facts().ids_array[:5].copy()
    ids[0] = 7
    sent, answered = np.array([1, -1, 1, 1, 0]), np.array([1, 0, 2, 1, 0])
    zero = np.zeros(5, np.int64)
    batch = QuietWindows(("boot", 1), T0, SECOND, ids, sent, answered, zero, zero, {})
    for at in (T0, T0 + 3600 * SECOND, T0 + 1):
        analyst.observe_quiet(replace(batch, start_ns=at), now_ns=T0 + SECOND)
    analyst.observe_quiet(batch, now_ns=T0 + SECOND)
    assert analyst.rejected == {
        "unknown check": 1,
        "negative count": 1,
        "more outcomes than probes": 1,
        "from the future": 4,
        "not an interval of this plan": 4,
        "repeated": 4,
    }
