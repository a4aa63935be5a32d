"""Plays a sans-IO machine against a simulated network and keeps the transcript.

A network is a function from a command and its time to the events that come of it, each with its own time.
Events arrive in order of time; the machine is woken when the time it asked for comes before the next event.
"""

from __future__ import annotations

import difflib
import heapq
import itertools
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Generic, TypeVar

from netprobe.probes.conversation import Finish, ProbeStarted, WakeAt, Woke
from netprobe.probes.observation import Observation

S = TypeVar("S")
T = TypeVar("T")
MS = 1_000_000
BEGAN_NS = 5
"""Not zero, so that a duration taken for a time shows."""

Network = Callable[[Any, int], Iterable[Any]]
"""A command and when it was given, to the events that come of it."""


@dataclass(frozen=True, slots=True)
class Machine(Generic[S]):
    """A machine before anything happened, and its transition function."""

    state: S
    step: Callable[[S, Any], tuple[S, tuple[Any, ...]]]


@dataclass(slots=True)
class Transcript(Generic[S]):
    """Everything that the machine was told and said, in order."""

    state: S
    """Where the machine ended."""
    seen: Observation = field(init=False)
    at_ns: int = BEGAN_NS
    lines: list[tuple[int, str, Any]] = field(default_factory=list)
    """When, ``->`` for a command or ``<-`` for an event, and which."""

    @property
    def all_commands(self) -> list[Any]:
        """Every command, in order."""
        return [what for _, arrow, what in self.lines if arrow == "->"]

    def commands(self, kind: type[T]) -> list[T]:
        """The commands of one class, in order."""
        return [command for command in self.all_commands if isinstance(command, kind)]

    def __str__(self) -> str:
        return "\n".join(f"{_ms(at_ns):>6} ms {arrow} {_show(what)}" for at_ns, arrow, what in self.lines)

    def expect(self, text: str) -> None:
        """Fail with a diff where the transcript is not *text*; indentation does not matter."""
        wanted = [line.strip() for line in text.strip().splitlines()]
        found = [line.strip() for line in str(self).splitlines()]
        if wanted != found:
            diff = difflib.unified_diff(wanted, found, "expected", "played", lineterm="")
            raise AssertionError("the transcript differs:\n" + "\n".join(diff))


def play(machine: Machine[S], network: Network, *, most_commands: int = 5_000) -> Transcript[S]:
    """Run *machine* against *network* to its end."""
    played = Transcript(machine.state)
    arriving: list[tuple[int, int, Any]] = []
    numbers = itertools.count()
    wake_ns: int | None = None
    event: Any = ProbeStarted(BEGAN_NS)
    while True:
        played.lines.append((played.at_ns, "<-", event))
        played.state, commands = machine.step(played.state, event)
        for command in commands:
            played.lines.append((played.at_ns, "->", command))
            assert len(played.lines) < most_commands, f"the machine does not end:\n{played}"[-2_000:]
            match command:
                case Finish(seen):
                    played.seen = seen
                    return played
                case WakeAt(at_ns):
                    wake_ns = at_ns
                case _:
                    for coming in network(command, played.at_ns):
                        heapq.heappush(arriving, (coming.at_ns, next(numbers), coming))
        if arriving and (wake_ns is None or arriving[0][0] <= wake_ns):
            played.at_ns, _, event = heapq.heappop(arriving)
        else:
            assert wake_ns is not None, f"the machine waits for nothing:\n{played}"[-2_000:]
            played.at_ns, event, wake_ns = max(played.at_ns, wake_ns), Woke(wake_ns), None


def _ms(at_ns: int) -> str:
    return f"{(at_ns - BEGAN_NS) / MS:g}"


def _show(what: Any) -> str:
    """A command or event without its time and without what is as by default."""
    match what:
        case WakeAt(at_ns):
            return f"WakeAt {_ms(at_ns)} ms"
        case Finish(seen):
            return f"Finish {seen.words or seen.outcome.kind}"
    shown = [
        f"{each.name}={getattr(what, each.name)!r}"
        for each in fields(what)
        if each.name != "at_ns" and (each.default is MISSING or getattr(what, each.name) != each.default)
    ]
    return f"{type(what).__name__}({', '.join(shown)})" if shown else type(what).__name__
