"""What lag can explain, and how long its doubt holds a finding back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest

from netprobe.analysis.facts import Aspect, CheckFacts, Facts
from netprobe.analysis.frames import Frame
from netprobe.analysis.lag import LEAST_FRAMES, Doubt
from netprobe.analysis.look import Look, look_at
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import AgentHealth, Window
from tests.scenarios.play import SECOND, T0, default_fleet

MS = SECOND // 1000
MOST = 6
NODE = "prod-us-west-1/w1"
CLUSTER = NODE.partition("/")[0]


@cache
def facts() -> Facts:
    return Facts(*default_fleet())


@cache
def dead_checks(kind: str) -> tuple[CheckFacts, ...]:
    """The service checks of one node."""
    found = [c for c in facts().checks if c.aspect is Aspect.SERVICE and str(c.source.node_id) == NODE]
    found = [c for c in found if kind in {"both", c.check.probe.kind}]
    assert sum(check.check.count for check in found) >= 4
    return tuple(found)


def is_control(check: CheckFacts) -> bool:
    return check.aspect is Aspect.UDP and {check.source.cluster, check.asked and check.asked.cluster} == {
        CLUSTER
    }


def look(lags_ms: Mapping[AgentId, int], *, eaten: int = 0, kind: str, answer: OutcomeKind) -> Look:
    """A frame in which the services of a node are dead, and every *eaten*-th plain datagram was lost."""
    frame = Frame(T0, SECOND)
    frame.health = {
        agent: AgentHealth(agent, T0, 1, loop_lag_ns=lags_ms.get(agent, 0) * MS) for agent in facts().agents
    }
    controls = [check for check in facts().checks if is_control(check)]
    assert len(controls) > 10
    for place, check in enumerate(controls):
        outcome = OutcomeKind.TIMED_OUT if eaten and place % eaten == 0 else OutcomeKind.REACHED
        frame.windows[check.number] = window(check, outcome)
    for check in dead_checks(kind):
        frame.windows[check.number] = window(check, answer)
    return look_at(frame, facts(), known=facts().agent_set)


def window(check: CheckFacts, outcome: OutcomeKind) -> Window:
    count = check.check.count
    reached = count if outcome is OutcomeKind.REACHED else 0
    return Window(check.check.id, T0, SECOND, count, reached, ((outcome, count),))


def patience(
    *frames: Mapping[AgentId, int],
    eaten: int = 0,
    kind: str = "both",
    answer: OutcomeKind = OutcomeKind.TIMED_OUT,
) -> int:
    """Frames for a proxy all of whose checks are dead, behind which stand agents of its cluster."""
    looks = [look(lags, eaten=eaten, kind=kind, answer=answer) for lags in frames]
    checks = ((check, facts().endpoints(check)) for check in dead_checks(kind))
    return Doubt(looks, facts()).patience(checks, most=MOST)


def everybody(milliseconds: int) -> dict[AgentId, int]:
    return dict.fromkeys(facts().agents, milliseconds)


def test_where_nobody_lags_nothing_waits() -> None:
    assert patience(everybody(0), kind="http") == LEAST_FRAMES


def test_a_conversation_that_woke_lagging_agents_tells_nothing_by_itself() -> None:
    assert patience(everybody(60), kind="http") == MOST


def test_datagrams_that_all_got_lost_beside_plain_ones_that_all_arrived_are_not_excused() -> None:
    assert patience(everybody(200), kind="udp") == LEAST_FRAMES
    assert patience(everybody(200)) == LEAST_FRAMES


def test_datagrams_that_got_lost_beside_plain_ones_that_got_lost_are_excused() -> None:
    assert patience(everybody(200), eaten=1) == MOST


def test_patience_grows_with_what_lag_is_seen_to_do() -> None:
    waited = [patience(everybody(200), eaten=eaten) for eaten in (0, 8, 4, 2, 1)]
    assert waited == sorted(waited)


def test_lag_refuses_nobody() -> None:
    assert patience(everybody(200), kind="http", answer=OutcomeKind.REFUSED) == LEAST_FRAMES


def test_an_agent_that_neither_asks_nor_answers_excuses_nothing() -> None:
    ends = {check.source for check in dead_checks("http")}
    ends = ends.union(*(facts().endpoints(check) for check in dead_checks("http")))
    others = {agent: 240 for agent in facts().agents if agent not in ends}
    assert len(others) > 4
    assert patience(others, kind="http") == LEAST_FRAMES


@pytest.mark.parametrize("end", ["asks", "answers"])
def test_either_end_can_be_late_enough_alone(end: str) -> None:
    first = dead_checks("http")[0]
    who = {check.source for check in dead_checks("http")} if end == "asks" else {*facts().endpoints(first)}
    assert patience(dict.fromkeys(who, 120), kind="http") == MOST


def test_the_frame_before_counts_as_well() -> None:
    assert patience(everybody(60), everybody(0), kind="http") == MOST
