"""STAMP handler (RFC 8762): UDP echoes of one family to peers, each with its key, and their answers.

Each check is a session with its own sequence numbers, so that the reflector's counter separates loss on the
way out from loss on the way back. Like all handlers, it does not send, receive or read a clock.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netprobe.engine.sweep.cookies import KEPT_ROUNDS
from netprobe.engine.sweep.mmsg import ArraySender, ReceivedBatch, socket_names
from netprobe.engine.sweep.protocols import error_answers, lengths_of, plain_answers
from netprobe.engine.sweep.targets import (
    ResultCode,
    StampDetails,
    SweepAnswers,
    SweepTargets,
)
from netprobe.wire.batch import U32, Flags, Indices, Rows, get32, get64
from netprobe.wire.batch_quote import QuoteBatch
from netprobe.wire.batch_stamp import Sealer, build_requests, patch_requests, read_answers, stamp_requests
from netprobe.wire.stamp import CHECK_OFFSET, MAX_BYTES, MIN_BYTES, Seal

_UDP_HEADER = 8


@dataclass(frozen=True, slots=True)
class _RoundSequences:
    """The rows and sequence numbers of one round, by session."""

    number: int
    rows: Indices
    """Rows of the handler, sorted by session, in the order of their sequence numbers."""
    starts: Indices
    """Start of each session in *rows*."""
    counts: Indices
    before: Indices
    """The last sequence number of each session before this round."""

    def find(self, sessions: Indices, sequences: Indices) -> Indices:
        """The row of each session's sequence number; -1 if this round did not use it."""
        place = sequences - self.before[sessions] - 1
        inside = (place >= 0) & (place < self.counts[sessions])
        found = self.rows[np.where(inside, self.starts[sessions] + place, 0)]
        return np.where(inside, found, -1)


class StampHandler:
    """STAMP requests of one family, from a separate socket."""

    def __init__(
        self, questions: SweepTargets, rows: Indices, *, seals: Sequence[Seal], boot: int, source_port: int,
        v6: bool,
    ) -> None:  # fmt: skip
        self.rows, self.v6 = rows, v6
        self._boot, self._source_port = boot, source_port
        self._addresses, self._ports = questions.addresses, questions.ports
        self._sealer = Sealer(seals)
        self._sessions, self._session_of = np.unique(questions.checks, return_inverse=True)
        self._last = np.zeros(len(self._sessions), dtype=np.int64)
        self._recent: list[_RoundSequences] = []
        lengths = lengths_of(
            questions, header=_UDP_HEADER, smallest=MIN_BYTES, largest=MAX_BYTES, v6=v6, gap=range(205, 208)
        )
        self._packets = build_requests(questions.checks, lengths, boot=boot)
        self._sealer.sign(self._packets)
        self.details = StampDetails.none(len(questions))
        self.outbox = ArraySender(
            self._packets, lengths, socket_names(questions.addresses, questions.ports, v6=v6)
        )

    def prepare(self, number: int, asked: Indices | None) -> None:
        """Give every packet the next sequence number of its session, and write its HMAC."""
        rows = np.arange(len(self.rows)) if asked is None else asked
        by_session = np.argsort(self._session_of[rows], kind="stable")
        counts = np.bincount(self._session_of[rows], minlength=len(self._sessions))
        starts = np.cumsum(counts) - counts
        sorted_rows = rows[by_session]
        sequences_of_round = _RoundSequences(number, sorted_rows, starts, counts, self._last.copy())
        sessions = self._session_of[sorted_rows]
        sequences = self._last[sessions] + 1 + np.arange(len(rows)) - starts[sessions]
        self._last += counts
        self._recent = [*self._recent[1 - KEPT_ROUNDS :], sequences_of_round]
        some = self._packets[sorted_rows]
        patch_requests(some, sequences=sequences.astype(np.uint32), sealer=self._sealer, numbers=sorted_rows)
        self._packets[sorted_rows] = some
        self.details = StampDetails.none(len(self.rows))

    def stamp(self, positions: Indices, *, wall_ns: int) -> None:
        """Write the time of sending into packets that are sent now."""
        stamp_requests(self._packets, positions, wall_ns=wall_ns)

    def read(self, arrived: ReceivedBatch) -> SweepAnswers:
        """Answers with a right HMAC, from the target's address and port."""
        answers = read_answers(arrived.packets, arrived.lengths)
        rows, rounds = self._find(
            answers.checks, answers.sequences, answers.valid & (answers.boots == self._boot)
        )
        claimed = np.nonzero(rows >= 0)[0]
        proven = self._sealer.are_proven(arrived.packets[claimed], rows[claimed])
        rows[claimed[~proven]] = -1
        senders = arrived.senders(v6=self.v6)
        same = (senders == self._addresses[rows]).all(axis=1) & (arrived.ports() == self._ports[rows])
        at = np.nonzero(rows >= 0)[0]
        rows, codes = rows[at], np.where(same[at], ResultCode.REACHED, ResultCode.WRONG_PEER).astype(np.uint8)
        self.details.received_counts[rows] = answers.received_counts[at]
        self.details.sources[rows] = answers.sources[at]
        self.details.source_ports[rows] = answers.source_ports[at]
        self.details.ttls[rows] = answers.ttls[at]
        self.details.names[rows] = answers.names[at]
        self.details.holds_ns[rows] = np.maximum(0, answers.answered_ns - answers.received_ns)[at]
        return plain_answers(self.rows[rows], rounds[at], codes, arrived, at, senders)

    def read_quotes(self, quotes: QuoteBatch, arrived: ReceivedBatch, senders: Rows) -> SweepAnswers:
        """Errors about our requests, if the router quotes check and sequence number."""
        ours = quotes.valid & (quotes.protocols == socket.IPPROTO_UDP)
        ours &= (quotes.source_ports == self._source_port) & (
            quotes.lengths >= _UDP_HEADER + CHECK_OFFSET + 8
        )
        payload = quotes.transport[:, _UDP_HEADER:]
        if payload.shape[1] < CHECK_OFFSET + 8:
            ours[:] = False
            payload = np.zeros((len(ours), CHECK_OFFSET + 8), dtype=np.uint8)
        rows, rounds = self._find(get64(payload, CHECK_OFFSET), get32(payload, 0), ours)
        rows[(quotes.targets != self._addresses[rows]).any(axis=1)] = -1
        at = np.nonzero(rows >= 0)[0]
        return error_answers(
            self.rows[rows[at]], rounds[at], at, quotes, arrived, senders, v6=self.v6, refusing=True
        )

    def _find(self, checks: np.ndarray, sequences: U32, wanted: Flags) -> tuple[Indices, Indices]:
        """Row and round of each check's sequence number; -1 for the row if there is none."""
        sessions = np.minimum(np.searchsorted(self._sessions, checks), len(self._sessions) - 1)
        wanted = wanted & (self._sessions[sessions] == checks)
        rows = np.full(len(checks), -1, dtype=np.int64)
        rounds = np.full(len(checks), -1, dtype=np.int64)
        for round_rows in self._recent:
            found = np.where(wanted, round_rows.find(sessions, sequences.astype(np.int64)), -1)
            rounds[found >= 0] = round_rows.number
            rows[found >= 0] = found[found >= 0]
        return rows, rounds
