"""``pmtu``: the largest packet that passes, each direction on its own, with the responder's help.

A STAMP answer has the size of its request, and its counter tells how many requests arrived. So one size has
one of three endings: answered (it passes both ways), lost but counted (it passes out, not back), lost and not
counted (it does not pass out). A small request, the control packet, fetches the counter, and with it the MTU
that a router has reported to the responder about an answer: routers report to the sender of a packet only.
Sizes are whole IP packets with DF; the search bisects between a base of 1200 bytes (1280 for IPv6, its least
MTU: RFC 8200, section 5) and what is asked, three tries a size (RFC 8899, sections 5.1.2 and 5.3).

::

    Ready ── ProbeStarted ──▶ Contacting ── first answer ──▶ Searching ── both directions known ──▶ Over
                                  │ rejected, or no answer to three control packets    │ time is up,
                                  └──────────────────────▶ Over ◀──────────────────────┘ or silence

Reads ``Probe.port`` (an agent's), ``Probe.size`` (the largest size tried; 0 means 1500), ``Probe.timeout_ns``
(the whole conversation) and the option ``patience`` (milliseconds for one packet, default 500).

Rule: no socket, no clock, no randomness in here. Time arrives inside events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from netprobe.errors import InputError, MisuseError
from netprobe.model.check import Probe
from netprobe.model.outcome import NotMeasured, Outcome, Reached, TimedOut
from netprobe.model.prose import Prose
from netprobe.model.units import SECOND_NS
from netprobe.probes.conversation import Finish, ProbeStarted, WakeAt, Woke, patience_ms
from netprobe.probes.kind import PacketDriver, ProbeKind
from netprobe.probes.observation import Observation, make_facts
from netprobe.probes.pmtu_sizes import Sizes, choose_size, complain, format_sizes
from netprobe.wire import stamp

TRIES = 3
BASE = {4: 1_200, 6: 1_280}
DEFAULT_LARGEST = 1_500
_HEADERS = {4: 28, 6: 48}


@dataclass(frozen=True, slots=True)
class PmtuSpec:
    """What is searched."""

    version: int
    largest: int
    patience_ns: int
    timeout_ns: int

    @property
    def smallest(self) -> int:
        """The control packet: the smallest STAMP packet."""
        return _HEADERS[self.version] + stamp.MIN_BYTES


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Send a request of *size* bytes (whole packet) with this sequence number."""

    sequence: int
    size: int


Command: TypeAlias = SendRequest | WakeAt | Finish


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """A proven answer."""

    sequence: int
    received_count: int
    at_ns: int
    answered_by: str = ""
    reported_mtu: int = 0
    """What a router reported to the responder about the way back; 0 for nothing."""


@dataclass(frozen=True, slots=True)
class PacketTooBig:
    """A router said that a packet of ours is too big (RFC 1191, RFC 8201)."""

    mtu: int
    sender: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class LocalTooBig:
    """Our own host refused to send it: larger than its own interface passes."""

    sequence: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class RequestRejected:
    """Another ICMP error, or our own host's routing."""

    outcome: Outcome
    at_ns: int


Event: TypeAlias = ProbeStarted | RequestAnswered | PacketTooBig | LocalTooBig | RequestRejected | Woke


@dataclass(frozen=True, slots=True)
class NewestPacket:
    """The newest packet."""

    sequence: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Nothing was sent yet."""

    spec: PmtuSpec


@dataclass(frozen=True, slots=True)
class Contacting:
    """Control packets are out; none was answered yet."""

    spec: PmtuSpec
    began_ns: int
    sizes: Sizes
    sent: NewestPacket
    controls: int
    """How many were sent."""


@dataclass(frozen=True, slots=True)
class AnsweringPeer:
    """Who answers, and what its counter says."""

    name: str
    rtt_ns: int
    """Of the first answer."""
    count: int
    """The responder's counter in its newest answer."""
    since: int = 0
    """Requests sent after the one that was answered so."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A size under trial."""

    size: int
    sequence: int
    """Of its newest request."""
    tries: int = 0
    """Requests of this size that went unanswered."""
    controls: int = 0
    """Control packets sent since the newest."""
    has_arrived: bool = False
    """Whether a request of this size was counted, though not answered."""


@dataclass(frozen=True, slots=True)
class Searching:
    """The responder answers; sizes are tried one after the other."""

    spec: PmtuSpec
    began_ns: int
    sizes: Sizes
    sent: NewestPacket
    responder: AnsweringPeer
    trial: Trial


@dataclass(frozen=True, slots=True)
class Over:
    """The search has ended."""

    seen: Observation
    sizes: Sizes


PmtuSearch: TypeAlias = Ready | Contacting | Searching | Over
Step: TypeAlias = tuple[PmtuSearch, tuple[Command, ...]]


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    if not 1 <= probe.port <= 65535:
        raise InputError(f"port {probe.port} is not within 1–65535", where="port")
    if probe.size and not BASE[6] <= probe.size <= stamp.MAX_BYTES:
        raise InputError(f"size {probe.size} is not 0 or within {BASE[6]}–{stamp.MAX_BYTES}", where="size")
    patience_ms(probe)


def begin(probe: Probe, *, version: int) -> PmtuSearch:
    """The machine before anything happened."""
    patience_ns = patience_ms(probe) * 1_000_000
    return Ready(PmtuSpec(version, probe.size or DEFAULT_LARGEST, patience_ns, probe.timeout_ns))


def step(state: PmtuSearch, event: Event) -> Step:
    """Advance the search by one event; return what the driver must do next."""
    match state, event:
        case Over(), _:
            return state, ()
        case Ready(spec), ProbeStarted(at_ns):
            sizes = Sizes.unknown(smallest=spec.smallest, base=BASE[spec.version], largest=spec.largest)
            return _contact(Contacting(spec, at_ns, sizes, NewestPacket(0, at_ns), 0), at_ns)
        case Contacting() | Searching(), ProbeStarted():
            raise MisuseError("a search starts once")
        case Contacting() | Searching(), _ if event.at_ns - state.began_ns >= state.spec.timeout_ns:
            return _run_out_of_time(state)
        case Contacting(), _:
            return _step_contacting(state, event)
        case Searching(), _:
            return _step_searching(state, event)
        case _:
            raise MisuseError("a search begins with ProbeStarted")


def _step_contacting(state: Contacting, event: Event) -> Step:
    match event:
        case RequestAnswered():
            state = replace(state, sizes=state.sizes.hear_back(event.reported_mtu))
            return _begin_search(state, event) if event.sequence == state.sent.sequence else (state, ())
        case RequestRejected(outcome, _):
            return _end_unreachable(state, outcome)
        case Woke(at_ns) if at_ns >= state.sent.at_ns + state.spec.patience_ns:
            if state.controls < TRIES:
                return _contact(state, at_ns)
            return _end_unreachable(state, TimedOut(TRIES * state.spec.patience_ns))
        case _:
            return state, ()  # late, duplicate or foreign: no news


def _contact(state: Contacting, at_ns: int) -> Step:
    sent, commands = _send(state.sent, state.spec, state.spec.smallest, at_ns)
    return replace(state, sent=sent, controls=state.controls + 1), commands


def _begin_search(state: Contacting, answer: RequestAnswered) -> Step:
    """The first answer shows the round trip, so patience can fit the path."""
    rtt_ns = max(1, answer.at_ns - state.sent.at_ns)
    patience_ns = min(state.spec.patience_ns, max(100_000_000, 4 * rtt_ns))
    spec = replace(state.spec, patience_ns=patience_ns)
    sizes = replace(state.sizes, out_passes=spec.smallest, back_passes=spec.smallest)
    responder = AnsweringPeer(answer.answered_by, rtt_ns, answer.received_count)
    trial = Trial(spec.smallest, answer.sequence)  # the control packet itself: the smallest size passes
    return _try_next(Searching(spec, state.began_ns, sizes, state.sent, responder, trial), answer.at_ns)


def _step_searching(state: Searching, event: Event) -> Step:
    trial = state.trial
    match event:
        case RequestAnswered():
            return _take_answer(state, event)
        case PacketTooBig(mtu, sender, at_ns) if (
            68 <= mtu < trial.size
        ):  # it can be about the packet on trial
            sizes = replace(state.sizes.fail_out(trial.size).fail_out(mtu + 1), reported=(mtu, sender))
            return _try_next(replace(state, sizes=sizes), at_ns)
        case LocalTooBig(sequence, at_ns) if sequence == trial.sequence:
            sizes = replace(state.sizes.fail_out(trial.size), own_limit=trial.size)
            return _try_next(replace(state, sizes=sizes), at_ns)
        case Woke(at_ns) if at_ns >= state.sent.at_ns + state.spec.patience_ns:
            if trial.controls < TRIES:
                return _send_control(state, at_ns)
            return _end_unfinished(state, "even small packets went unanswered half-way")
        case _:
            return state, ()  # late, duplicate or foreign: no news


def _take_answer(state: Searching, answer: RequestAnswered) -> Step:
    sizes, trial, responder = state.sizes.hear_back(answer.reported_mtu), state.trial, state.responder
    state = replace(state, sizes=sizes)
    if answer.sequence == trial.sequence:
        responder = replace(
            responder, count=max(responder.count, answer.received_count),
            since=state.sent.sequence - answer.sequence,
        )  # fmt: skip
        return _try_next(replace(state, responder=responder, sizes=sizes.pass_both(trial.size)), answer.at_ns)
    if answer.sequence != state.sent.sequence:
        return state, ()
    return _take_control(state, answer)


def _take_control(state: Searching, answer: RequestAnswered) -> Step:
    """A control packet was answered, the request before it not: the counter shows whether that arrived."""
    sizes, trial, responder = state.sizes, state.trial, state.responder
    counted = answer.received_count - responder.count - 1
    is_every_request_counted = counted >= responder.since - 1
    has_arrived = trial.has_arrived or (counted > 0 and (is_every_request_counted or trial.controls == 1))
    trial = replace(trial, tries=trial.tries + 1, has_arrived=has_arrived)
    responder = replace(responder, count=answer.received_count, since=0)
    state = replace(state, responder=responder, trial=trial)
    is_reported = has_arrived and trial.size >= sizes.back_fails
    if trial.tries < TRIES and not is_reported:
        return _try(state, trial.size, answer.at_ns, tries=trial.tries, has_arrived=has_arrived)
    failed = sizes.fail_back(trial.size) if has_arrived else sizes.fail_out(trial.size)
    return _try_next(replace(state, sizes=failed), answer.at_ns)


def _try_next(state: Searching, at_ns: int) -> Step:
    size = choose_size(state.sizes)
    if size is None:
        return _end_found(state)
    return _try(state, size, at_ns, tries=0, has_arrived=False)


def _try(state: Searching, size: int, at_ns: int, *, tries: int, has_arrived: bool) -> Step:
    trial = Trial(size, state.sent.sequence + 1, tries, has_arrived=has_arrived)
    return _send_request(replace(state, trial=trial), size, at_ns)


def _send_control(state: Searching, at_ns: int) -> Step:
    trial = replace(state.trial, controls=state.trial.controls + 1)
    return _send_request(replace(state, trial=trial), state.spec.smallest, at_ns)


def _send_request(state: Searching, size: int, at_ns: int) -> Step:
    sent, commands = _send(state.sent, state.spec, size, at_ns)
    responder = replace(state.responder, since=state.responder.since + 1)
    return replace(state, sent=sent, responder=responder), commands


def _send(
    sent: NewestPacket, spec: PmtuSpec, size: int, at_ns: int
) -> tuple[NewestPacket, tuple[Command, ...]]:
    newest = NewestPacket(sent.sequence + 1, at_ns)
    return newest, (SendRequest(newest.sequence, size), WakeAt(at_ns + spec.patience_ns))


def _run_out_of_time(state: Contacting | Searching) -> Step:
    match state:
        case Contacting():
            return _end_unreachable(state, TimedOut(state.spec.timeout_ns))
        case Searching():
            return _end_unfinished(state, "the time was up before the search was done")


def _end_unreachable(state: Contacting, outcome: Outcome) -> Step:
    facts = make_facts((("forward", "unreachable"), ("back", "unreachable")))
    return _end(Observation(outcome, facts=facts), state.sizes)


def _end_unfinished(state: Searching, reason: str) -> Step:
    facts = make_facts(format_sizes(state.sizes))
    return _end(Observation(NotMeasured(Prose(reason)), state.responder.name, facts=facts), state.sizes)


def _end_found(state: Searching) -> Step:
    """Both directions are known: each is ``ok``, ``reduced`` or a ``blackhole``."""
    sizes, responder = state.sizes, state.responder
    facts = make_facts(format_sizes(sizes))
    if sizes.is_blackhole_out or sizes.is_blackhole_back:
        outcome, detail = TimedOut(state.spec.patience_ns), Prose(complain(sizes))
        return _end(Observation(outcome, responder.name, detail=detail, facts=facts), sizes)
    return _end(Observation(Reached(responder.rtt_ns), responder.name, facts=facts), sizes)


def _end(seen: Observation, sizes: Sizes) -> Step:
    return Over(seen, sizes), (Finish(seen),)


KIND = ProbeKind(
    name="pmtu",
    driver=PacketDriver(),
    validate=validate,
    options=("patience",),
    default_timeout_ns=30 * SECOND_NS,
    asks_agent_port=True,
)
