"""``firewalk``: which hop drops this port and not that one (Goldsmith and Schiffman, 1998).

Packets to the suspected port and to a control port go out side by side, one TTL after the other. A router at
which the TTL expires reports it for every packet that came as far. Where it reports the control probe and
never the suspect, the suspect was dropped before: by the last hop that still named it, as it forwards, or by
this one, as it comes in. Which of the two cannot be told from outside, so both are named.

A silence counts only beside a control probe that was answered at the same TTL in every try: a router that
limits its ICMP answers some, one that says nothing answers none, and then the range grows to the next hop
with reliable answers. Where the control probe, too, is silent from some hop on, the result is unknown.

Reads ``Probe.port`` (the suspect), ``Probe.timeout_ns`` (the whole conversation) and the options
``transport`` (``tcp`` or ``udp``; default tcp), ``control`` (a port that should pass; required, and
``netprobe check`` fills in the agents' port; ``witness``, its name in earlier builds, is still read),
``patience`` (milliseconds for one packet, default 500) and ``hops`` (the largest TTL, default 30).

Rule: no socket, no clock, no randomness in here. Time arrives inside events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from netprobe.errors import InputError, MisuseError
from netprobe.model.check import Probe
from netprobe.model.outcome import NotMeasured, Outcome, Reached, Refused, Rejected, TimedOut, WrongPeer
from netprobe.model.prose import Prose
from netprobe.model.units import SECOND_NS
from netprobe.probes.conversation import Finish, ProbeStarted, WakeAt, Woke, patience_ms
from netprobe.probes.hops import Ended, Expired
from netprobe.probes.kind import PacketDriver, ProbeKind
from netprobe.probes.observation import Observation, describe, make_facts
from netprobe.probes.trace import DEFAULT_HOPS, MAX_SILENT_HOPS, SendPacket

SUSPECT, CONTROL = 0, 1
"""The two flows, by number."""
TRANSPORTS = ("tcp", "udp")
TRIES = 3
WHOLE_WAY = 64
"""The TTL of the packets that shall arrive."""


@dataclass(frozen=True, slots=True)
class FirewalkSpec:
    """How it is asked."""

    port: int
    control: int
    transport: str
    patience_ns: int
    timeout_ns: int
    max_ttl: int = DEFAULT_HOPS


Command: TypeAlias = SendPacket | WakeAt | Finish
Event: TypeAlias = ProbeStarted | Expired | Ended | Woke


@dataclass(frozen=True, slots=True)
class FirewalkHop:
    """What the two ports met at one TTL."""

    ttl: int
    suspect: Expired | Ended | None = None
    control: Expired | Ended | None = None
    tries: int = 0
    controls_answered: int = 0
    """In how many of the tries the control probe was answered."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing was heard from here."""
        return self.suspect is None and self.control is None

    @property
    def has_lost_suspect(self) -> bool:
        """Whether the suspect's silence counts: beside it the control probe was answered every time."""
        return self.suspect is None and self.controls_answered == self.tries > 0

    @property
    def is_at_target(self) -> bool:
        """Whether the target itself spoke here."""
        heard = self.suspect or self.control
        return isinstance(heard, Ended) and is_target(heard.outcome)

    @property
    def address(self) -> str:
        """The router that spoke here; empty for silence and for the target."""
        match self.suspect or self.control:
            case Expired(_, _, sender):
                return sender
            case Ended(_, _, Rejected(sender, _, _)):
                return sender
            case _:
                return ""

    @property
    def name(self) -> str:
        """Who spoke here: ``hop 2 (10.1.0.2)``, ``the target`` or ``hop 2``."""
        if self.is_at_target:
            return "the target"
        return f"hop {self.ttl} ({self.address})" if self.address else f"hop {self.ttl}"


@dataclass(frozen=True, slots=True)
class Firewalk:
    """What is known so far."""

    spec: FirewalkSpec
    began_ns: int | None = None
    whole: FirewalkHop | None = None
    """How both ports fared on the whole way; asked first."""
    places: tuple[FirewalkHop, ...] = ()
    now: FirewalkHop = FirewalkHop(WHOLE_WAY)
    waiting: frozenset[int] = frozenset()
    sent_ns: int = 0
    rtt_ns: int = 1
    is_over: bool = False


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    if not 1 <= probe.port <= 65535:
        raise InputError(f"port {probe.port} is not within 1–65535", where="port")
    if probe.size:
        raise InputError(f"size {probe.size}: firewalk chooses its own packet sizes", where="size")
    if probe.option("transport", "tcp") not in TRANSPORTS:
        known = " nor ".join(TRANSPORTS)
        raise InputError(f"{probe.option('transport')!r} is neither {known}", where="options.transport")
    control = control_of(probe)
    if not control:
        told = f"a firewalk needs a control port, another one than {probe.port} that should pass"
        raise InputError(told, where="options.control")
    if not control.isdecimal() or not 1 <= int(control) <= 65535:
        raise InputError(f"{control!r} is not within 1–65535", where="options.control")
    if int(control) == probe.port:
        raise InputError(f"port {control} cannot be its own control port", where="options.control")
    hops = probe.option("hops", str(DEFAULT_HOPS))
    if not hops.isdecimal() or not 1 <= int(hops) < WHOLE_WAY:
        raise InputError(f"{hops!r} is not within 1–{WHOLE_WAY - 1}", where="options.hops")
    patience_ms(probe)


def control_of(probe: Probe) -> str:
    """The option ``control``; its former name goes first, because it is never filled in by default."""
    return probe.option("witness") or probe.option("control")


def ports_of(probe: Probe) -> dict[int, int]:
    """The destination port of each flow."""
    return {SUSPECT: probe.port, CONTROL: int(control_of(probe))}


def begin(probe: Probe) -> Firewalk:
    """The machine before anything happened."""
    ports = ports_of(probe)
    transport, hops = probe.option("transport", "tcp"), int(probe.option("hops", str(DEFAULT_HOPS)))
    patience_ns = patience_ms(probe) * 1_000_000
    return Firewalk(
        FirewalkSpec(ports[SUSPECT], ports[CONTROL], transport, patience_ns, probe.timeout_ns, hops)
    )


def step(state: Firewalk, event: Event) -> tuple[Firewalk, tuple[Command, ...]]:
    """Advance the walk by one event; return what the driver must do next."""
    if state.is_over:
        return state, ()
    if isinstance(event, ProbeStarted):
        if state.began_ns is not None:
            raise MisuseError("a firewalk starts once")
        return _send(replace(state, began_ns=event.at_ns), event.at_ns)
    assert state.began_ns is not None
    if event.at_ns - state.began_ns >= state.spec.timeout_ns:
        return _finish(replace(state, places=(*state.places, state.now)), is_late=True)
    match event:
        case Expired(flow, ttl) | Ended(flow, ttl) if ttl == state.now.ttl and flow in state.waiting:
            return _heard(state, event, flow)
        case Woke(at_ns) if at_ns >= state.sent_ns + state.spec.patience_ns:
            return _try_over(state, at_ns)
        case _:
            return state, ()  # late, duplicate or foreign: no news


def _heard(state: Firewalk, event: Expired | Ended, flow: int) -> tuple[Firewalk, tuple[Command, ...]]:
    if flow == SUSPECT:
        now = replace(state.now, suspect=event)
        state = replace(state, rtt_ns=max(1, event.at_ns - state.sent_ns))
    else:
        now = replace(state.now, control=event, controls_answered=state.now.controls_answered + 1)
    state = replace(state, now=now, waiting=state.waiting - {flow})
    return (state, ()) if state.waiting else _try_over(state, event.at_ns)


def _try_over(state: Firewalk, at_ns: int) -> tuple[Firewalk, tuple[Command, ...]]:
    """Once more, one hop further, or the end."""
    now = state.now
    is_answered = now.suspect is not None and (now.control is not None or now.ttl != WHOLE_WAY)
    if not is_answered and now.tries < TRIES:
        return _send(state, at_ns)
    if state.whole is None:
        state = replace(state, whole=now)
        return _finish(state) if isinstance(now.suspect, Ended) else _next_place(state, at_ns)
    state = replace(state, places=(*state.places, now))
    silent = len(state.places) >= MAX_SILENT_HOPS and all(
        one.is_silent for one in state.places[-MAX_SILENT_HOPS:]
    )
    is_end = isinstance(now.suspect, Ended) or isinstance(now.control, Ended)
    if is_end or silent or now.ttl >= state.spec.max_ttl:
        return _finish(state)
    return _next_place(state, at_ns)


def _next_place(state: Firewalk, at_ns: int) -> tuple[Firewalk, tuple[Command, ...]]:
    return _send(replace(state, now=FirewalkHop(len(state.places) + 1)), at_ns)


def _send(state: Firewalk, at_ns: int) -> tuple[Firewalk, tuple[Command, ...]]:
    """The control probe goes first: a router with one ICMP error left spends it on the port that passes."""
    now = replace(state.now, tries=state.now.tries + 1)
    flows = (CONTROL, SUSPECT) if now.suspect is None else (CONTROL,)
    state = replace(state, now=now, waiting=frozenset(flows), sent_ns=at_ns)
    return state, (WakeAt(at_ns + state.spec.patience_ns), *(SendPacket(flow, now.ttl) for flow in flows))


def _finish(state: Firewalk, *, is_late: bool = False) -> tuple[Firewalk, tuple[Command, ...]]:
    return replace(state, is_over=True), (Finish(conclude(state, is_late=is_late)),)


def is_target(outcome: Outcome) -> bool:
    """Whether only the target itself can have said so."""
    return isinstance(outcome, Reached | Refused | WrongPeer)


def conclude(state: Firewalk, *, is_late: bool = False) -> Observation:
    """The suspect's outcome, who drops it, and every hop as a line of facts."""
    places = (*((state.whole,) if state.whole else ()), *state.places)
    ended = next((one.suspect for one in places if isinstance(one.suspect, Ended)), None)
    facts = make_facts(_facts(state, ended))
    if ended is not None:
        if isinstance(ended.outcome, TimedOut):
            detail = f"this host's own packet filter drops port {state.spec.port}"
            return Observation(ended.outcome, lost_out=True, detail=Prose(detail), facts=facts)
        arrived = isinstance(ended.outcome, Reached | Refused)
        outcome = Reached(state.rtt_ns) if arrived else ended.outcome
        return Observation(outcome, ended.answered_by, ended.observed_source, facts=facts)
    if is_late:
        why = Prose("the time was up before the walk ended")
        return Observation(NotMeasured(why), facts=facts, detail=why)
    return Observation(TimedOut(state.spec.patience_ns), facts=facts, detail=Prose(find_dropper(state)))


def find_dropper(state: Firewalk) -> str:
    """Where the suspect is lost, as far as it can be known, in a sentence without its end."""
    port, control = state.spec.port, state.spec.control
    last = max((one.ttl for one in state.places if one.suspect is not None), default=0)
    before = state.places[last - 1].name if last else "this host"
    lost = next((one for one in state.places if one.ttl > last and one.has_lost_suspect), None)
    if lost is None:
        return (
            f"cannot be known: behind {before} the control probe, port {control}, "
            "is not answered reliably either"
        )
    where = f"port {port} is dropped between {before} and {lost.name}"
    if lost.ttl > last + 1:
        count = lost.ttl - last - 1
        between = f"{count} hop{'s' if count > 1 else ''} between that cannot be believed"
        return f"{where}; which of them cannot be known, with {between}"
    if lost.is_at_target:
        by = f"{before} as it forwards, or the target itself"
        quiet = " (or a service there that says nothing)" if state.spec.transport == "udp" else ""
        return f"{where}: by {by}{quiet}"
    if not last:  # a TCP socket is not told when its own host drops its SYN; a UDP socket is
        ours = "this host's own packet filter, or by " if state.spec.transport == "tcp" else ""
        return f"{where}: by {ours}that hop as it comes in"
    return f"{where}: by the first as it forwards, or by the second as it comes in"


def _facts(state: Firewalk, ended: Ended | None) -> Iterator[tuple[str, str]]:
    port, control = state.spec.port, state.spec.control
    if state.whole is not None:
        if isinstance(ended, Ended):
            yield f"port {port}", _describe(ended)
        yield f"port {control}", f"the control probe: {_describe(state.whole.control)}"
    spoken = max((one.ttl for one in state.places if not one.is_silent), default=0)
    for place in state.places[:spoken]:
        yield f"hop {place.ttl}", _describe_place(place, port, control)
    if len(state.places) > spoken:
        yield "then", "silence"


def _describe_place(place: FirewalkHop, port: int, control: int) -> str:
    if place.is_silent:
        return "* (says nothing)"
    heard, name = place.suspect, place.address or place.name
    if heard is not None:
        other = place.control.sender if isinstance(place.control, Expired) else ""
        apart = isinstance(heard, Expired) and other not in {"", heard.sender}
        way = f"; port {control} takes another way, over {other}" if apart else ""
        return f"{name}: port {port} comes this far{way}"
    if place.has_lost_suspect:
        return f"{name}: port {control} comes this far, port {port} does not"
    told = f"told {place.controls_answered} of {place.tries} packets"
    return f"{name}: port {control} comes this far; port {port} cannot be known, it limits its ICMP ({told})"


def _describe(heard: Expired | Ended | None) -> str:
    match heard:
        case None:
            return "silence from the target"
        case Expired(_, ttl, sender):
            return f"{sender} says that even TTL {ttl} ran out"
        case Ended() if isinstance(heard.outcome, Reached):
            return "the target answers"
        case Ended() if isinstance(heard.outcome, Refused):
            return "the target refuses it: no process listens, nothing drops it"
        case Ended() if isinstance(heard.outcome, TimedOut):
            return "this host's own packet filter drops it"
        case _:
            return str(describe(heard.outcome))


KIND = ProbeKind(
    name="firewalk",
    driver=PacketDriver(),
    validate=validate,
    options=("transport", "control", "witness", "patience", "hops"),
    default_timeout_ns=45 * SECOND_NS,
    agent_port_option="control",
)
