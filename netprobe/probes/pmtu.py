"""``pmtu``: the largest packet that passes, each direction on its own, with the responder's help.

A STAMP answer has the size of its request, and its counter tells how many requests arrived. So one size has
one of three endings: answered (it passes both ways), lost but counted (it passes out, not back), lost and not
counted (it does not pass out). A small request, the witness, fetches the counter, and with it the MTU that a
router has told the responder about an answer: only the sender of a packet is told. Sizes are whole IP packets
with DF; the search bisects between a base of 1200 bytes (1280 for IPv6, its least MTU: RFC 8200, section 5)
and what is asked, three tries a size (RFC 8899, sections 5.1.2 and 5.3).

Reads ``Probe.port`` (an agent's), ``Probe.size`` (the largest size tried; 0 means 1500), ``Probe.timeout_ns``
(the whole conversation) and the option ``patience`` (milliseconds for one packet, default 500).

Rule: no socket, no clock, no randomness in here. Time arrives inside events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from netprobe.errors import InputError, MisuseError
from netprobe.model.check import Probe
from netprobe.model.outcome import NotMeasured, Outcome, Reached, TimedOut
from netprobe.probes.conversation import Finish, ProbeStarted, WakeAt, Woke, patience_ms
from netprobe.probes.kind import SECOND_NS, PacketDriver, ProbeKind
from netprobe.probes.observation import Observation
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
        """The witness: the smallest STAMP packet."""
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
    told_mtu: int = 0
    """What a router told the responder about the way back; 0 for nothing."""


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
class PmtuSearch:
    """What is known so far. ``*_passes`` are sizes known to pass, ``*_fails`` the least known not to."""

    spec: PmtuSpec
    began_ns: int = 0
    sequence: int = 0
    size: int = 0
    """The size on trial; the smallest while the first witness is out."""
    tries: int = 0
    """Requests of this size that went unanswered."""
    witnesses: int = 0
    """Witnesses sent since that request."""
    trial: int = 0
    """Sequence number of the request on trial."""
    sent_ns: int = 0
    count: int = 0
    """The responder's counter in its newest answer."""
    since: int = 0
    """Requests sent after that answer."""
    out_passes: int = 0
    out_fails: int = 0
    back_passes: int = 0
    back_fails: int = 0
    arrived: bool = False
    """Whether a request of this size was counted, though not answered."""
    told: tuple[int, str] | None = None
    told_back: int | None = None
    """The MTU that a router on the way back told the responder."""
    own_limit: int | None = None
    """The smallest size that our own host refused to send."""
    rtt_ns: int = 0
    answered_by: str = ""
    is_over: bool = False


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    if not 1 <= probe.port <= 65535:
        raise InputError(f"port {probe.port} is not within 1–65535", where="port")
    if probe.size and not BASE[6] <= probe.size <= stamp.MAX_BYTES:
        raise InputError(f"size {probe.size} is not 0 or within {BASE[6]}–{stamp.MAX_BYTES}", where="size")
    patience_ms(probe)


def begin(probe: Probe, *, version: int) -> PmtuSearch:
    """The machine before anything happened."""
    largest = probe.size or DEFAULT_LARGEST
    spec = PmtuSpec(version, largest, patience_ms(probe) * 1_000_000, probe.timeout_ns)
    return PmtuSearch(spec, out_fails=largest + 1, back_fails=largest + 1)


def step(state: PmtuSearch, event: Event) -> tuple[PmtuSearch, tuple[Command, ...]]:  # noqa: PLR0911 - one per event
    """Advance the search by one event; return what the driver must do next."""
    if state.is_over:
        return state, ()
    if not isinstance(event, ProbeStarted) and event.at_ns - state.began_ns >= state.spec.timeout_ns:
        return _finish(state, "the time was up before the search was done")
    match event:
        case ProbeStarted(at_ns):
            if state.sequence:
                raise MisuseError("a search starts once")
            return _witness(replace(state, began_ns=at_ns), at_ns)
        case RequestAnswered():
            return _answered(state, event)
        case PacketTooBig(mtu, sender, at_ns):
            return _told(state, mtu, sender, at_ns)
        case LocalTooBig(sequence, at_ns) if sequence == state.trial:
            return _next(replace(_fail_out(state), own_limit=state.size), at_ns)
        case RequestRejected(outcome, _) if not state.count:
            return _finish(state, "", outcome)
        case Woke(at_ns) if at_ns >= state.sent_ns + state.spec.patience_ns:
            return _silence(state, at_ns)
        case _:
            return state, ()  # late, duplicate or foreign: no news


def _answered(state: PmtuSearch, answer: RequestAnswered) -> tuple[PmtuSearch, tuple[Command, ...]]:
    if 0 < answer.told_mtu < state.back_fails:
        state = replace(state, told_back=answer.told_mtu, back_fails=answer.told_mtu + 1)
    if answer.sequence == state.trial and state.trial:
        state = replace(
            state, count=max(state.count, answer.received_count), since=state.sequence - answer.sequence,
            out_passes=max(state.out_passes, state.size), back_passes=max(state.back_passes, state.size),
        )  # fmt: skip
        return _next(state, answer.at_ns)
    if answer.sequence != state.sequence:
        return state, ()
    if not state.count:  # the first witness: it tells the round trip, so patience can fit the path
        rtt_ns = max(1, answer.at_ns - state.sent_ns)
        patience_ns = min(state.spec.patience_ns, max(100_000_000, 4 * rtt_ns))
        state = replace(
            state, spec=replace(state.spec, patience_ns=patience_ns), rtt_ns=rtt_ns,
            answered_by=answer.answered_by, count=answer.received_count, since=0,
            out_passes=state.spec.smallest, back_passes=state.spec.smallest,
        )  # fmt: skip
        return _next(state, answer.at_ns)
    between = answer.received_count - state.count - 1
    sure = between >= state.since - 1  # everything we sent since the last answer was counted
    arrived = state.arrived or (between > 0 and (sure or state.witnesses == 1))
    state = replace(state, count=answer.received_count, since=0, arrived=arrived, tries=state.tries + 1)
    is_told = arrived and state.size >= state.back_fails
    if state.tries < TRIES and not is_told:
        return _try(state, state.size, answer.at_ns)
    return _next(_fail_back(state) if arrived else _fail_out(state), answer.at_ns)


def _told(state: PmtuSearch, mtu: int, sender: str, at_ns: int) -> tuple[PmtuSearch, tuple[Command, ...]]:
    """Believed only if it can be about the packet on trial; the MTU told is then tried itself."""
    if not state.trial or not 68 <= mtu < state.size:
        return state, ()
    state = _fail_out(replace(state, told=(mtu, sender)))
    return _next(replace(state, out_fails=min(state.out_fails, mtu + 1)), at_ns)


def _silence(state: PmtuSearch, at_ns: int) -> tuple[PmtuSearch, tuple[Command, ...]]:
    if state.witnesses >= TRIES:
        if state.count:
            return _finish(state, "even small packets went unanswered half-way")
        return _finish(state, "", TimedOut(TRIES * state.spec.patience_ns))
    return _witness(state, at_ns)


def _next(state: PmtuSearch, at_ns: int) -> tuple[PmtuSearch, tuple[Command, ...]]:
    size = choose(state)
    if size is None:
        return _finish(state, "")
    return _try(replace(state, tries=0, arrived=False), size, at_ns)


def choose(state: PmtuSearch) -> int | None:
    """The next size to try, or None where both directions are known to the byte.

    The largest size comes first (most paths are sound), then the base, then halves; the way back is searched
    below what arrives.
    """
    spec, base = state.spec, BASE[state.spec.version]
    if state.out_passes == spec.smallest and state.out_fails == spec.largest + 1:
        return spec.largest
    if state.told and state.out_passes < state.told[0] == state.out_fails - 1:
        return state.told[0]
    if state.told_back and state.back_passes < state.told_back == state.back_fails - 1 < state.out_passes:
        return state.told_back
    for passes, fails in (
        (state.out_passes, state.out_fails),
        (state.back_passes, min(state.back_fails, state.out_passes + 1)),
    ):
        if fails - passes > 1:
            return base if passes < base < fails else (passes + fails) // 2
    return None


def _try(state: PmtuSearch, size: int, at_ns: int) -> tuple[PmtuSearch, tuple[Command, ...]]:
    return _send(replace(state, size=size, trial=state.sequence + 1, witnesses=0), size, at_ns)


def _witness(state: PmtuSearch, at_ns: int) -> tuple[PmtuSearch, tuple[Command, ...]]:
    return _send(replace(state, witnesses=state.witnesses + 1), state.spec.smallest, at_ns)


def _send(state: PmtuSearch, size: int, at_ns: int) -> tuple[PmtuSearch, tuple[Command, ...]]:
    state = replace(state, sequence=state.sequence + 1, since=state.since + 1, sent_ns=at_ns)
    return state, (SendRequest(state.sequence, size), WakeAt(at_ns + state.spec.patience_ns))


def _fail_out(state: PmtuSearch) -> PmtuSearch:
    return replace(state, out_fails=min(state.out_fails, state.size))


def _fail_back(state: PmtuSearch) -> PmtuSearch:
    return replace(
        state, back_fails=min(state.back_fails, state.size), out_passes=max(state.out_passes, state.size)
    )


def _finish(
    state: PmtuSearch, trouble: str, outcome: Outcome | None = None
) -> tuple[PmtuSearch, tuple[Command, ...]]:
    return replace(state, is_over=True), (Finish(conclude(state, trouble, outcome)),)


def conclude(state: PmtuSearch, trouble: str, outcome: Outcome | None = None) -> Observation:
    """What the search found, in the words ``ok``, ``reduced``, ``blackhole`` and ``unreachable``."""
    if not state.count:
        unreachable = (("forward", "unreachable"), ("back", "unreachable"))
        return Observation(outcome or TimedOut(state.spec.timeout_ns), facts=unreachable)
    facts = tuple(_facts(state))
    if trouble:
        return Observation(NotMeasured(trouble), state.answered_by, facts=facts)
    if is_blackhole_out(state) or is_blackhole_back(state):
        return Observation(
            TimedOut(state.spec.patience_ns), state.answered_by, detail=_complaint(state), facts=facts
        )
    return Observation(Reached(state.rtt_ns), state.answered_by, facts=facts)


def is_blackhole_out(state: PmtuSearch) -> bool:
    """Whether larger packets vanish on the way out and nobody says so."""
    silent_above = state.out_passes < state.out_fails - 1 or state.out_passes < state.spec.largest
    told_right = state.told is not None and state.told[0] == state.out_passes
    return silent_above and not told_right and not is_own_limit(state)


def is_own_limit(state: PmtuSearch) -> bool:
    """Whether our own host, not the network, keeps larger packets back."""
    return state.own_limit is not None and state.out_passes == state.own_limit - 1


def is_blackhole_back(state: PmtuSearch) -> bool:
    """Whether what arrived larger did not come back, and nobody told the responder why."""
    return state.back_passes < state.out_passes and not is_reduced_back(state)


def is_reduced_back(state: PmtuSearch) -> bool:
    """Whether a router on the way back told the responder just what passes."""
    return state.told_back is not None and state.told_back == state.back_passes < state.out_passes


def _facts(state: PmtuSearch) -> Iterator[tuple[str, str]]:
    out, back = state.out_passes, state.back_passes
    if is_blackhole_out(state):
        yield "forward", f"blackhole: {out} bytes pass, larger ones vanish and nobody says so"
    elif state.told is not None:
        yield "forward", f"reduced: {out} bytes pass, as {state.told[1]} says; path MTU discovery works"
    elif is_own_limit(state):
        yield "forward", f"ok: {out} bytes pass, all that this host's own interface lets out"
    else:
        yield "forward", f"ok: {out} bytes pass, the largest tried"
    if is_blackhole_back(state):
        yield "back", f"blackhole: {back} bytes pass, larger ones arrive there and do not come back"
    elif is_reduced_back(state):
        yield "back", f"reduced: {back} bytes pass, as a router tells the far end; path MTU discovery works"
    else:
        yield "back", f"ok: {back} bytes pass, as many as arrive there"


def _complaint(state: PmtuSearch) -> str:
    parts = []
    if is_blackhole_out(state):
        parts.append(f"blackhole forward above {state.out_passes} bytes")
    if is_blackhole_back(state):
        parts.append(f"blackhole back above {state.back_passes} bytes")
    return ", ".join(parts)


KIND = ProbeKind(
    name="pmtu",
    driver=PacketDriver(),
    validate=validate,
    options=("patience",),
    default_timeout_ns=30 * SECOND_NS,
    asks_agent_port=True,
)
