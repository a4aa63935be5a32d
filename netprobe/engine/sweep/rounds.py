"""State of a running round: send times and answers. Pure; times are monotonic nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from netprobe.engine.sweep.targets import (
    NOT_MEASURED,
    PENDING,
    REFUSED,
    REJECTED,
    TIMED_OUT,
    Codes,
    RoundResult,
    SweepAnswers,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from netprobe.engine.sweep.pacer import Pacer
    from netprobe.wire.batch import Indices, Rows


BATCH = 128
"""Packets per system call: fewer cost more calls, more make send times less precise."""


@dataclass(slots=True)
class Queue:
    """The rows that one handler still has to send in a round, in order."""

    handler_index: int
    rows: Indices
    """Rows of the sweep."""
    cursor: int = 0

    @property
    def left(self) -> int:
        """Number of rows not sent yet."""
        return len(self.rows) - self.cursor

    @property
    def progress(self) -> float:
        """Share of rows already sent."""
        return self.cursor / len(self.rows)


@dataclass(slots=True)
class SweepRound:
    """The state of one round."""

    number: int
    size: int
    queues: list[Queue]
    pacer: Pacer
    timeout_ns: int
    drops_before: int
    began_ns: int = 0
    late_counts: bool = False
    """Whether an answer counts that took longer than *timeout_ns* but came before the end of the round."""
    batch: int = BATCH
    sent: int = 0
    answered: int = 0
    last_sent_ns: int = 0
    last_news_ns: int = 0
    """Arrival of the newest answer by the kernel's clock; 0 before the first."""
    sent_ns: Indices = field(init=False)
    rtts_ns: Indices = field(init=False)
    codes: Codes = field(init=False)
    senders: Rows = field(init=False)
    types: Codes = field(init=False)
    icmp_codes: Codes = field(init=False)
    mtus: Indices = field(init=False)
    errnos: NDArray[np.int16] = field(init=False)
    total: int = field(init=False)
    """Questions of this round."""
    _first: Indices = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(len(queue.rows) for queue in self.queues)
        self.sent_ns = np.zeros(self.size, dtype=np.int64)
        self.rtts_ns = np.full(self.size, -1, dtype=np.int64)
        self.codes = np.zeros(self.size, dtype=np.uint8)
        self.senders = np.zeros((self.size, 16), dtype=np.uint8)
        self.types = np.zeros(self.size, dtype=np.uint8)
        self.icmp_codes = np.zeros(self.size, dtype=np.uint8)
        self.mtus = np.zeros(self.size, dtype=np.int64)
        self.errnos = np.zeros(self.size, dtype=np.int16)
        self._first = np.empty(self.size, dtype=np.int64)

    @property
    def all_sent(self) -> bool:
        """Whether nothing is left to send."""
        return self.sent == self.total

    @property
    def complete(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.all_sent and self.answered == self.total

    @property
    def deadline_ns(self) -> int:
        """When the last question has timed out; meaningful once all are sent."""
        return self.last_sent_ns + self.timeout_ns

    def expect(self, rows: Indices, *, now_ns: int) -> None:
        """Note that these rows are being sent, so that answers may come from *now_ns* on (0: not sent)."""
        self.sent_ns[rows] = now_ns

    def note_sent(self, rows: Indices, *, before_ns: int, after_ns: int) -> None:
        """Note rows that the kernel accepted between two times; send times are spread evenly between them."""
        share = (np.arange(len(rows)) + 0.5) / len(rows)
        self.sent_ns[rows] = before_ns + ((after_ns - before_ns) * share).astype(np.int64)
        self.sent += len(rows)
        self.last_sent_ns = after_ns

    def note_refused(self, row: int, *, errno: int, at_ns: int, unreachable: bool) -> None:
        """Note that our kernel refused to send this row; *unreachable*: because it has no route."""
        self.errnos[row] = errno
        self.codes[row] = REJECTED if unreachable else NOT_MEASURED
        self.sent_ns[row] = at_ns
        self.sent += 1
        self.answered += 1
        self.last_sent_ns = at_ns

    def note(self, answers: SweepAnswers, *, wall_offset_ns: int, now_ns: int = 0) -> int:
        """Process answers of this round and return how many were new. Only the first answer to a row counts.

        *wall_offset_ns* is wall time minus monotonic time when the answers were received, at *now_ns*.
        """
        rows = answers.rows
        fresh = np.nonzero((self.codes[rows] == PENDING) & (self.sent_ns[rows] > 0))[0]
        rows = rows[fresh]
        # Of several answers to one row the first is kept, by writing them backwards.
        place = np.arange(len(rows))
        self._first[rows[::-1]] = place[::-1]
        once = self._first[rows] == place
        rows, fresh = rows[once], fresh[once]
        self.codes[rows] = answers.codes[fresh]
        received_ns = answers.stamps_ns[fresh] - wall_offset_ns
        # Answers may come before the end of their batch; a time is never negative or zero.
        self.rtts_ns[rows] = np.maximum(1, received_ns - self.sent_ns[rows])
        special = fresh[answers.codes[fresh] > REFUSED]
        if len(special):
            special_rows = answers.rows[special]
            self.senders[special_rows] = answers.senders[special]
            self.types[special_rows] = answers.types[special]
            self.icmp_codes[special_rows] = answers.icmp_codes[special]
            self.mtus[special_rows] = answers.mtus[special]
        self.answered += len(rows)
        if len(rows):
            # If the wall clock was set meanwhile, answers must not be in the future.
            self.last_news_ns = max(self.last_news_ns, min(now_ns, int(received_ns.max())))
        return len(rows)

    def take_off(self, rows: Indices, holds_ns: Indices) -> None:
        """Subtract the time that peers held our packets from the round trip times."""
        answered = self.rtts_ns[rows] > 0
        self.rtts_ns[rows[answered]] = np.maximum(1, self.rtts_ns[rows] - holds_ns)[answered]

    def close(self, *, drops: int, stalled_ns: int = 0) -> RoundResult:
        """Give a result to every row without an answer.

        *drops* is the sweep's count of answers lost at our own buffers; *stalled_ns* is the time we stalled
        while answers could come, if it was too long for silence to count.
        """
        dropped = drops - self.drops_before
        asked = np.zeros(self.size, dtype=np.bool_)
        unsent = [queue.rows[queue.cursor :] for queue in self.queues]
        for queue in self.queues:
            asked[queue.rows] = True
        late = (self.rtts_ns > self.timeout_ns) & (not self.late_counts)
        self.rtts_ns[late] = -1
        silent = asked & ((self.codes == PENDING) | late)
        # Answers dropped at our own buffers look like silence, so no silence counts.
        self.codes[silent] = NOT_MEASURED if dropped or stalled_ns else TIMED_OUT
        for rows in unsent:
            self.codes[rows] = NOT_MEASURED
        return RoundResult(
            number=self.number,
            asked=asked,
            codes=self.codes,
            rtts_ns=self.rtts_ns,
            senders=self.senders,
            types=self.types,
            icmp_codes=self.icmp_codes,
            mtus=self.mtus,
            errnos=self.errnos,
            dropped=dropped,
            stalled_ns=stalled_ns,
            timeout_ns=self.timeout_ns,
        )


@dataclass(slots=True)
class LateAnswers:
    """Answers to finished rounds, kept for the caller up to a limit."""

    most: int = 10_000
    most_batches: int = 100
    _batches: list[SweepAnswers] = field(default_factory=list)
    _held: int = 0

    def add(self, answers: SweepAnswers) -> None:
        """Keep as many answers as the limit allows."""
        room = self.most - self._held if len(self._batches) < self.most_batches else 0
        kept = answers.pick(np.arange(min(room, len(answers))))
        if len(kept):
            self._batches.append(kept)
            self._held += len(kept)

    def take(self) -> list[SweepAnswers]:
        """Return and forget the kept answers."""
        batches, self._batches, self._held = self._batches, [], 0
        return batches
