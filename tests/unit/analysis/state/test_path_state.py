"""Path states: two bad frames, two good ones, loss over a handful, unknown where nothing was measured."""

from __future__ import annotations

import pytest

from netprobe.analysis.intervals.assembler import Interval
from netprobe.analysis.intervals.observation import IntervalObservation, observe_interval
from netprobe.analysis.plan.index import Aspect, PlanIndex
from netprobe.analysis.state.path_state import PathStateMachine
from netprobe.model.outcome import OutcomeKind
from netprobe.model.status import PathState, PathStatus
from netprobe.model.window import Window
from netprobe.planning.fleet_plan import plan_fleet
from tests.scenarios.default_topology import build_inventory

SECOND = 1_000_000_000
INVENTORY = build_inventory()
FACTS = PlanIndex(INVENTORY, plan_fleet(INVENTORY, epoch=1, seed=1, interval_ns=SECOND, cookie_key=b"key"))
NUMBER = next(check.number for check in FACTS.checks if check.aspect is Aspect.UDP)


def look_of(reached: int, second: int) -> IntervalObservation:
    start_ns = second * SECOND
    outcomes = ((OutcomeKind.REACHED, reached), (OutcomeKind.TIMED_OUT, 3 - reached))
    window = Window(FACTS.checks[NUMBER].check.id, start_ns, SECOND, 3, reached, outcomes)
    return observe_interval(Interval(start_ns, SECOND, windows={NUMBER: window}), FACTS, known=frozenset())


def state_after(answers: str, *, then_s: int = 0) -> PathStatus:
    """The state after one frame per digit, each digit the number of three probes that were answered."""
    judge = PathStateMachine(FACTS)
    for second, reached in enumerate(answers):
        judge.see(look_of(int(reached), second))
    return judge.states(now_ns=(len(answers) + then_s) * SECOND, sick=frozenset()).of(NUMBER)


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ("", PathState.UNKNOWN),
        ("3", PathState.UP),
        ("30", PathState.UP),
        ("300", PathState.DOWN),
        ("3003", PathState.DEGRADED),
        ("30033", PathState.UP),
        ("33333323", PathState.UP),
        ("3323232", PathState.DEGRADED),
        ("331121", PathState.DEGRADED),
        ("0", PathState.UNKNOWN),
        ("00", PathState.DOWN),
    ],
)
def test_states_follow_the_windows(answers: str, state: PathState) -> None:
    assert state_after(answers).state is state


def test_a_path_nobody_measures_is_unknown_and_not_down() -> None:
    assert state_after("3300", then_s=2).state is PathState.DOWN
    assert state_after("3300", then_s=4).state is PathState.UNKNOWN


def test_a_path_that_is_not_up_says_why() -> None:
    assert str(state_after("3300").reason) == "3 of 3 unanswered"
