"""Routing loops in a trace: the TTL runs out at the same routers in turn, again and again.

A router lowers the TTL of each packet that it forwards and reports where it reaches 0 (RFC 1812, section
5.3.1). Where two routers send a packet to each other, a longer TTL only makes it go round more often: the
answers of one flow repeat in a cycle of two or more hops. One address at several hops in a row does not
count: a translator may speak for all that is behind it.

Rule: a silent answer of a hop that answered in another round proves nothing, as routers limit their ICMP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netprobe.errors import RemoteFormatError
from netprobe.probes.hops import Hop

ROUNDS_AT_LEAST = 2
"""Rounds without an answer from elsewhere that make a loop, once the trace is over."""
ROUNDS_TO_END = 3
"""So many end the trace: a longer TTL would show nothing new."""
_WORD = "loop"
_SILENT = "*"


@dataclass(frozen=True, slots=True)
class RoutingLoop:
    """Hops that send a packet round until its TTL runs out."""

    hops: tuple[str, ...]
    """Addresses in the order in which the packet meets them; empty for a hop that never answers."""
    first_ttl: int
    """The hop at which the packet enters the loop."""

    def __str__(self) -> str:
        named = [hop or "a hop that says nothing" for hop in self.hops]
        between = f"{', '.join(named[:-1])} and {named[-1]}"
        return f"routing loop between {between}, from hop {self.first_ttl} on"


def find_loop(hops: Sequence[Hop], *, rounds: int = ROUNDS_AT_LEAST) -> RoutingLoop | None:
    """The loop that the last hops of a trace show for one flow, or None.

    *hops* are in the order of their TTLs, without a gap, from 1 on. The shortest cycle is returned.
    """
    flows = sorted({flow for hop in hops for flow, _ in hop.senders})
    for flow in flows:
        answers = [_answer_of(hop, flow) for hop in hops]
        if None in answers:  # the flow arrived
            continue
        found = _find_cycle([each or "" for each in answers], rounds)
        if found is not None:
            return found
    return None


def write_loop(loop: RoutingLoop) -> str:
    """The loop as a value of an observation: ``loop FIRST_TTL ADDRESS …``, ``*`` for a silent hop.

    >>> write_loop(RoutingLoop(("10.1.0.2", ""), 3))
    'loop 3 10.1.0.2 *'
    """
    return " ".join((_WORD, str(loop.first_ttl), *(hop or _SILENT for hop in loop.hops)))


def read_loop(values: Sequence[str]) -> RoutingLoop | None:
    """The loop among the values of a trace's observation, or None where there is none.

    :class:`RemoteFormatError` where one cannot be read.
    """
    for value in values:
        word, *told = value.split(" ")
        if word != _WORD:
            continue
        if len(told) < 3 or not told[0].isdecimal():
            raise RemoteFormatError(f"trace: {value[:80]!r} is not a loop")
        return RoutingLoop(tuple("" if hop == _SILENT else hop for hop in told[1:]), int(told[0]))
    return None


def _answer_of(hop: Hop, flow: int) -> str | None:
    """Who answered; empty for silence, None where the flow got as far as it can."""
    if any(one == flow for one, _ in hop.ends):
        return None
    sender = hop.sender_of(flow)
    return "" if sender == _SILENT else sender


def _find_cycle(answers: list[str], rounds: int) -> RoutingLoop | None:
    for length in range(2, len(answers) // rounds + 1):
        cycle = _read_cycle(answers, length, rounds)
        if cycle is not None:
            return _enter(answers, cycle)
    return None


def _read_cycle(answers: list[str], length: int, rounds: int) -> tuple[str, ...] | None:
    """What the last *rounds* of *length* answers repeat, or None; no hop is in it twice."""
    seen = answers[-length * rounds :]
    members = [{each for each in seen[place::length] if each} for place in range(length)]
    cycle = tuple(next(iter(member), "") for member in members)
    named = [each for each in cycle if each]
    if any(len(member) > 1 for member in members) or len(set(named)) != len(named):
        return None
    if len(named) >= 2:
        is_repeated = all(seen[place::length].count(each) > 1 for place, each in enumerate(cycle) if each)
        return cycle if is_repeated else None
    # one hop and silence: only where it alternates without an exception, as silence may be a limit
    is_strict = len(named) == 1 and answers[-length * ROUNDS_TO_END :] == list(cycle) * ROUNDS_TO_END
    return cycle if is_strict else None


def _enter(answers: list[str], cycle: tuple[str, ...]) -> RoutingLoop:
    """The cycle as the packet enters it: it began as early as the answers before fit it, too."""
    length = len(cycle)
    at = len(answers) - 1
    while at >= 0 and answers[at] in {"", cycle[(at - len(answers)) % length]}:
        at -= 1
    first = at + 1
    while not answers[first]:  # a silence before it may be anybody's
        first += 1
    turn = (first - len(answers)) % length
    return RoutingLoop(cycle[turn:] + cycle[:turn], first + 1)
