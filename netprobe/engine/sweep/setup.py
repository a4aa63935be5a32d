"""Setup of a sweep: a handler and sockets for each protocol and family of its questions.

Rule: either all sockets are opened or none; :meth:`SweepSockets.close` closes them.
"""

from __future__ import annotations

import hashlib
import secrets
import select
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netprobe.engine.sweep import sockets
from netprobe.engine.sweep.bpf import AnswerFilter
from netprobe.engine.sweep.mmsg import ArrayReceiver, ReceivedBatch
from netprobe.engine.sweep.protocols import (
    DatagramHandler,
    IcmpHandler,
    ProtocolHandler,
    SynHandler,
    open_packets,
)
from netprobe.engine.sweep.stamp_protocol import StampHandler
from netprobe.engine.sweep.targets import (
    Codes,
    SweepAnswers,
    SweepTargets,
    TargetProtocol,
)
from netprobe.errors import SystemRefusedError
from netprobe.wire.batch import Flags, Indices, is_mapped
from netprobe.wire.batch_quote import read_errors
from netprobe.wire.stamp import MIN_BYTES, Seal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_INBOX = 4096
_ROOM = 4096
"""Receive buffer per packet that may be answered, in bytes: the kernel charges about 800 for a small packet,
and a fast peer answers while we are still sending."""
_WIDTH = 160
"""Bytes that are read of an answer; an error that quotes an IPv6 header and our cookie needs 72."""


@dataclass(slots=True)
class ReceiveSocket:
    """One socket and the function that matches its packets."""

    socket: socket.socket
    inbox: ArrayReceiver
    read: Callable[[ReceivedBatch], list[SweepAnswers]]
    drops: int = 0


class SweepSockets:
    """Handlers and receive sockets of one set of questions."""

    def __init__(
        self,
        questions: SweepTargets,
        *,
        key: bytes,
        seals: Sequence[Seal] = (),
        random: np.random.Generator,
        batch: int,
        receive_buffer_bytes: int | None = None,
    ) -> None:
        """Open all sockets, for *batch* packets at once; :class:`SystemRefusedError` if not permitted."""
        self._questions = questions
        # Salted, so that answers to another sweep with the same key do not match.
        salt = secrets.token_bytes(hashlib.blake2b.SALT_SIZE)
        self._key = hashlib.blake2b(key, digest_size=16, salt=salt, person=b"netprobe-sweep").digest()
        self._seals = seals or [Seal(key)] * len(questions)
        self._random = random
        self._batch = batch
        self._receive_buffer_bytes = receive_buffer_bytes
        self._boot = secrets.randbits(32)
        self._identifier = 1 + secrets.randbelow(0xFFFF)
        self._closers: list[Callable[[], None]] = []
        self.handlers: list[tuple[ProtocolHandler, socket.socket]] = []
        self.handler_of = np.zeros(len(questions), dtype=np.int64)
        """Index of the handler of each question."""
        self.position = np.zeros(len(questions), dtype=np.int64)
        """Row of each question in its handler."""
        self.receive_sockets: list[ReceiveSocket] = []
        self.poll = select.poll()
        """Polls the sockets for input."""
        self.room = 2 * _INBOX
        """Number of answers that the smallest receive buffer can hold."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every socket."""
        for closer in reversed(self._closers):
            closer()
        self._closers.clear()

    def readable(self) -> list[ReceiveSocket]:
        """The receive sockets with input."""
        waiting = {fileno for fileno, _ in self.poll.poll(0)}
        return [receiver for receiver in self.receive_sockets if receiver.socket.fileno() in waiting]

    def _open(self) -> None:
        v4 = is_mapped(self._questions.addresses)
        kinds = self._questions.kinds
        first_port = self._reserve() if (kinds == TargetProtocol.SYN).any() else 0
        for v6 in (False, True):
            family = ~v4 if v6 else v4
            if family.any():
                self._open_family(kinds, family, first_port, v6=v6)

    def _reserve(self) -> int:
        reserved = sockets.reserve_ports()
        self._closers.append(reserved.close)
        return reserved.first

    def _open_family(self, kinds: Codes, family: Flags, first_port: int, *, v6: bool) -> None:
        others: list[ProtocolHandler] = []
        udp_port = 0
        if len(rows := self._rows_of(family & (kinds == TargetProtocol.DATAGRAM))):
            opened = self._keep(sockets.open_udp(v6=v6))
            udp_port = opened.getsockname()[1]
            asked = self._questions.pick(rows)
            others.append(DatagramHandler(asked, rows, key=self._key, source_port=udp_port, v6=v6))
            self._add_handler(others[-1], opened, width=_WIDTH)
        stamp_port = 0
        if len(rows := self._rows_of(family & (kinds == TargetProtocol.STAMP))):
            opened = self._keep(sockets.open_udp(v6=v6))
            stamp_port = opened.getsockname()[1]
            asked = self._questions.pick(rows)
            others.append(
                StampHandler(
                    asked,
                    rows,
                    seals=[self._seals[row] for row in rows],
                    boot=self._boot,
                    source_port=stamp_port,
                    v6=v6,
                )
            )
            self._add_handler(others[-1], opened, width=MIN_BYTES)
        filter_ = AnswerFilter(
            self._identifier, first_port, sockets.SYN_PORTS if first_port else 0, (udp_port, stamp_port)
        )
        raw = self._open_icmp(kinds[family], filter_, v6=v6)
        if raw is None:
            return
        echoes: IcmpHandler | None = None
        if len(rows := self._rows_of(family & (kinds == TargetProtocol.ICMP))):
            asked = self._questions.pick(rows)
            echoes = IcmpHandler(asked, rows, key=self._key, identifier=filter_.identifier, v6=v6)
            self._add_handler(echoes, raw, width=0)
        if len(rows := self._rows_of(family & (kinds == TargetProtocol.SYN))):
            asked = self._questions.pick(rows)
            opened = self._keep(sockets.open_syn(filter_, v6=v6))
            in_order, place = np.unique(rows, return_inverse=True)
            sources = sockets.find_sources(self._questions.addresses[in_order])[place]
            others.append(
                SynHandler(asked, rows, key=self._key, first_port=first_port, sources=sources, v6=v6)
            )
            self._add_handler(others[-1], opened, width=_WIDTH)
        reader = _icmp_reader(echoes, others, v6=v6)
        self.receive_sockets.append(ReceiveSocket(raw, ArrayReceiver(capacity=_INBOX, width=_WIDTH), reader))

    def _open_icmp(self, kinds: Codes, filter_: AnswerFilter, *, v6: bool) -> socket.socket | None:
        """A raw socket for echoes and errors; without permission, an unprivileged socket for echoes only."""
        try:
            return self._keep(sockets.open_icmp(filter_, v6=v6))
        except SystemRefusedError:
            if np.isin(kinds, (TargetProtocol.SYN, TargetProtocol.DATAGRAM)).any():
                raise
        v4 = is_mapped(self._questions.addresses)
        rows = self._rows_of((~v4 if v6 else v4) & (self._questions.kinds == TargetProtocol.ICMP))
        if len(rows):
            opened = self._keep(sockets.open_ping(v6=v6))
            asked, identifier = self._questions.pick(rows), opened.getsockname()[1]
            self._add_handler(
                IcmpHandler(asked, rows, key=self._key, identifier=identifier, v6=v6), opened, width=_WIDTH
            )
        return None

    def _keep(self, opened: socket.socket) -> socket.socket:
        if self._receive_buffer_bytes is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer_bytes)
        room = opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // _ROOM
        self.room = min(self.room, max(self._batch, room))
        self.poll.register(opened, select.POLLIN)
        self._closers.append(opened.close)
        return opened

    def _add_handler(self, handler: ProtocolHandler, opened: socket.socket, *, width: int) -> None:
        """Register a handler; with *width*, also receive on its socket, that many bytes of each packet."""
        if width:
            inbox = ArrayReceiver(capacity=_INBOX, width=width)
            self.receive_sockets.append(ReceiveSocket(opened, inbox, lambda arrived: [handler.read(arrived)]))
        self.handler_of[handler.rows] = len(self.handlers)
        self.position[handler.rows] = np.arange(len(handler.rows))
        self.handlers.append((handler, opened))

    def _rows_of(self, wanted: Flags) -> Indices:
        """The rows of a handler, shuffled, so that packets are in memory in the order of sending."""
        return self._random.permutation(np.nonzero(wanted)[0])


def _icmp_reader(
    echoes: IcmpHandler | None, others: list[ProtocolHandler], *, v6: bool
) -> Callable[[ReceivedBatch], list[SweepAnswers]]:
    """Reader of a raw ICMP socket: replies to our echoes, and errors about packets of every handler."""
    handlers: list[ProtocolHandler] = [*([echoes] if echoes else []), *others]

    def read(arrived: ReceivedBatch) -> list[SweepAnswers]:
        body, lengths, senders, valid = open_packets(arrived, v6=v6)
        answers = [echoes.read_replies(body, lengths, senders, valid, arrived)] if echoes else []
        if answers and len(answers[0]) == len(arrived):
            return answers
        quotes = read_errors(body, lengths, v6=v6)
        return [*answers, *(handler.read_quotes(quotes, arrived, senders) for handler in handlers)]

    return read
