"""``idle``: which quiet gap kills a flow.

One TCP flow per gap, all opened at once to the agent at the target; each is quiet for its gap and then asks
once more. The shortest gap whose flow no longer answers and the longest below it that still does enclose the
idle time-out of something on the way; with ``precision`` further flows bisect what lies between. How a flow
died tells who forgot it: a reset came from something that still knows TCP (a NAT gateway), silence from a
firewall or load balancer that drops what it does not know.

Reads ``Probe.port`` (the agent's), ``Probe.timeout_ns`` (the whole conversation) and the options ``gaps``
(seconds, rising, with commas; default 30,120,180,240,350), ``precision`` (seconds; bisect until the bounds
are this close; default 0, which means that the gaps are enough) and ``patience`` (milliseconds for one
answer, default 3000).

Rule: no socket, no clock, no randomness in here. Time arrives inside events.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from netprobe.errors import InputError, MisuseError
from netprobe.model.check import Probe
from netprobe.model.flow import FlowState
from netprobe.model.outcome import AppFailed, NotMeasured, Outcome, Reached, TimedOut
from netprobe.model.prose import NO_PROSE, Prose
from netprobe.model.units import SECOND_NS
from netprobe.probes.conversation import Finish, ProbeStarted, WakeAt, Woke, patience_ms
from netprobe.probes.kind import PacketDriver, ProbeKind
from netprobe.probes.observation import Observation
from netprobe.wire import previous_build

DEFAULT_GAPS = "30,120,180,240,350"
DEFAULT_PATIENCE_MS = 3_000
MAX_GAP_S = 3_600
MAX_GAPS = 16
_VALUE = re.compile(r"(\d{1,4}) ([a-z-]+)")
"""How :func:`read_flows` is told what became of a flow: its gap in seconds and its state."""


@dataclass(frozen=True, slots=True)
class OpenFlow:
    """A command: open a flow that will be quiet for this gap."""

    gap_s: int


@dataclass(frozen=True, slots=True)
class AskFlow:
    """A command: the gap is over, ask on this flow."""

    gap_s: int


@dataclass(frozen=True, slots=True)
class FlowReady:
    """An event: the flow stands and has answered once."""

    gap_s: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class FlowFailed:
    """An event: the flow could not be opened."""

    gap_s: int
    seen: Observation
    at_ns: int


@dataclass(frozen=True, slots=True)
class FlowAnswered:
    """An event: the flow still lives."""

    gap_s: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class FlowBroken:
    """An event: the flow was ended, *reset* where by RST."""

    gap_s: int
    at_ns: int
    reset: bool


Command: TypeAlias = OpenFlow | AskFlow | WakeAt | Finish
Event: TypeAlias = ProbeStarted | FlowReady | FlowFailed | FlowAnswered | FlowBroken | Woke


@dataclass(frozen=True, slots=True)
class IdleFlow:
    """One flow; None where that has not happened yet."""

    gap_s: int
    opened_ns: int
    ready_ns: int | None = None
    asked_ns: int | None = None
    state: FlowState = FlowState.PENDING
    rtt_ns: int = 1

    @property
    def is_pending(self) -> bool:
        """Whether it is not known yet what became of it."""
        return self.state is FlowState.PENDING

    @property
    def lives(self) -> bool:
        """Whether it answered after its gap."""
        return self.state is FlowState.ALIVE


@dataclass(frozen=True, slots=True)
class IdleSpec:
    """How it is asked."""

    gaps_s: tuple[int, ...]
    precision_s: int
    patience_ns: int
    timeout_ns: int


@dataclass(frozen=True, slots=True)
class Idle:
    """What is known so far."""

    spec: IdleSpec
    began_ns: int | None = None
    flows: tuple[IdleFlow, ...] = ()
    """By gap."""
    is_over: bool = False


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    if not 1 <= probe.port <= 65535:
        raise InputError(f"port {probe.port} is not within 1–65535", where="port")
    if probe.size:
        raise InputError(f"size {probe.size}: idle chooses its own packet sizes", where="size")
    text = probe.option("gaps", DEFAULT_GAPS)
    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= MAX_GAP_S for part in parts) or len(parts) > MAX_GAPS:
        raise InputError(
            f"{text!r} is not a list of at most {MAX_GAPS} gaps of 1–{MAX_GAP_S} s", where="options.gaps"
        )
    gaps = [int(part) for part in parts]
    if gaps != sorted(set(gaps)):
        raise InputError(f"{text!r} does not rise", where="options.gaps")
    precision = probe.option("precision", "0")
    if not precision.isdecimal() or int(precision) > MAX_GAP_S:
        raise InputError(f"{precision!r} is not within 0–{MAX_GAP_S} s", where="options.precision")
    least_ns = gaps[-1] * SECOND_NS + 2 * patience_ms(probe, default=DEFAULT_PATIENCE_MS) * 1_000_000
    if probe.timeout_ns < least_ns:
        raise InputError(
            f"{probe.timeout_ns / SECOND_NS:g} s are too short for a gap of {gaps[-1]} s; "
            f"take {least_ns / SECOND_NS:g} s",
            where="timeout_ns",
        )


def begin(probe: Probe) -> Idle:
    """The machine before anything happened."""
    gaps = tuple(int(part) for part in probe.option("gaps", DEFAULT_GAPS).split(","))
    patience_ns = patience_ms(probe, default=DEFAULT_PATIENCE_MS) * 1_000_000
    return Idle(IdleSpec(gaps, int(probe.option("precision", "0")), patience_ns, probe.timeout_ns))


def step(state: Idle, event: Event) -> tuple[Idle, tuple[Command, ...]]:
    """Advance by one event; return what the driver must do next."""
    if state.is_over:
        return state, ()
    if isinstance(event, ProbeStarted):
        if state.began_ns is not None:
            raise MisuseError("an idle probe starts once")
        flows = tuple(IdleFlow(gap, event.at_ns) for gap in state.spec.gaps_s)
        state = replace(state, began_ns=event.at_ns, flows=flows)
        return state, (*(OpenFlow(gap) for gap in state.spec.gaps_s), _wake(state, event.at_ns))
    assert state.began_ns is not None
    if isinstance(event, FlowFailed):
        return _finish(state, event.seen)
    state = replace(state, flows=tuple(_advance(flow, event, state.spec) for flow in state.flows))
    return _go_on(state, event.at_ns)


def _advance(flow: IdleFlow, event: Event, spec: IdleSpec) -> IdleFlow:
    """What the event means for this flow."""
    if not flow.is_pending:
        return flow
    match event:
        case FlowReady(gap, at_ns) if gap == flow.gap_s:
            return replace(flow, ready_ns=at_ns)
        case FlowAnswered(gap, at_ns) if gap == flow.gap_s and flow.asked_ns is not None:
            return replace(flow, state=FlowState.ALIVE, rtt_ns=max(1, at_ns - flow.asked_ns))
        case FlowBroken(gap, at_ns, reset) if gap == flow.gap_s:
            return replace(flow, state=FlowState.RESET if reset else FlowState.CLOSED)
        case Woke(at_ns) if flow.asked_ns is not None and at_ns >= flow.asked_ns + spec.patience_ns:
            return replace(flow, state=FlowState.SILENT)
        case _:
            return flow


def _go_on(state: Idle, at_ns: int) -> tuple[Idle, tuple[Command, ...]]:
    """Ask what is due; bisect or end when the bounds are known."""
    assert state.began_ns is not None
    late = next((one for one in state.flows if one.ready_ns is None
                 and at_ns >= one.opened_ns + state.spec.patience_ns), None)  # fmt: skip
    if late is not None:
        return _finish(
            state,
            Observation(TimedOut(state.spec.patience_ns), detail=Prose("no flow could be opened: silence")),
        )
    alive, dead = find_bounds(state.flows)
    is_known = dead is not None and all(not one.is_pending for one in state.flows if one.gap_s < dead.gap_s)
    if is_known or all(one.lives for one in state.flows):
        return _bisect_or_end(state, alive, dead, at_ns)
    if at_ns - state.began_ns >= state.spec.timeout_ns:
        why = Prose("the time was up before the gaps were over")
        return _finish(state, _observe(state, NotMeasured(why), why))
    due = tuple(one.gap_s for one in state.flows if _is_due(one, at_ns))
    flows = tuple(replace(one, asked_ns=at_ns) if one.gap_s in due else one for one in state.flows)
    state = replace(state, flows=flows)
    return state, (*(AskFlow(gap) for gap in due), _wake(state, at_ns))


def _is_due(flow: IdleFlow, at_ns: int) -> bool:
    return (flow.is_pending and flow.asked_ns is None and flow.ready_ns is not None
            and at_ns >= flow.ready_ns + flow.gap_s * SECOND_NS)  # fmt: skip


def _bisect_or_end(
    state: Idle, alive: IdleFlow | None, dead: IdleFlow | None, at_ns: int
) -> tuple[Idle, tuple[Command, ...]]:
    assert state.began_ns is not None
    low = alive.gap_s if alive else 0
    if dead is None or not state.spec.precision_s or dead.gap_s - low <= max(1, state.spec.precision_s):
        return _finish(state, conclude(state))
    middle = (low + dead.gap_s) // 2
    left_ns = state.spec.timeout_ns - (at_ns - state.began_ns)
    if left_ns < middle * SECOND_NS + 2 * state.spec.patience_ns:
        return _finish(state, conclude(state))
    kept = [one for one in state.flows if not one.is_pending]
    state = replace(state, flows=tuple(sorted([*kept, IdleFlow(middle, at_ns)], key=lambda one: one.gap_s)))
    return state, (OpenFlow(middle), _wake(state, at_ns))


def _wake(state: Idle, at_ns: int) -> WakeAt:
    """The next time at which something is due or too late."""
    assert state.began_ns is not None
    times = [state.began_ns + state.spec.timeout_ns]
    for flow in state.flows:
        if flow.is_pending:
            if flow.asked_ns is not None:
                times.append(flow.asked_ns + state.spec.patience_ns)
            elif flow.ready_ns is not None:
                times.append(flow.ready_ns + flow.gap_s * SECOND_NS)
            else:
                times.append(flow.opened_ns + state.spec.patience_ns)
    return WakeAt(max(at_ns, min(times)))


def _finish(state: Idle, seen: Observation) -> tuple[Idle, tuple[Command, ...]]:
    return replace(state, is_over=True), (Finish(seen),)


def find_bounds(flows: tuple[IdleFlow, ...]) -> tuple[IdleFlow | None, IdleFlow | None]:
    """The shortest gap that killed, and the longest below it that did not."""
    dead = next((one for one in flows if not one.is_pending and not one.lives), None)
    alive = [one for one in flows if one.lives and (dead is None or one.gap_s < dead.gap_s)]
    return (alive[-1] if alive else None), dead


def conclude(state: Idle) -> Observation:
    """The outcome, and what became of each flow."""
    alive, dead = find_bounds(state.flows)
    if dead is None:
        assert alive is not None
        return _observe(state, Reached(alive.rtt_ns))
    between = f"between {alive.gap_s} s and {dead.gap_s} s" if alive else f"within {dead.gap_s} s"
    if dead.state is FlowState.SILENT:
        words = f"a quiet flow dies {between}: its next packet meets silence, as if a firewall forgot it"
        return _observe(state, TimedOut(state.spec.patience_ns), Prose(words))
    by = "something on the way, such as a NAT gateway, or the far end resets it"
    words = by if dead.state is FlowState.RESET else "the far end closes it"
    return _observe(state, AppFailed(Prose(f"a quiet flow dies {between}: {words}")))


def _observe(state: Idle, outcome: Outcome, detail: Prose = NO_PROSE) -> Observation:
    facts = tuple(previous_build.write_flow(flow.gap_s, flow.state) for flow in state.flows)
    values = tuple(f"{flow.gap_s} {flow.state}" for flow in state.flows)
    return Observation(outcome, detail=detail, facts=facts, values=values)


def read_flows(
    values: Iterable[str], facts: Iterable[tuple[str, Prose]] = ()
) -> tuple[tuple[int, FlowState], ...]:
    """What became of each flow, by its gap in seconds; what cannot be read is left out.

    A build of before sent no *values*, and only *facts*.
    """
    listed = tuple(values)
    if not listed:
        return tuple(previous_build.read_flows(facts))
    found = (_VALUE.fullmatch(line) for line in listed)
    known = set(FlowState)
    return tuple((int(one[1]), FlowState(one[2])) for one in found if one is not None and one[2] in known)


KIND = ProbeKind(
    name="idle",
    driver=PacketDriver(),
    validate=validate,
    options=("gaps", "precision", "patience"),
    default_timeout_ns=420 * SECOND_NS,
    longest_timeout_ns=7_200 * SECOND_NS,
    asks_agent_port=True,
)
