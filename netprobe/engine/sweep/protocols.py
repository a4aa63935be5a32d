"""Protocol handlers: packets of one protocol and family, and matching of their answers.

Rule: handlers compute and keep state; they do not send, receive or read a clock. Rows are local to a handler;
``rows`` maps them to the rows of the sweep.
"""

from __future__ import annotations

import socket
from typing import Protocol

import numpy as np

from netprobe.engine.sweep.cookies import CookieTable
from netprobe.engine.sweep.mmsg import ArraySender, ReceivedBatch, socket_names
from netprobe.engine.sweep.sockets import SYN_PORTS
from netprobe.engine.sweep.targets import (
    REACHED,
    REFUSED,
    REJECTED,
    TOO_BIG,
    WRONG_PEER,
    Codes,
    SweepAnswers,
    SweepTargets,
)
from netprobe.errors import InputError
from netprobe.wire import batch_icmp, batch_syn, batch_udp
from netprobe.wire.batch import U32, Flags, Indices, Rows, get16
from netprobe.wire.batch_quote import QuoteBatch

_IP_HEADER = {False: 20, True: 40}


class ProtocolHandler(Protocol):
    """Interface between the sweep and a handler."""

    rows: Indices
    outbox: ArraySender
    v6: bool

    def prepare(self, number: int, asked: Indices | None) -> None:
        """Prepare the packets of round *number*: the rows *asked* in that order, or all."""

    def read(self, arrived: ReceivedBatch) -> SweepAnswers:
        """Match packets from the handler's own socket."""

    def read_quotes(self, quotes: QuoteBatch, arrived: ReceivedBatch, senders: Rows) -> SweepAnswers:
        """Match ICMP errors about this handler's packets."""


def lengths_of(
    questions: SweepTargets, *, header: int, smallest: int, largest: int, v6: bool, gap: range = range(0)
) -> Indices:
    """Bytes after the IP header (and *header*) per row, for the requested packet sizes.

    Sizes in *gap* are not possible; the next larger size is used.
    """
    sizes = questions.sizes.astype(np.int64)
    overhead = _IP_HEADER[v6] + header
    wrong = (sizes != 0) & ((sizes < overhead + smallest) | (sizes > overhead + largest))
    if wrong.any():
        limits = f"{overhead + smallest}–{overhead + largest}"
        raise InputError(f"packet size {sizes[np.argmax(wrong)]} is not in {limits} for this probe")
    lengths = np.where(sizes == 0, smallest, sizes - overhead)
    return np.where(np.isin(lengths, np.array(gap)), gap.stop, lengths)


def plain_answers(
    rows: Indices, rounds: Indices, codes: Codes, arrived: ReceivedBatch, at: Indices, senders: Rows
) -> SweepAnswers:
    """Answers that are not ICMP errors: packets *at* these positions of *arrived*."""
    zeros = np.zeros(len(rows), dtype=np.uint8)
    nowhere = np.zeros(len(rows), dtype=np.int64)
    return SweepAnswers(rows, rounds, codes, arrived.stamps_ns[at], senders[at], zeros, zeros, nowhere)


def error_answers(
    rows: Indices,
    rounds: Indices,
    at: Indices,
    quotes: QuoteBatch,
    arrived: ReceivedBatch,
    senders: Rows,
    *,
    v6: bool,
    refusing: bool = False,
) -> SweepAnswers:
    """Answers that are ICMP errors; with *refusing*, port-unreachable from the target is a refusal."""
    types, codes = quotes.types[at], quotes.codes[at]
    results = np.full(len(at), REJECTED, dtype=np.uint8)
    too_big = (types == 2) if v6 else (types == 3) & (codes == 4)
    results[too_big] = TOO_BIG
    if refusing:
        unreachable = (types == 1) & (codes == 4) if v6 else (types == 3) & (codes == 3)
        results[unreachable & (senders[at] == quotes.targets[at]).all(axis=1)] = REFUSED
    return SweepAnswers(
        rows, rounds, results, arrived.stamps_ns[at], senders[at], types, codes, quotes.mtus[at]
    )


class IcmpHandler:
    """Echo requests of one family."""

    def __init__(
        self, questions: SweepTargets, rows: Indices, *, key: bytes, identifier: int, v6: bool
    ) -> None:
        self.rows, self.v6, self.identifier = rows, v6, identifier
        self._cookies = CookieTable(questions, key=key)
        self._addresses = questions.addresses
        lengths = lengths_of(questions, header=0, smallest=batch_icmp.MINIMUM, largest=65_000, v6=v6)
        indices = np.arange(len(questions), dtype=np.uint32)
        self._packets = batch_icmp.build_echoes(
            indices, identifier=identifier, width=int(lengths.max()), v6=v6
        )
        names = socket_names(questions.addresses, np.zeros(len(questions), dtype=np.uint16), v6=v6)
        self.outbox = ArraySender(self._packets, lengths, names)

    def prepare(self, number: int, asked: Indices | None) -> None:
        """Patch round, cookie and checksum."""
        cookies = self._cookies.open_round(number, asked)
        if asked is None:
            batch_icmp.patch_echoes(self._packets, round_number=number, cookies=cookies, v6=self.v6)
            return
        some = self._packets[asked]
        batch_icmp.patch_echoes(some, round_number=number, cookies=cookies[asked], v6=self.v6)
        self._packets[asked] = some

    def read(self, arrived: ReceivedBatch) -> SweepAnswers:
        """Echo replies from an unprivileged socket, which removes the IP header."""
        everywhere = np.ones(len(arrived), dtype=np.bool_)
        senders = arrived.senders(v6=self.v6)
        return self.read_replies(arrived.packets, arrived.lengths, senders, everywhere, arrived)

    def read_replies(
        self, body: Rows, lengths: Indices, senders: Rows, valid: Flags, arrived: ReceivedBatch
    ) -> SweepAnswers:
        """Echo replies without IP header; a reply from another address than the target is a wrong peer."""
        valid = valid & batch_icmp.is_reply(body, lengths, identifier=self.identifier, v6=self.v6)
        if not valid.any():
            return SweepAnswers.none()
        rows, rounds, cookies = batch_icmp.read_echoes(body, lengths)
        expected, known = self._cookies.cookies_of(rows, rounds.astype(np.int64))
        at = np.nonzero(valid & known & (cookies == expected))[0]
        rows = rows[at]
        right = (senders[at] == self._addresses[rows]).all(axis=1)
        codes = np.where(right, REACHED, WRONG_PEER)
        return plain_answers(self.rows[rows], rounds[at].astype(np.int64), codes, arrived, at, senders)

    def read_quotes(self, quotes: QuoteBatch, arrived: ReceivedBatch, senders: Rows) -> SweepAnswers:
        """Errors about our echoes, verified by the quoted cookie, or by the checksum if little is quoted."""
        protocol = socket.IPPROTO_ICMPV6 if self.v6 else socket.IPPROTO_ICMP
        ours = (
            quotes.valid & (quotes.protocols == protocol) & (quotes.words >> np.uint32(16) == self.identifier)
        )
        if not ours.any():
            return SweepAnswers.none()
        rows, rounds, cookies = batch_icmp.read_echoes(quotes.transport, quotes.lengths)
        expected, known = self._cookies.cookies_of(rows, rounds.astype(np.int64))
        proven = np.nonzero(ours & known & (cookies == expected))[0]
        if not self.v6:
            short = np.nonzero(ours & (quotes.lengths < batch_icmp.MINIMUM))[0]
            if len(short):
                return self._read_short(quotes, arrived, senders, short)
        selected = rows[proven]
        return error_answers(
            self.rows[selected], rounds[proven].astype(np.int64), proven, quotes, arrived, senders, v6=self.v6
        )

    def _read_short(
        self, quotes: QuoteBatch, arrived: ReceivedBatch, senders: Rows, at: Indices
    ) -> SweepAnswers:
        """Match short quotes: eight bytes have the round and a checksum that covers the cookie."""
        checksums, sequences = get16(quotes.transport[at], 2), get16(quotes.transport[at], 6)
        sent = get16(self._packets, 2)
        now = get16(self._packets, 6)
        rows = self._cookies.find(
            quotes.targets[at],
            np.zeros(len(at), dtype=np.uint16),
            lambda positions, rows: (
                (sent[rows] == checksums[positions]) & (now[rows] == sequences[positions])
            ),
        )
        found = np.nonzero(rows >= 0)[0]
        rounds = self._cookies.newest_round(sequences[found], modulus=1 << 16)
        return error_answers(self.rows[rows[found]], rounds, at[found], quotes, arrived, senders, v6=self.v6)


class SynHandler:
    """TCP SYNs of one family; round *r* uses source port ``first_port + r % SYN_PORTS``."""

    def __init__(
        self, questions: SweepTargets, rows: Indices, *, key: bytes, first_port: int, sources: Rows, v6: bool
    ) -> None:
        self.rows, self.v6 = rows, v6
        self._first_port = first_port
        self._cookies = CookieTable(questions, key=key)
        self._packets = batch_syn.build_syns(sources, questions.addresses, questions.ports)
        lengths = np.full(len(questions), batch_syn.LENGTH)
        names = socket_names(questions.addresses, np.zeros(len(questions), dtype=np.uint16), v6=v6)
        self.outbox = ArraySender(self._packets, lengths, names)

    def prepare(self, number: int, asked: Indices | None) -> None:
        """Patch source port, sequence number and checksum."""
        cookies = self._cookies.open_round(number, asked).astype(np.uint32)
        port = self._first_port + number % SYN_PORTS
        if asked is None:
            batch_syn.patch_syns(self._packets, source_port=port, cookies=cookies)
            return
        some = self._packets[asked]
        batch_syn.patch_syns(some, source_port=port, cookies=cookies[asked])
        self._packets[asked] = some

    def read(self, arrived: ReceivedBatch) -> SweepAnswers:
        """SYN-ACKs and RSTs that acknowledge our sequence number."""
        body, lengths, senders, valid = open_packets(arrived, v6=self.v6)
        answers = batch_syn.read_answers(body, lengths)
        at = np.nonzero(valid & (answers.is_open | answers.is_closed))[0]
        rounds = self._cookies.newest_round((answers.target_ports[at] - self._first_port), modulus=SYN_PORTS)
        cookies = answers.cookies[at]
        rows = self._cookies.find(senders[at], answers.source_ports[at], self._proof(rounds, cookies))
        found = np.nonzero(rows >= 0)[0]
        codes = np.where(answers.is_open[at[found]], REACHED, REFUSED)
        return plain_answers(self.rows[rows[found]], rounds[found], codes, arrived, at[found], senders)

    def read_quotes(self, quotes: QuoteBatch, arrived: ReceivedBatch, senders: Rows) -> SweepAnswers:
        """Errors about our SYNs, whose sequence number is always quoted."""
        offsets = quotes.source_ports - np.uint16(self._first_port)
        ours = quotes.valid & (quotes.protocols == batch_syn.TCP) & (offsets < SYN_PORTS)
        at = np.nonzero(ours)[0]
        if not len(at):
            return SweepAnswers.none()
        rounds = self._cookies.newest_round(offsets[at], modulus=SYN_PORTS)
        proof = self._proof(rounds, quotes.words[at])
        rows = self._cookies.find(quotes.targets[at], quotes.target_ports[at], proof)
        found = np.nonzero(rows >= 0)[0]
        return error_answers(
            self.rows[rows[found]], rounds[found], at[found], quotes, arrived, senders, v6=self.v6
        )

    def _proof(self, rounds: Indices, cookies: U32) -> _CookieMatch:
        return _CookieMatch(self._cookies, rounds, cookies)


class DatagramHandler:
    """Datagrams of one family to arbitrary ports, from a separate socket."""

    def __init__(
        self, questions: SweepTargets, rows: Indices, *, key: bytes, source_port: int, v6: bool
    ) -> None:
        self.rows, self.v6 = rows, v6
        self._source_port = source_port
        self._number = -1
        self._ports = questions.ports
        self._cookies = CookieTable(questions, key=key)
        self._payloads, self._lengths = batch_udp.build_datagrams(
            questions.ports, self._cookies.open_round(0)
        )
        names = socket_names(questions.addresses, questions.ports, v6=v6)
        self.outbox = ArraySender(self._payloads, self._lengths, names)

    def prepare(self, number: int, asked: Indices | None) -> None:  # noqa: ARG002 - all rounds are equal
        """Set the round; the payloads are the same in all rounds."""
        self._number = number

    def read(self, arrived: ReceivedBatch) -> SweepAnswers:
        """Datagrams from a target's address and port."""
        senders, ports = arrived.senders(v6=self.v6), arrived.ports()

        def fits(positions: Indices, rows: Indices) -> Flags:
            answers = arrived.packets[positions]
            return batch_udp.is_answered(
                self._ports[rows], self._payloads[rows], answers, arrived.lengths[positions]
            )

        rows = self._cookies.find(senders, ports, fits)
        at = np.nonzero(rows >= 0)[0]
        codes = np.full(len(at), REACHED, dtype=np.uint8)
        return plain_answers(self.rows[rows[at]], self._rounds(at), codes, arrived, at, senders)

    def read_quotes(self, quotes: QuoteBatch, arrived: ReceivedBatch, senders: Rows) -> SweepAnswers:
        """Errors about our datagrams, verified by the payload if it is quoted."""
        ours = quotes.valid & (quotes.protocols == batch_udp.UDP) & (quotes.source_ports == self._source_port)
        at = np.nonzero(ours)[0]
        if not len(at):
            return SweepAnswers.none()

        def fits(positions: Indices, rows: Indices) -> Flags:
            selected = at[positions]
            return batch_udp.is_quoted(
                self._payloads[rows],
                self._lengths[rows],
                quotes.transport[selected],
                quotes.lengths[selected],
            )

        rows = self._cookies.find(quotes.targets[at], quotes.target_ports[at], fits)
        found = np.nonzero(rows >= 0)[0]
        selected = at[found]
        return error_answers(
            self.rows[rows[found]], self._rounds(selected), selected, quotes, arrived, senders,
            v6=self.v6, refusing=True,
        )  # fmt: skip

    def _rounds(self, at: Indices) -> Indices:
        return np.full(len(at), self._number, dtype=np.int64)


class _CookieMatch:
    """Whether the cookie at a position is that of row and round."""

    def __init__(self, table: CookieTable, rounds: Indices, cookies: U32) -> None:
        self._table, self._rounds, self._cookies = table, rounds, cookies

    def __call__(self, positions: Indices, rows: Indices) -> Flags:
        expected, known = self._table.cookies_of(rows, self._rounds[positions])
        return np.asarray(known & (expected.astype(np.uint32) == self._cookies[positions]))


def open_packets(arrived: ReceivedBatch, *, v6: bool) -> tuple[Rows, Indices, Rows, Flags]:
    """Packets of a raw socket: transport rows, lengths, senders, and flags of well-formed packets."""
    if v6:
        everywhere = np.ones(len(arrived), dtype=np.bool_)
        return arrived.packets, arrived.lengths, arrived.senders(v6=True), everywhere
    stripped = batch_icmp.strip_ipv4(arrived.packets, arrived.lengths)
    return stripped.rows, stripped.lengths, stripped.senders, stripped.valid
