"""Who was asked what, and what came of it: probes in, windows out. Pure; time is an argument.

Rules:

- an answer counts in the interval in which its probe was *sent*;
- every probe ends in exactly one outcome; what is still open when its window closes has timed out, unless we
  ourselves were not fit to see the answer: then it is not measured;
- sequence numbers rise by one per probe of a check that really left, so that the responder's counter fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from netprobe.errors import MisuseError
from netprobe.model.check import Check
from netprobe.model.names import CheckId
from netprobe.model.outcome import NotMeasured, Outcome, OutcomeKind, Reached, TimedOut, WrongPeer
from netprobe.model.prose import NO_PROSE, Prose
from netprobe.model.window import Histogram, Window
from netprobe.probes.direction import Anchor, DirectionalLoss, split_losses
from netprobe.probes.observation import Observation

MAX_DETAIL = 200
MAX_REFUSED = 1_000
"""So many refusals after a session's last answer are remembered to tell its losses apart."""
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
    """Everything, where the round keeps it."""
    newest: int = 0
    """Its highest sequence number."""
    lost_out: int = 0
    words: Prose = NO_PROSE
    silence: Observation | None = None
    """What a conversation said of its own time-out, told if it stays one."""

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
    tally: CheckCounters
    """Where it counts."""
    session: SequenceState
    """Of its check."""

    @property
    def deadline_ns(self) -> int:
        """Until when an answer counts."""
        return self.sent_ns + self.check.probe.timeout_ns


Doubt = Callable[[PendingProbe], NotMeasured | None]
"""Why a loss cannot be believed, or None."""


@dataclass(slots=True)
class SequenceState:
    """What outlives the rounds of one check."""

    last_sequence: int = 0
    waiting: dict[int, PendingProbe] = field(default_factory=dict)
    """Open probes by sequence number."""
    anchors: list[Anchor] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def split(self, lost: list[int], *, newest: int) -> DirectionalLoss:
        """Attribute this round's losses; then forget what no later round can need."""
        if not lost and not self.refused and self._forget_all_but(newest):
            return _NO_LOSS
        split = split_losses(self.anchors, lost=lost, refused=self.refused) if lost else _NO_LOSS
        last = max((anchor for anchor in self.anchors if anchor.sequence <= newest), default=None)
        if last is None or len(self.refused) > MAX_REFUSED:  # too long ago to say anything about it
            self.anchors = [anchor for anchor in self.anchors if anchor.sequence > newest]
            self.refused = [number for number in self.refused if number > newest]
        else:
            self.anchors = [anchor for anchor in self.anchors if anchor >= last]
            self.refused = [number for number in self.refused if number > last.sequence]
        return split

    def _forget_all_but(self, newest: int) -> bool:
        """The plain case, one probe a round and all of them answered: done without sorting anything."""
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
        self.tallies: dict[CheckId, CheckCounters] = {}
        self._is_kept = is_kept
        """Whether every outcome is kept, not only what a window tells of them."""

    def tally(self, check: Check) -> CheckCounters:
        """The check's tally, begun when first asked for."""
        found = self.tallies.get(check.id)
        if found is None:
            found = self.tallies[check.id] = CheckCounters(check, seen=[] if self._is_kept else None)
        return found

    @property
    def is_settled(self) -> bool:
        """Whether no probe waits any more."""
        return all(tally.is_settled for tally in self.tallies.values())


class InFlightTable:
    """Every open probe of one engine."""

    def __init__(self) -> None:
        self._sessions: dict[CheckId, SequenceState] = {}
        self.waiting = 0
        """Open probes of all rounds."""

    def ask(self, check: Check, turn: IntervalProbes, *, now_ns: int) -> PendingProbe:
        """Note that a probe is about to go out; its sequence number is the check's next."""
        session = self._sessions.get(check.id)
        if session is None:
            session = self._sessions[check.id] = SequenceState()
        tally = turn.tallies.get(check.id) or turn.tally(check)
        number = session.last_sequence + 1
        probe = session.waiting[number] = PendingProbe(check, number, now_ns, tally, session)
        session.last_sequence = tally.newest = number
        tally.sent += 1
        self.waiting += 1
        return probe

    def retract(self, probe: PendingProbe, seen: Observation) -> None:
        """The probe never left: end it with *seen* and give its number to the next one."""
        session = probe.session
        if session.last_sequence != probe.sequence:
            raise MisuseError("only the newest probe of a check can be retracted")
        session.last_sequence -= 1
        self._end(session, probe.sequence, seen)

    def miss(self, check: Check, turn: IntervalProbes, why: NotMeasured) -> None:
        """A probe that should have gone out and did not, through our own fault."""
        tally = turn.tally(check)
        tally.sent += 1
        tally.count(Observation(why))

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

    def saw(self, probe: PendingProbe, seen: Observation) -> None:
        """A probe's answer. Silence is not an answer: it is judged when the round closes."""
        session, number, outcome, count = probe.session, probe.sequence, seen[0], seen[3]
        if number not in session.waiting:
            return
        if count is not None:
            session.anchors.append(_make(Anchor, (number, count)))
        if isinstance(outcome, TimedOut):
            probe.tally.silence = seen
            return
        if not isinstance(outcome, _ANSWERS):
            session.refused.append(number)
        self._end(session, number, seen)

    def close(self, turn: IntervalProbes, *, doubt: Doubt) -> tuple[Window, ...]:
        """End every open probe of the round and return its windows."""
        windows = []
        for check in sorted(turn.tallies):
            tally, session = turn.tallies[check], self._sessions.get(check) or SequenceState()
            lost = self._end_waiting(session, tally, doubt) if session.waiting else []
            windows.append(_window(tally, turn, session.split(lost, newest=tally.newest)))
        return tuple(windows)

    def forget(self, keep: set[CheckId]) -> None:
        """Drop the sessions of checks that are asked no more."""
        for check_id in [known for known in self._sessions if known not in keep]:
            if not self._sessions[check_id].waiting:
                del self._sessions[check_id]

    def _end_waiting(self, session: SequenceState, tally: CheckCounters, doubt: Doubt) -> list[int]:
        """Judge the tally's silent probes; the sequence numbers of those that were lost."""
        lost = []
        for probe in [one for one in session.waiting.values() if one.tally is tally]:
            outcome = _silence(probe, doubt(probe))
            if isinstance(outcome, TimedOut):
                lost.append(probe.sequence)
            self._end(session, probe.sequence, _ended(outcome, tally))
        return lost

    def _end(self, session: SequenceState, sequence: int, seen: Observation) -> None:
        probe = session.waiting.pop(sequence)
        self.waiting -= 1
        probe.tally.count(seen)


def _silence(probe: PendingProbe, doubted: NotMeasured | None) -> Outcome:
    return doubted or TimedOut(probe.check.probe.timeout_ns)


def _ended(outcome: Outcome, tally: CheckCounters) -> Observation:
    """Silence with what the conversation said of it: its words, and the phases that it came through."""
    if tally.silence is None or not isinstance(outcome, TimedOut):
        return Observation(outcome)
    return tally.silence._replace(outcome=outcome)


def _window(tally: CheckCounters, turn: IntervalProbes, split: DirectionalLoss) -> Window:
    """One for each check and interval; by position, because by name takes twice as long."""
    outcomes = tally.outcomes
    words = Prose(f"{tally.words:.{MAX_DETAIL}}") if tally.words else NO_PROSE
    # fmt: off
    return Window(
        tally.check.id, turn.start_ns, turn.length_ns, tally.sent, outcomes.get(OutcomeKind.REACHED, 0),
        tuple(sorted(outcomes.items()) if len(outcomes) > 1 else outcomes.items()),
        split.out + tally.lost_out, split.back,
        Histogram.of(tally.rtts_ns), tally.observed_source, tally.answered_by, words,
    )
    # fmt: on
