"""The transcript that the tests of the machines share: order, time, and what a mismatch prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from netprobe.model.outcome import Reached, TimedOut
from netprobe.probes.conversation import Finish, ProbeStarted, WakeAt, Woke
from netprobe.probes.observation import Observation
from tests.unit.probes.transcript import MS, Machine, play


@dataclass(frozen=True, slots=True)
class Ask:
    number: int


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    number: int
    at_ns: int


Command = Ask | WakeAt | Finish


def step(asked: int, event: ProbeStarted | ScriptedAnswer | Woke) -> tuple[int, tuple[Command, ...]]:
    """Asks twice at once and waits 10 ms for both answers."""
    match event:
        case ProbeStarted(at_ns):
            return 2, (Ask(1), Ask(2), WakeAt(at_ns + 10 * MS))
        case ScriptedAnswer() if asked > 1:
            return asked - 1, ()
        case ScriptedAnswer(number):
            return 0, (Finish(Observation(Reached(number))),)
        case Woke():
            return asked, (Finish(Observation(TimedOut(10 * MS))),)


def later_first(command: Ask, now_ns: int) -> Iterator[ScriptedAnswer]:
    yield ScriptedAnswer(command.number, now_ns + (5 - command.number) * MS)


def test_events_come_in_order_of_time() -> None:
    played = play(Machine(0, step), later_first)
    played.expect("""
        0 ms <- ProbeStarted
        0 ms -> Ask(number=1)
        0 ms -> Ask(number=2)
        0 ms -> WakeAt 10 ms
        3 ms <- ScriptedAnswer(number=2)
        4 ms <- ScriptedAnswer(number=1)
        4 ms -> Finish reached
    """)
    assert (played.state, played.commands(Ask)) == (0, [Ask(1), Ask(2)])


def test_silence_wakes_the_machine_when_it_asked_to_be() -> None:
    played = play(Machine(0, step), lambda command, now_ns: ())
    assert str(played).splitlines()[-2:] == [
        "    10 ms <- Woke",
        "    10 ms -> Finish no answer within 10 ms",
    ]


def test_a_mismatch_prints_as_a_diff() -> None:
    played = play(Machine(0, step), later_first)
    with pytest.raises(AssertionError) as caught:
        played.expect(
            str(played).replace("3 ms <- ScriptedAnswer(number=2)", "2 ms <- ScriptedAnswer(number=2)")
        )
    assert "-2 ms <- ScriptedAnswer(number=2)\n+3 ms <- ScriptedAnswer(number=2)\n" in str(caught.value)


def test_a_machine_that_waits_for_nothing_fails_at_once() -> None:
    forgets: Machine[int] = Machine(0, lambda state, event: (state, ()))
    with pytest.raises(AssertionError, match="the machine waits for nothing"):
        play(forgets, later_first)
