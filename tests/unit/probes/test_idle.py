"""The idle probe against simulated middleboxes: it encloses the deadly gap and reports how a flow died."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InputError, MisuseError
from netprobe.model.check import Probe
from netprobe.model.flow import FlowState
from netprobe.model.outcome import AppFailed, NotMeasured, Reached, Refused, TimedOut
from netprobe.model.prose import Prose
from netprobe.probes import idle
from netprobe.probes.conversation import Finish, ProbeStarted, Woke
from netprobe.probes.idle import (
    AskFlow,
    FlowAnswered,
    FlowBroken,
    FlowFailed,
    FlowReady,
    OpenFlow,
    read_flows,
)
from netprobe.probes.observation import Observation, make_facts
from tests.facts import texts
from tests.unit.probes.transcript import MS, Machine, play

S = 1_000_000_000
Box = Callable[[int], str]
"""A gap to ``lives``, ``silence``, ``reset`` or ``closed``."""


def make(gaps: str = "10,20,40", *, timeout_s: int = 600, **options: str) -> Probe:
    asked = tuple(sorted({"gaps": gaps, **options}.items()))
    return Probe("idle", port=9771, timeout_ns=timeout_s * S, options=asked)


def run(box: Box, probe: Probe) -> tuple[Observation, list[idle.Command]]:
    """Play a middlebox; every answer takes a millisecond."""
    idle.validate(probe)

    def react(command: idle.Command, now_ns: int) -> Iterator[idle.Event]:
        match command:
            case OpenFlow(gap):
                yield FlowReady(gap, now_ns + MS)
            case AskFlow(gap) if box(gap) == "lives":
                yield FlowAnswered(gap, now_ns + MS)
            case AskFlow(gap) if box(gap) != "silence":
                yield FlowBroken(gap, now_ns + MS, box(gap) == "reset")

    played = play(Machine(idle.begin(probe), idle.step), react, most_commands=500)
    return played.seen, played.all_commands


def forgets_after(seconds: int, how: str = "silence") -> Box:
    return lambda gap: "lives" if gap < seconds else how


def test_a_path_that_forgets_nothing_is_reached() -> None:
    seen, done = run(forgets_after(999), make())
    assert seen == Observation(
        Reached(MS),
        facts=make_facts((f"{gap_s} s quiet", "lives") for gap_s in (10, 20, 40)),
        values=("10 alive", "20 alive", "40 alive"),
    )
    assert [one for one in done if isinstance(one, OpenFlow)] == [OpenFlow(10), OpenFlow(20), OpenFlow(40)]


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ("silence", TimedOut(3 * S)),
        ("reset", AppFailed(Prose("a quiet flow dies between 10 s and 20 s: something on the way, such as a "
                                  "NAT gateway, or the far end resets it"))),
        ("closed", AppFailed(Prose("a quiet flow dies between 10 s and 20 s: the far end closes it"))),
    ],
)  # fmt: skip
def test_how_a_flow_died_is_told_apart(how: str, outcome: TimedOut | AppFailed) -> None:
    seen, done = run(forgets_after(15, how), make())
    assert seen.outcome == outcome
    assert texts(seen.facts)["20 s quiet"] == f"dead: {how}"
    assert texts(seen.facts)["40 s quiet"] == "not waited for"
    assert AskFlow(40) not in done


@given(limit=st.integers(1, 40))
def test_bisecting_encloses_the_limit_as_closely_as_asked(limit: int) -> None:
    seen, _ = run(forgets_after(limit), make(precision="1", timeout_s=7_200))
    told = dict(read_flows(seen.values))
    dead = min(gap_s for gap_s, state in told.items() if state is FlowState.SILENT)
    alive = max((gap_s for gap_s, state in told.items() if state is FlowState.ALIVE), default=0)
    assert (alive, dead) == (limit - 1, limit)


def test_bisecting_stops_when_the_time_would_not_do() -> None:
    seen, _ = run(forgets_after(15), make(precision="1", timeout_s=46))
    assert str(seen.detail).startswith("a quiet flow dies between 10 s and 15 s: ")


def test_a_flow_that_cannot_be_opened_ends_it_at_once() -> None:
    state, _ = idle.step(idle.begin(make()), ProbeStarted(5))
    _, commands = idle.step(state, FlowFailed(10, Observation(Refused(7)), 9))
    assert commands == (Finish(Observation(Refused(7))),)


def test_silence_at_the_start_and_a_time_that_is_up_are_told_apart() -> None:
    state, _ = idle.step(idle.begin(make()), ProbeStarted(5))
    _, commands = idle.step(state, Woke(5 + 3 * S))
    silent = Observation(TimedOut(3 * S), detail=Prose("no flow could be opened: silence"))
    assert commands == (Finish(silent),)
    for gap in (10, 20, 40):
        state, _ = idle.step(state, FlowReady(gap, 6))
    _, commands = idle.step(state, Woke(5 + 600 * S))
    (finish,) = commands
    assert isinstance(finish, Finish)
    assert isinstance(finish.seen.outcome, NotMeasured)


def test_it_starts_once() -> None:
    state, _ = idle.step(idle.begin(make()), ProbeStarted(5))
    with pytest.raises(MisuseError):
        idle.step(state, ProbeStarted(6))


@pytest.mark.parametrize(
    ("probe", "field"),
    [
        (make("10,x"), "options.gaps"),
        (make("20,10"), "options.gaps"),
        (make("0"), "options.gaps"),
        (make("4000"), "options.gaps"),
        (make(precision="-1"), "options.precision"),
        (make(patience="0"), "options.patience"),
        (make("600"), "timeout_ns"),
        (Probe("idle", timeout_ns=600 * S), "port"),
    ],
)
def test_what_cannot_be_waited_for_is_named(probe: Probe, field: str) -> None:
    with pytest.raises(InputError) as caught:
        idle.validate(probe)
    assert caught.value.where == field
