"""The sweep: rounds of questions to thousands of targets, on batched sockets and the kernel's clock.

A caller either lets :meth:`Sweep.ask` run a whole round, or drives it from its own loop: :meth:`Sweep.begin`,
then :meth:`Sweep.step` whenever the time it returned has come, then :meth:`Sweep.finish`.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import secrets
import select
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from netprobe.engine.sweep import sockets
from netprobe.engine.sweep.filters import Marks
from netprobe.engine.sweep.lanes import DatagramLane, IcmpLane, Lane, SynLane, open_packets
from netprobe.engine.sweep.mmsg import Arrived, Inbox, count_drops
from netprobe.engine.sweep.pacing import Pacer
from netprobe.engine.sweep.questions import Answers, Codes, Kind, Questions, RoundResult, StampDetails
from netprobe.engine.sweep.rounds import Queue, Round
from netprobe.engine.sweep.stamps import StampLane
from netprobe.errors import MisuseError, SurroundingsError
from netprobe.wire.batch import Flags, Indices, is_mapped
from netprobe.wire.batch_quote import read_errors
from netprobe.wire.stamp import MIN_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_BATCH = 128
"""Packets per system call: fewer cost more calls, more blur the send times in between."""
_INBOX = 1024
_ROOM = 4096
"""Bytes of receive buffer set aside per packet that may be answered: the kernel charges some 800 for a small
one, and a fast peer's answers come while we are still sending."""
_WIDTH = 160
"""Bytes of an answer that are read: an error that quotes an IPv6 header and our cookie needs 72."""
_LISTEN_S = 0.004
_MOST_LATE = 1000
"""Batches of late answers that are kept for whoever asks."""
_PENDING_ERRORS = frozenset({errno.ECONNREFUSED, errno.EPROTO, errno.ENOPROTOOPT})
"""Left over from an earlier packet of an unprivileged socket; this one has not been tried yet."""
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH})


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a round goes."""

    rate: float | None = None
    """Packets per second; None for as fast as the kernel takes them."""
    timeout_ns: int = 800_000_000
    tick_ns: int = 5_000_000
    """Sends and reads are gathered into steps of about this length; the times are the kernel's."""
    beside: bool = False
    """Read answers in a thread of its own while sending, for scans at full speed; times blur then."""


@dataclass(slots=True)
class _Door:
    """One socket and what its packets mean."""

    socket: socket.socket
    inbox: Inbox
    read: Callable[[Arrived], list[Answers]]
    drops: int = 0


class Sweep:
    """Sockets and state of one set of questions. Close it, or use it as a context manager."""

    def __init__(self, questions: Questions, *, key: bytes, seed: int | None = None) -> None:
        """Prepare the packets of all *questions*; *key* is the plan's cookie key, of any length."""
        if not len(questions):
            raise MisuseError("a sweep needs at least one question")
        self.questions = questions
        self._key = hashlib.blake2b(key, digest_size=16, person=b"netprobe-sweep").digest()
        self._plain_key = key
        self._boot = secrets.randbits(32)
        self._random = np.random.default_rng(seed)
        self._identifier = 1 + secrets.randbelow(0xFFFF)
        self._closers: list[Callable[[], None]] = []
        self._doors: list[_Door] = []
        self._room = _INBOX
        self._drain_every = _INBOX
        self._unread = 0
        """Packets sent since the sockets were last read."""
        self._lanes: list[tuple[Lane, socket.socket]] = []
        self._lane_of = np.zeros(len(questions), dtype=np.int64)
        self._position = np.zeros(len(questions), dtype=np.int64)
        self._rounds: dict[int, Round] = {}
        self._late: list[Answers] = []
        self._poll = select.poll()
        self._number = secrets.randbelow(1 << 16)
        self.strays = 0
        """Packets that proved nothing and answers that came twice or too late."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket; answers under way find nobody, and the kernel resets SYN-ACKs."""
        for closer in reversed(self._closers):
            closer()
        self._closers.clear()

    # --- rounds ---------------------------------------------------------------------------------

    def begin(self, pace: Pace, *, rows: Indices | None = None) -> int:
        """Start a round over *rows* and return its number.

        Without *rows* all questions are asked, in the sweep's own random order and from a random place in it,
        so that a target's moment in the interval changes from round to round. *rows* are asked in the order
        given, within each protocol and family.
        """
        if any(not running.all_sent for running in self._rounds.values()):
            raise MisuseError("a round begins when all packets of the last one have left")
        self._number += 1
        self._rounds[self._number] = Round(
            number=self._number,
            size=len(self.questions),
            queues=self._queue_up(rows),
            pacer=Pacer(start_ns=time.monotonic_ns(), rate=pace.rate, tick_ns=pace.tick_ns),
            timeout_ns=pace.timeout_ns,
            drops_before=self.drops,
        )
        return self._number

    def step(self) -> int | None:
        """Send what is due, take in what has come; returns when to call again, or None if nothing is open.

        Calling earlier, when a socket has become readable, learns of answers earlier; calling only then is
        enough, because the kernel keeps answers and their times. So a step that sends reads only when there
        may be too many of them: reading costs most by the batch.
        """
        wake: list[int] = []
        sent_before = sum(running.sent for running in self._rounds.values())
        for running in self._rounds.values():
            if not running.all_sent:
                self._send_due(running)
        is_sending = sum(running.sent for running in self._rounds.values()) > sent_before
        if not is_sending or self._unread >= self._drain_every // 2:
            self._drain()
        now_ns = time.monotonic_ns()
        for running in self._rounds.values():
            if not running.all_sent:
                wake.append(max(now_ns, running.pacer.next_ns(sent=running.sent)))
            elif not running.complete and now_ns < running.deadline_ns:
                wake.append(running.deadline_ns)
        return min(wake, default=None)

    def finish(self, number: int) -> RoundResult:
        """End a round: what is silent now has timed out, what was not sent was not measured."""
        self._drain()
        for door in self._doors:
            door.drops = max(door.drops, count_drops(door.socket))
        running = self._rounds.pop(number)
        stamps = self._collect_stamps(running)
        return dataclasses.replace(running.close(drops=self.drops), stamps=stamps)

    def ask(self, pace: Pace, *, rows: Indices | None = None) -> RoundResult:
        """Run a whole round, sleeping between its steps."""
        number = self.begin(pace, rows=rows)
        if pace.beside:
            self._send_and_listen(self._rounds[number])
        while (wake_ns := self.step()) is not None:
            self.wait(number, until_ns=wake_ns)
        return self.finish(number)

    def _send_and_listen(self, running: Round) -> None:
        """Send everything here while a second thread reads; the kernel needs no lock of ours."""
        over = threading.Event()

        def listen() -> None:
            while not over.wait(_LISTEN_S):  # in crowds: the two threads share one interpreter
                self._drain()

        listener = threading.Thread(target=listen, name="sweep-listener")
        listener.start()
        self._drain_every = len(self.questions) + 1
        try:
            while not running.all_sent:
                self._send_due(running)
                time.sleep(max(0, running.pacer.next_ns(sent=running.sent) - time.monotonic_ns()) / 1e9)
        finally:
            over.set()
            listener.join()
            self._drain_every = self._room

    def wait(self, number: int, *, until_ns: int) -> None:
        """Sleep until *until_ns*, or until there are answers once all packets of a round have left.

        Answers come in crowds, so a moment is given to the crowd to arrive.
        """
        pause_ns = max(0, until_ns - time.monotonic_ns())
        running = self._rounds[number]
        if not running.all_sent:
            time.sleep(pause_ns / 1e9)
        elif self._poll.poll(pause_ns / 1e6):
            time.sleep(min(pause_ns, running.pacer.tick_ns) / 1e9)

    def set_ttl(self, ttl: int) -> None:
        """Let every packet from now on live for *ttl* hops."""
        for lane, opened in self._lanes:
            if lane.v6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
            else:
                opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)

    def running(self, number: int) -> Round:
        """The state of a round that has begun; to be read only."""
        return self._rounds[number]

    def take_late(self) -> list[Answers]:
        """Proven answers to rounds that were finished before, since the last call; at most some thousands."""
        late, self._late = self._late, []
        return late

    @property
    def drops(self) -> int:
        """Answers the kernel dropped at our receive buffers since the sweep was opened."""
        return sum(door.drops for door in self._doors)

    def fileno_list(self) -> list[int]:
        """Sockets that become readable when answers are there."""
        return [door.socket.fileno() for door in self._doors]

    def _collect_stamps(self, running: Round) -> StampDetails | None:
        lanes = [lane for lane, _ in self._lanes if isinstance(lane, StampLane)]
        if not lanes:
            return None
        told = StampDetails.none(len(self.questions))
        for lane in lanes:
            told.put(lane.rows, lane.details)
            running.take_off(lane.rows, lane.details.holds_ns)
        return told

    # --- inside ---------------------------------------------------------------------------------

    def _queue_up(self, chosen: Indices | None) -> list[Queue]:
        queues = []
        turn = self._random.random()
        for index, (lane, _) in enumerate(self._lanes):
            if chosen is None:
                positions = np.roll(np.arange(len(lane.rows)), int(turn * len(lane.rows)))
            else:
                positions = self._position[chosen[self._lane_of[chosen] == index]]
            if len(positions):
                lane.prepare(self._number, None if chosen is None else positions)
                lane.outbox.arrange(positions)
                queues.append(Queue(index, lane.rows[positions]))
        return queues

    def _send_due(self, running: Round) -> None:
        allowed = running.pacer.allow(now_ns=time.monotonic_ns(), sent=running.sent)
        while allowed > 0 and not running.all_sent:
            queue = min((queue for queue in running.queues if queue.left), key=lambda queue: queue.progress)
            count = self._send_batch(running, queue, min(_BATCH, allowed))
            if not count:
                return
            allowed -= count
            self._unread += count
            if self._unread >= self._drain_every:
                self._drain()

    def _send_batch(self, running: Round, queue: Queue, most: int) -> int:
        """Send one batch of a queue; returns how many questions are settled (0: the socket is full)."""
        lane, opened = self._lanes[queue.lane]
        rows = queue.rows[queue.cursor : queue.cursor + most]
        before_ns = time.monotonic_ns()
        if isinstance(lane, StampLane):
            lane.stamp(self._position[rows], wall_ns=time.time_ns())
        running.expect(rows, now_ns=before_ns)
        sent, error = lane.outbox.send(opened.fileno(), queue.cursor, len(rows))
        running.expect(rows[max(0, sent) :], now_ns=0)
        if sent:
            running.note_sent(rows[:sent], before_ns=before_ns, after_ns=time.monotonic_ns())
            queue.cursor += sent
            return sent
        if error == errno.EAGAIN:
            return 0
        if error in _PENDING_ERRORS:
            sent, error = lane.outbox.send(opened.fileno(), queue.cursor, 1)
            if sent:
                running.note_sent(rows[:1], before_ns=before_ns, after_ns=time.monotonic_ns())
                queue.cursor += 1
                return 1
        running.note_refused(int(rows[0]), errno=error, at_ns=before_ns, unreachable=error in _NO_ROUTE)
        queue.cursor += 1
        return 1

    def _drain(self) -> None:
        self._unread = 0
        for door in self._doors:
            while (arrived := door.inbox.receive(door.socket.fileno())) is not None:
                now_ns = time.monotonic_ns()
                offset_ns = time.time_ns() - now_ns
                door.drops = max(door.drops, arrived.drops)
                news = sum(self._note(answers, offset_ns, now_ns) for answers in door.read(arrived))
                self.strays += len(arrived) - news
                if len(arrived) < door.inbox.capacity:
                    break

    def _note(self, answers: Answers, offset_ns: int, now_ns: int) -> int:
        if not len(answers):
            return 0
        news, told = 0, np.zeros(len(answers), dtype=np.bool_)
        for number, running in self._rounds.items():
            here = answers.rounds == number
            if here.all():
                return running.note(answers, wall_offset_ns=offset_ns, now_ns=now_ns)
            if here.any():
                news += running.note(answers.pick(here), wall_offset_ns=offset_ns, now_ns=now_ns)
            told |= here
        if not told.all() and len(self._late) < _MOST_LATE:
            self._late.append(answers.pick(~told))
        return news

    def _open(self) -> None:
        v4 = is_mapped(self.questions.addresses)
        kinds = self.questions.kinds
        first_port = self._reserve() if (kinds == Kind.SYN).any() else 0
        for v6 in (False, True):
            family = ~v4 if v6 else v4
            if family.any():
                self._open_family(kinds, family, first_port, v6=v6)

    def _reserve(self) -> int:
        reserved = sockets.reserve_ports()
        self._closers.append(reserved.close)
        return reserved.first

    def _open_family(self, kinds: Codes, family: Flags, first_port: int, *, v6: bool) -> None:
        others: list[Lane] = []
        udp_port = 0
        if len(rows := self._rows_of(family & (kinds == Kind.DATAGRAM))):
            opened = self._keep(sockets.open_udp(v6=v6))
            udp_port = opened.getsockname()[1]
            asked = self.questions.pick(rows)
            others.append(DatagramLane(asked, rows, key=self._key, source_port=udp_port, v6=v6))
            self._add_lane(others[-1], opened, width=_WIDTH)
        stamp_port = 0
        if len(rows := self._rows_of(family & (kinds == Kind.STAMP))):
            opened = self._keep(sockets.open_udp(v6=v6))
            stamp_port = opened.getsockname()[1]
            asked = self.questions.pick(rows)
            others.append(
                StampLane(asked, rows, key=self._plain_key, boot=self._boot, source_port=stamp_port, v6=v6)
            )
            self._add_lane(others[-1], opened, width=MIN_BYTES)
        marks = Marks(
            self._identifier, first_port, sockets.SYN_PORTS if first_port else 0, (udp_port, stamp_port)
        )
        raw = self._open_icmp(kinds[family], marks, v6=v6)
        if raw is None:
            return
        echoes: IcmpLane | None = None
        if len(rows := self._rows_of(family & (kinds == Kind.ICMP))):
            asked = self.questions.pick(rows)
            echoes = IcmpLane(asked, rows, key=self._key, identifier=marks.identifier, v6=v6)
            self._add_lane(echoes, raw, width=0)
        if len(rows := self._rows_of(family & (kinds == Kind.SYN))):
            asked = self.questions.pick(rows)
            opened = self._keep(sockets.open_syn(marks, v6=v6))
            sources = sockets.find_sources(asked.addresses)
            others.append(SynLane(asked, rows, key=self._key, first_port=first_port, sources=sources, v6=v6))
            self._add_lane(others[-1], opened, width=_WIDTH)
        reader = _icmp_reader(echoes, others, v6=v6)
        self._doors.append(_Door(raw, Inbox(capacity=_INBOX, width=_WIDTH), reader))

    def _open_icmp(self, kinds: Codes, marks: Marks, *, v6: bool) -> socket.socket | None:
        """A raw socket for echoes and everybody's errors; where that is forbidden, echoes go without."""
        try:
            return self._keep(sockets.open_icmp(marks, v6=v6))
        except SurroundingsError:
            if np.isin(kinds, (Kind.SYN, Kind.DATAGRAM)).any():
                raise
        v4 = is_mapped(self.questions.addresses)
        rows = self._rows_of((~v4 if v6 else v4) & (self.questions.kinds == Kind.ICMP))
        if len(rows):
            opened = self._keep(sockets.open_ping(v6=v6))
            asked, identifier = self.questions.pick(rows), opened.getsockname()[1]
            self._add_lane(
                IcmpLane(asked, rows, key=self._key, identifier=identifier, v6=v6), opened, width=_WIDTH
            )
        return None

    def _keep(self, opened: socket.socket) -> socket.socket:
        room = opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // _ROOM
        self._room = self._drain_every = min(self._room, max(_BATCH, room))
        self._poll.register(opened, select.POLLIN)
        self._closers.append(opened.close)
        return opened

    def _add_lane(self, lane: Lane, opened: socket.socket, *, width: int) -> None:
        """Register a lane; with *width* its socket is also a door, read that far into each packet."""
        if width:
            inbox = Inbox(capacity=_INBOX, width=width)
            self._doors.append(_Door(opened, inbox, lambda arrived: [lane.read(arrived)]))
        self._lane_of[lane.rows] = len(self._lanes)
        self._position[lane.rows] = np.arange(len(lane.rows))
        self._lanes.append((lane, opened))

    def _rows_of(self, wanted: Flags) -> Indices:
        """The rows of a lane, shuffled: packets lie in memory in the order in which they will leave."""
        return self._random.permutation(np.nonzero(wanted)[0])


def _icmp_reader(
    echoes: IcmpLane | None, others: list[Lane], *, v6: bool
) -> Callable[[Arrived], list[Answers]]:
    """A raw ICMP socket hears replies to our echoes, and errors about packets of every lane of its family."""
    lanes: list[Lane] = [*([echoes] if echoes else []), *others]

    def read(arrived: Arrived) -> list[Answers]:
        body, lengths, senders, valid = open_packets(arrived, v6=v6)
        told = [echoes.read_replies(body, lengths, senders, valid, arrived)] if echoes else []
        if told and len(told[0]) == len(arrived):
            return told
        quotes = read_errors(body, lengths, v6=v6)
        return [*told, *(lane.read_quotes(quotes, arrived, senders) for lane in lanes)]

    return read
