"""The in-flight table: matches responses to probes and counts each check's outcomes per interval. Pure.

Rules:

- a response counts in the interval in which its probe was *sent*;
- every probe ends in exactly one outcome; a probe that is still open when its window closes has timed out,
  unless this agent could not have seen the response: then it is not measured;
- sequence numbers rise by one per probe of a check that really left, to match the responder's counter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from netprobe.errors import MisuseError
from netprobe.model.check import Check
from netprobe.model.names import CheckId
from netprobe.model.outcome import NotMeasured, Outcome, OutcomeKind, Reached, Rejected, TimedOut, WrongPeer
from netprobe.model.prose import NO_PROSE, Prose
from netprobe.model.window import Histogram, Window
from netprobe.probes.direction import Anchor, DirectionalLoss, split_losses
from netprobe.probes.observation import Observation
from netprobe.probes.repeats import note_repeat

MAX_DETAIL = 200
MAX_REFUSED = 1_000
"""Refusals after a session's last response that are kept to attribute its losses to a direction."""
_ANSWERS = (Reached, WrongPeer)
_NO_LOSS = DirectionalLoss()
_make = tuple.__new__


class CheckCounters(Struct):
    """Counts of one check in one interval; a struct, as `PendingProbe` is: one is made per check."""

    check: Check
    sent: int = 0
    outcomes: dict[OutcomeKind, int] = {}
    rtts_ns: list[int] = []
    observed_source: str = ""
    answered_by: str = ""
    seen: list[Observation] | None = None
    """Every observation, where the interval keeps them."""
    places: dict[int, int] = {}
    """Of those: sequence number to its place in *seen*."""
    newest: int = 0
    """Its highest sequence number."""
    lost_out: int = 0
    words: Prose = NO_PROSE
    rejection: Rejected | None = None
    silence: Observation | None = None
    """What a stream probe observed of its own time-out; kept if the time-out stands."""

    def count(self, seen: Observation) -> None:
        """Add one finished probe."""
        outcome, answered_by, observed_source, _, lost_out, _, detail, *_ = seen
        kind = outcome.kind
        self.outcomes[kind] = self.outcomes.get(kind, 0) + 1
        if isinstance(outcome, Reached):
            self.rtts_ns.append(outcome.rtt_ns)
            self.words = detail or self.words
        else:
            self.words = seen.words or self.words
            self.lost_out += lost_out
            if isinstance(outcome, Rejected):
                self.rejection = outcome
        self.observed_source = observed_source or self.observed_source
        self.answered_by = answered_by or self.answered_by
        if self.seen is not None:
            self.seen.append(seen)

    @property
    def is_settled(self) -> bool:
        """Whether every probe has its outcome."""
        return self.sent == sum(self.outcomes.values())


class PendingProbe(Struct, eq=False):
    """A probe that waits for its answer."""

    check: Check
    sequence: int
    sent_ns: int
    """Monotonic; set when it really leaves."""
    counters: CheckCounters
    """Where it counts."""
    session: SequenceState
    """Of its check."""
    values: tuple[str, ...] = ()
    """What is known of the probe beside its answer, for its observation."""
    elsewhere: Observation | None = None
    """What an answer said that came from an address that was not asked; it counts if no other comes."""

    @property
    def deadline_ns(self) -> int:
        """Until when an answer counts."""
        return self.sent_ns + self.check.probe.timeout_ns


Doubt = Callable[[PendingProbe], NotMeasured | None]
"""Why a loss cannot be believed, or None."""


@dataclass(slots=True)
class SequenceState:
    """The state of one check that outlives its intervals."""

    last_sequence: int = 0
    waiting: dict[int, PendingProbe] = field(default_factory=dict)
    """Open probes by sequence number."""
    anchors: list[Anchor] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    answered: int = 0
    """Sequence number of the probe that was answered last."""
    repeats: int = 0
    """Answers to it that came once more, since an interval was closed."""

    def split(self, lost: list[int], *, newest: int) -> DirectionalLoss:
        """Attribute the losses of this interval; then drop what no later interval can need."""
        if not lost and not self.refused and self._forget_all_but(newest):
            return _NO_LOSS
        split = split_losses(self.anchors, lost=lost, refused=self.refused) if lost else _NO_LOSS
        last = max((anchor for anchor in self.anchors if anchor.sequence <= newest), default=None)
        if last is None or len(self.refused) > MAX_REFUSED:  # too long ago to attribute anything
            self.anchors = [anchor for anchor in self.anchors if anchor.sequence > newest]
            self.refused = [number for number in self.refused if number > newest]
        else:
            self.anchors = [anchor for anchor in self.anchors if anchor >= last]
            self.refused = [number for number in self.refused if number > last.sequence]
        return split

    def _forget_all_but(self, newest: int) -> bool:
        """The common case, one probe per interval and each answered: needs no sorting."""
        anchors = self.anchors
        if not 0 < len(anchors) <= 2 or anchors[-1][0] != newest or anchors[0][0] > newest:
            return False
        del anchors[:-1]
        return True


class IntervalProbes:
    """One interval of planned checks, or one question on demand."""

    def __init__(self, *, start_ns: int, length_ns: int, began_ns: int, is_kept: bool = False) -> None:
        self.start_ns = start_ns
        self.length_ns = length_ns
        self.began_ns = began_ns
        """Monotonic time of the start."""
        self.by_check: dict[CheckId, CheckCounters] = {}
        self._is_kept = is_kept
        """Whether every observation is kept, not only its counts."""

    def counters(self, check: Check) -> CheckCounters:
        """The counters of *check*, created when first used."""
        found = self.by_check.get(check.id)
        if found is None:
            found = self.by_check[check.id] = CheckCounters(check, seen=[] if self._is_kept else None)
        return found

    @property
    def is_settled(self) -> bool:
        """Whether every probe has its outcome."""
        return all(counters.is_settled for counters in self.by_check.values())


class InFlightTable:
    """Every open probe of one engine."""

    def __init__(self) -> None:
        self._sessions: dict[CheckId, SequenceState] = {}
        self.waiting = 0
        """Open probes of all intervals."""
        self._kept: dict[CheckId, CheckCounters] = {}
        """Of questions on demand that are under way."""

    def ask(self, check: Check, interval: IntervalProbes, *, now_ns: int) -> PendingProbe:
        """Add a probe that is about to be sent; it takes the check's next sequence number."""
        session = self._sessions.get(check.id)
        if session is None:
            session = self._sessions[check.id] = SequenceState()
        counters = interval.by_check.get(check.id) or interval.counters(check)
        if counters.seen is not None:
            self._kept[check.id] = counters
        number = session.last_sequence + 1
        probe = session.waiting[number] = PendingProbe(check, number, now_ns, counters, session)
        session.last_sequence = counters.newest = number
        counters.sent += 1
        self.waiting += 1
        return probe

    def cancel(self, probe: PendingProbe, seen: Observation) -> None:
        """The probe never left: end it with *seen* and give its number to the next one."""
        session = probe.session
        if session.last_sequence != probe.sequence:
            raise MisuseError("only the newest probe of a check can be cancelled")
        session.last_sequence -= 1
        self._end(session, probe.sequence, seen)

    def record_skipped(self, check: Check, interval: IntervalProbes, why: NotMeasured) -> None:
        """Count a probe that this agent should have sent and did not."""
        counters = interval.counters(check)
        counters.sent += 1
        counters.count(Observation(why))

    def find(self, check_id: int, sequence: int) -> PendingProbe | None:
        """The open probe of that number, or None."""
        session = self._sessions.get(check_id)  # type: ignore[call-overload] # a number from a packet
        return session.waiting.get(sequence) if session else None

    def find_oldest(self, is_it: Callable[[PendingProbe], bool]) -> PendingProbe | None:
        """The oldest open probe that *is_it*: for errors that quote too little to name their probe."""
        found = [
            probe for session in self._sessions.values() for probe in session.waiting.values() if is_it(probe)
        ]
        return min(found, key=lambda probe: probe.sent_ns, default=None)

    def record_response(self, probe: PendingProbe, seen: Observation) -> None:
        """Record the response to a probe. A time-out is judged when the interval closes, not here."""
        session, number, outcome, count = probe.session, probe.sequence, seen[0], seen[3]
        if number not in session.waiting:
            return
        if count is not None:
            session.anchors.append(_make(Anchor, (number, count)))
        if isinstance(outcome, TimedOut):
            probe.counters.silence = seen
            return
        if isinstance(outcome, _ANSWERS):
            session.answered = number
        else:
            session.refused.append(number)
        self._end(session, number, seen)

    def record_repeat(self, check_id: int, sequence: int, *, source: str) -> None:
        """Note that an answer came once more; a late answer to a probe that timed out is not one."""
        session = self._sessions.get(check_id)  # type: ignore[call-overload] # a number from a packet
        if session is not None and sequence == session.answered:
            session.repeats += 1
        counters = self._kept.get(check_id)  # type: ignore[call-overload] # a number from a packet
        place = counters.places.get(sequence) if counters else None
        if counters is None or counters.seen is None or place is None:
            return
        first = counters.seen[place]
        if source == counters.check.target.address and isinstance(first.outcome, _ANSWERS):
            counters.seen[place] = note_repeat(first)

    def record_elsewhere(self, probe: PendingProbe, seen: Observation) -> None:
        """Keep the answer of an address that was not asked, until the interval closes."""
        if probe.elsewhere is None and not isinstance(seen.outcome, TimedOut):
            probe.elsewhere = seen

    def close(self, interval: IntervalProbes, *, doubt: Doubt) -> tuple[Window, ...]:
        """End every open probe of the interval and return its windows."""
        windows = []
        for check in sorted(interval.by_check):
            counters, session = interval.by_check[check], self._sessions.get(check) or SequenceState()
            if counters.seen is not None:
                self._kept.pop(check, None)
            lost = self._end_waiting(session, counters, doubt) if session.waiting else []
            split = session.split(lost, newest=counters.newest)
            windows.append(_window(counters, interval, split, repeated=session.repeats))
            session.repeats = 0
        return tuple(windows)

    def forget(self, keep: set[CheckId]) -> None:
        """Drop the sessions of checks that are no longer asked."""
        for check_id in [known for known in self._sessions if known not in keep]:
            if not self._sessions[check_id].waiting:
                del self._sessions[check_id]

    def _end_waiting(self, session: SequenceState, counters: CheckCounters, doubt: Doubt) -> list[int]:
        """Judge the probes without a response; return the sequence numbers of the lost ones."""
        lost = []
        for probe in [one for one in session.waiting.values() if one.counters is counters]:
            if probe.elsewhere is not None:
                self._end(session, probe.sequence, probe.elsewhere)
                continue
            outcome = _silence(probe, doubt(probe))
            if isinstance(outcome, TimedOut):
                lost.append(probe.sequence)
            self._end(session, probe.sequence, _ended(outcome, counters))
        return lost

    def _end(self, session: SequenceState, sequence: int, seen: Observation) -> None:
        probe = session.waiting.pop(sequence)
        self.waiting -= 1
        if probe.counters.seen is not None:
            probe.counters.places[sequence] = len(probe.counters.seen)
            if probe.values:
                seen = seen._replace(values=(*probe.values, *seen.values))
        probe.counters.count(seen)


def _silence(probe: PendingProbe, doubted: NotMeasured | None) -> Outcome:
    return doubted or TimedOut(probe.check.probe.timeout_ns)


def _ended(outcome: Outcome, counters: CheckCounters) -> Observation:
    """A time-out with what the stream probe observed of it: its words, and the phases that it completed."""
    if counters.silence is None or not isinstance(outcome, TimedOut):
        return Observation(outcome)
    return counters.silence._replace(outcome=outcome)


def _window(
    counters: CheckCounters, interval: IntervalProbes, split: DirectionalLoss, *, repeated: int
) -> Window:
    """One for each check and interval; by position, because by name takes twice as long."""
    outcomes = counters.outcomes
    words = Prose(f"{counters.words:.{MAX_DETAIL}}") if counters.words else NO_PROSE
    # fmt: off
    return Window(
        counters.check.id, interval.start_ns, interval.length_ns, counters.sent,
        outcomes.get(OutcomeKind.REACHED, 0),
        tuple(sorted(outcomes.items()) if len(outcomes) > 1 else outcomes.items()),
        split.out + counters.lost_out, split.back,
        Histogram.of(counters.rtts_ns), counters.observed_source, counters.answered_by, words,
        counters.rejection, repeated,
    )
    # fmt: on
