"""``trace``: which routers a packet crosses, with the flow held (Paris traceroute; Augustin et al., 2006).

Every packet of one flow has the same addresses, protocol and ports (of ICMP: identifier and checksum), so a
router that spreads flows over several paths sends it along the same one at every TTL. Several flows show the
several paths; how many are enough is the stopping rule in :mod:`netprobe.probes.mda`. Where it wants more
than ``MAX_FLOWS``, no more are sent, and the result says for which hop (:class:`.hops.UnprovenWidth`).

What the hops said, and how it is reported, is in :mod:`netprobe.probes.hops`; routing loops are in
:mod:`netprobe.probes.routing_loop`. One that goes round three times ends the trace. ``Observation.values``
holds it for programs.

Reads ``Probe.port`` (udp: 0 means 33434; tcp needs one; icmp has none), ``Probe.timeout_ns`` (the whole
conversation) and the options ``transport`` (``udp``, ``tcp`` or ``icmp``; default udp), ``patience``
(milliseconds for one packet, default 500), ``hops`` (the largest TTL, default 30), ``flows`` (asked at
least, default 6) and ``dscp`` (:mod:`netprobe.probes.packet_options`).

Rule: no socket, no clock, no randomness in here. Time arrives inside events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from netprobe.errors import InputError, MisuseError
from netprobe.model.check import Probe
from netprobe.model.outcome import NotMeasured, Outcome, Reached, Refused, Rejected, TimedOut, WrongPeer
from netprobe.model.prose import Prose
from netprobe.model.units import SECOND_NS
from netprobe.probes.conversation import Finish, ProbeStarted, WakeAt, Woke, patience_ms
from netprobe.probes.hops import Ended, Expired, Hop, format_hops, format_last_answer
from netprobe.probes.kind import PacketDriver, ProbeKind
from netprobe.probes.mda import MAX_FLOWS, count_flows_needed
from netprobe.probes.observation import Observation, make_facts
from netprobe.probes.packet_options import DSCP, packet_options_of
from netprobe.probes.rejection import EXPIRED
from netprobe.probes.routing_loop import ROUNDS_TO_END, RoutingLoop, find_loop, write_loop

DEFAULT_FLOWS = count_flows_needed(1)
"""Asked at every hop; more where several next hops are seen."""
TRIES = 2
MAX_SILENT_HOPS = 4
"""In a row; after so many, the trace ends."""
DEFAULT_HOPS = 30
DEFAULT_UDP_PORT = 33_434
TRANSPORTS = ("udp", "tcp", "icmp")


@dataclass(frozen=True, slots=True)
class TraceSpec:
    """How it is traced."""

    patience_ns: int
    timeout_ns: int
    max_ttl: int = DEFAULT_HOPS
    least_flows: int = DEFAULT_FLOWS


@dataclass(frozen=True, slots=True)
class SendPacket:
    """Send one packet of *flow* with this TTL."""

    flow: int
    ttl: int


Command: TypeAlias = SendPacket | WakeAt | Finish


Event: TypeAlias = ProbeStarted | Expired | Ended | Woke


_BEFORE_THE_FIRST = Hop(0, (), 0, 0)


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known so far."""

    spec: TraceSpec
    began_ns: int | None = None
    hops: tuple[Hop, ...] = ()
    now: Hop = _BEFORE_THE_FIRST
    """The hop under question."""
    waiting: tuple[int, ...] = ()
    tries: int = 0
    sent_ns: int = 0
    is_over: bool = False


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    transport = probe.option("transport", "udp")
    if transport not in TRANSPORTS:
        raise InputError(f"{transport!r} is none of {', '.join(TRANSPORTS)}", where="options.transport")
    if transport == "icmp" and probe.port:
        raise InputError(f"port {probe.port}: an ICMP trace has none", where="port")
    least = 1 if transport == "tcp" else 0
    if not least <= probe.port <= 65535:
        raise InputError(f"port {probe.port} is not within 1–65535", where="port")
    if probe.size:
        raise InputError(f"size {probe.size}: trace chooses its own packet sizes", where="size")
    hops = probe.option("hops", str(DEFAULT_HOPS))
    if not hops.isdecimal() or not 1 <= int(hops) <= 64:
        raise InputError(f"{hops!r} is not within 1–64", where="options.hops")
    flows = probe.option("flows", str(DEFAULT_FLOWS))
    if not flows.isdecimal() or not 1 <= int(flows) <= MAX_FLOWS:
        raise InputError(f"{flows!r} is not within 1–{MAX_FLOWS}", where="options.flows")
    patience_ms(probe)
    packet_options_of(probe)


def begin(probe: Probe) -> Trace:
    """The machine before anything happened."""
    hops = int(probe.option("hops", str(DEFAULT_HOPS)))
    flows = int(probe.option("flows", str(DEFAULT_FLOWS)))
    return Trace(TraceSpec(patience_ms(probe) * 1_000_000, probe.timeout_ns, hops, flows))


def step(state: Trace, event: Event) -> tuple[Trace, tuple[Command, ...]]:  # noqa: PLR0911 - one per event
    """Advance the trace by one event; return what the driver must do next."""
    if state.is_over:
        return state, ()
    if isinstance(event, ProbeStarted):
        if state.began_ns is not None:
            raise MisuseError("a trace starts once")
        return _next_hop(replace(state, began_ns=event.at_ns), event.at_ns)
    assert state.began_ns is not None
    if event.at_ns - state.began_ns >= state.spec.timeout_ns:
        return _finish(replace(state, hops=(*state.hops, state.now)), is_late=True)
    match event:
        case Expired(flow, ttl, sender) if ttl == state.now.ttl and flow in state.waiting:
            return _heard(state, replace(state.now, senders=(*state.now.senders, (flow, sender))), event)
        case Ended(flow, ttl) if ttl == state.now.ttl and flow in state.waiting:
            return _heard(state, replace(state.now, ends=(*state.now.ends, (flow, event))), event)
        case Woke(at_ns) if at_ns >= state.sent_ns + state.spec.patience_ns:
            if state.tries < TRIES:
                return _send(state, state.waiting, at_ns)
            return _round_over(replace(state, waiting=()), at_ns)
        case _:
            return state, ()  # late, duplicate or foreign: no news


def _heard(state: Trace, now: Hop, heard: Expired | Ended) -> tuple[Trace, tuple[Command, ...]]:
    rtt_ns = max(1, heard.at_ns - state.sent_ns)
    now = replace(
        now,
        rtt_ns=rtt_ns if now.rtt_ns is None else min(now.rtt_ns, rtt_ns),
        rewritten=tuple(sorted({*now.rewritten, *heard.rewritten})),
    )
    left = tuple(one for one in state.waiting if one != heard.flow)
    state = replace(state, now=now, waiting=left)
    return (state, ()) if left else _round_over(state, heard.at_ns)


def _round_over(state: Trace, at_ns: int) -> tuple[Trace, tuple[Command, ...]]:
    """Enough flows here? Else ask more; then the next hop, or the end."""
    hop = state.now
    enough = max(min(hop.flows_needed, MAX_FLOWS), state.spec.least_flows)
    if hop.asked < enough and not hop.is_silent:
        more = tuple(range(hop.asked, enough))
        return _send(replace(state, now=replace(hop, asked=enough), tries=0), more, at_ns)
    state = replace(state, hops=(*state.hops, hop))
    silent = len(state.hops) >= MAX_SILENT_HOPS and all(h.is_silent for h in state.hops[-MAX_SILENT_HOPS:])
    is_over = (hop.ends and not hop.senders) or silent or hop.ttl >= state.spec.max_ttl
    if is_over or find_loop(state.hops, rounds=ROUNDS_TO_END) is not None:
        return _finish(state, is_late=False)
    return _next_hop(state, at_ns)


def _next_hop(state: Trace, at_ns: int) -> tuple[Trace, tuple[Command, ...]]:
    """Ask at least as many flows as the hop before: they must be told apart there, too."""
    flows = max(state.spec.least_flows, state.now.asked)
    state = replace(state, now=Hop(state.now.ttl + 1, (), flows, 0), tries=0)
    return _send(state, tuple(range(flows)), at_ns)


def _send(state: Trace, flows: tuple[int, ...], at_ns: int) -> tuple[Trace, tuple[Command, ...]]:
    now = replace(state.now, sent=state.now.sent + len(flows))
    state = replace(state, now=now, waiting=flows, tries=state.tries + 1, sent_ns=at_ns)
    sends = tuple(SendPacket(flow, now.ttl) for flow in flows)
    return state, (WakeAt(at_ns + state.spec.patience_ns), *sends)


def _finish(state: Trace, *, is_late: bool) -> tuple[Trace, tuple[Command, ...]]:
    return replace(state, is_over=True), (Finish(conclude(state, is_late=is_late)),)


def conclude(state: Trace, *, is_late: bool = False) -> Observation:
    """Outcome of the target, and every hop as a line of facts.

    Where no flow arrived and one goes round in a loop, the outcome is ``Rejected`` by the loop's first hop
    that answers, as any packet would be: its TTL runs out there.
    """
    ends = [ended for hop in state.hops for _, ended in hop.ends]
    loop = find_loop(state.hops)
    facts = make_facts(format_hops(state.hops, loop_from=loop.first_ttl + 2 * len(loop.hops) if loop else 0))
    values: tuple[str, ...] = ()
    if loop is not None:
        facts, values = (("loop", Prose(str(loop))), *facts), (write_loop(loop),)
    if not ends:
        outcome, detail = _judge_silence(state, loop, is_late=is_late)
        return Observation(outcome, facts=facts, detail=detail, values=values)
    best = next((one for one in ends if isinstance(one.outcome, Reached | WrongPeer)), ends[0])
    arrived = isinstance(best.outcome, Reached | WrongPeer | Refused)
    rtt_ns = min(hop.rtt_ns for hop in state.hops if hop.ends and hop.rtt_ns is not None)
    outcome = Reached(rtt_ns) if arrived and not isinstance(best.outcome, WrongPeer) else best.outcome
    return Observation(outcome, best.answered_by, best.observed_source, facts=facts, values=values)


def _judge_silence(state: Trace, loop: RoutingLoop | None, *, is_late: bool) -> tuple[Outcome, Prose]:
    """What it means that no flow arrived."""
    if loop is not None:
        sender = next(hop for hop in loop.hops if hop)
        return Rejected(sender, *EXPIRED[6 if ":" in sender else 4]), Prose(str(loop))
    if is_late:
        why = Prose("the time was up before the target answered")
        return NotMeasured(why), why
    return TimedOut(state.spec.patience_ns), Prose(format_last_answer(state.hops))


KIND = ProbeKind(
    name="trace",
    driver=PacketDriver(),
    validate=validate,
    options=("transport", "patience", "hops", "flows", DSCP),
    default_timeout_ns=45 * SECOND_NS,
    has_port=lambda options: options.get("transport") != "icmp",
    asks_agent_port=True,
    host_tools=("traceroute",),
)
