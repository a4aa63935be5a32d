"""The sweep: rounds of questions to thousands of targets, on batched sockets and the kernel's clock.

A caller either lets :meth:`Sweep.ask` run a whole round, or drives it from its own loop: :meth:`Sweep.begin`,
then :meth:`Sweep.step` whenever the time it returned has come, then :meth:`Sweep.finish`.

Rule: whoever comes back late stood still, and a silence is believed only if that was not for long while the
answer could have come: a starved machine looks like a silent network to itself.
"""

from __future__ import annotations

import dataclasses
import errno
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from netprobe.engine.sweep.mmsg import count_drops
from netprobe.engine.sweep.pacer import Pacer
from netprobe.engine.sweep.rounds import BATCH, LateAnswers, Queue, SweepRound
from netprobe.engine.sweep.setup import SweepSockets
from netprobe.engine.sweep.stall_guard import StallGuard
from netprobe.engine.sweep.stamp_protocol import StampHandler
from netprobe.engine.sweep.targets import (
    RoundResult,
    StampDetails,
    SweepAnswers,
    SweepTargets,
)
from netprobe.errors import MisuseError
from netprobe.wire.batch import Indices

if TYPE_CHECKING:
    from types import TracebackType

_LISTEN_S = 0.004
_PENDING_ERRORS = frozenset({errno.ECONNREFUSED, errno.EPROTO, errno.ENOPROTOOPT})
"""Left over from an earlier packet of an unprivileged socket; this one has not been tried yet."""
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH})


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """How fast a round goes."""

    rate: float | None = None
    """Packets per second; None for as fast as the kernel takes them."""
    timeout_ns: int = 800_000_000
    tick_ns: int = 5_000_000
    """Sends and reads are gathered into steps of about this length; the times are the kernel's."""
    head_start_ns: int = 0
    """A round starts with what would have been due in this time, for rounds with pauses between them."""
    most_ticks: int = 2
    """What a late step may send at most, in ticks' worth."""
    batch: int = BATCH
    late_counts: bool = False
    """An answer that took longer than *timeout_ns* is one, too: for verdicts, where its time says nothing."""
    beside: bool = False
    """Read answers in a thread of its own while sending, for scans at full speed; times blur then."""


class Sweep:
    """Sockets and state of one set of questions. Close it, or use it as a context manager."""

    def __init__(
        self,
        questions: SweepTargets,
        *,
        key: bytes,
        seed: int | None = None,
        receive_buffer_bytes: int | None = None,
    ) -> None:
        """Prepare the packets of all *questions*; *key* is the plan's cookie key, of any length.

        Receive buffers are as large as the kernel allows, unless *receive_buffer_bytes* says how large.
        """
        if not len(questions):
            raise MisuseError("a sweep needs at least one question")
        self.questions = questions
        self._random = np.random.default_rng(seed)
        self._opened = SweepSockets(
            questions,
            key=key,
            random=self._random,
            batch=BATCH,
            receive_buffer_bytes=receive_buffer_bytes,
        )
        self._drain_every = self._opened.room
        self._unread = 0
        """Packets sent since the sockets were last read."""
        self._rounds: dict[int, SweepRound] = {}
        self._late = LateAnswers()
        self._awake = StallGuard()
        self._number = secrets.randbelow(1 << 16)
        self.strays = 0
        """Packets that proved nothing and answers that came twice or too late."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket; answers under way find nobody, and the kernel resets SYN-ACKs."""
        self._opened.close()

    # --- rounds ---------------------------------------------------------------------------------

    def begin(self, pace: SweepSettings, *, rows: Indices | None = None) -> int:
        """Start a round over *rows* and return its number.

        Without *rows* all questions are asked, in the sweep's own random order and from a random place in it,
        so that a target's moment in the interval changes from round to round. *rows* are asked in the order
        given, within each protocol and family.
        """
        if any(not running.all_sent for running in self._rounds.values()):
            raise MisuseError("a round begins when all packets of the last one have left")
        self._number += 1
        self._awake.plan(time.monotonic_ns())
        self._rounds[self._number] = SweepRound(
            number=self._number,
            size=len(self.questions),
            queues=self._queue_up(rows),
            pacer=Pacer(
                start_ns=time.monotonic_ns() - pace.head_start_ns,
                rate=pace.rate,
                tick_ns=pace.tick_ns,
                most_ticks=pace.most_ticks,
            ),
            timeout_ns=pace.timeout_ns,
            drops_before=self.drops,
            batch=pace.batch,
            began_ns=time.monotonic_ns(),
            late_counts=pace.late_counts,
        )
        return self._number

    def step(self) -> int | None:
        """Send what is due, take in what has come; returns when to call again, or None if nothing is open.

        Calling earlier, when a socket has become readable, learns of answers earlier; calling only then is
        enough, because the kernel keeps answers and their times. So a step that sends reads only when there
        may be too many of them: reading costs most by the batch.
        """
        wake: list[int] = []
        self._awake.note(time.monotonic_ns())
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
        self._awake.plan(min(wake, default=now_ns))
        return min(wake, default=None)

    def finish(self, number: int) -> RoundResult:
        """End a round: what is silent has timed out; what did not leave, or could not be heard, was not."""
        self._awake.note(time.monotonic_ns())
        self._drain()
        for door in self._opened.doors:
            door.drops = max(door.drops, count_drops(door.socket))
        running = self._rounds.pop(number)
        stamps = self._collect_stamps(running)
        now_ns = time.monotonic_ns()
        stalled_ns = self._awake.stalled_ns(since_ns=running.last_sent_ns, now_ns=now_ns)
        lag_ns = self._awake.worst_ns(since_ns=running.began_ns, now_ns=now_ns)
        result = running.close(drops=self.drops, stalled_ns=stalled_ns)
        return dataclasses.replace(result, stamps=stamps, lag_ns=lag_ns)

    def ask(self, pace: SweepSettings, *, rows: Indices | None = None) -> RoundResult:
        """Run a whole round, sleeping between its steps."""
        number = self.begin(pace, rows=rows)
        if pace.beside:
            self._send_and_listen(self._rounds[number])
        while (wake_ns := self.step()) is not None:
            self.wait(number, until_ns=wake_ns)
        return self.finish(number)

    def _send_and_listen(self, running: SweepRound) -> None:
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
            self._awake.plan(time.monotonic_ns())
            self._drain_every = self._opened.room

    def wait(self, number: int, *, until_ns: int) -> None:
        """Sleep until *until_ns*, or until there are answers once all packets of a round have left.

        Answers come in crowds, so a moment is given to the crowd to arrive.
        """
        running = self._rounds[number]
        if not running.all_sent:
            self.sleep(until_ns=until_ns)
            return
        self._awake.plan_earlier(until_ns)
        if self._opened.poll.poll(max(0, until_ns - time.monotonic_ns()) / 1e6):
            self.sleep(until_ns=min(until_ns, time.monotonic_ns() + running.pacer.tick_ns))

    def sleep(self, *, until_ns: int) -> None:
        """Sleep until *until_ns*, whatever comes in."""
        self._awake.plan_earlier(until_ns)
        time.sleep(max(0, until_ns - time.monotonic_ns()) / 1e9)

    def set_ttl(self, ttl: int) -> None:
        """Let every packet from now on live for *ttl* hops."""
        for lane, opened in self._opened.lanes:
            if lane.v6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
            else:
                opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)

    def running(self, number: int) -> SweepRound:
        """The state of a round that has begun; to be read only."""
        return self._rounds[number]

    def take_late(self) -> list[SweepAnswers]:
        """Proven answers to rounds that were finished before, since the last call; the first of very many."""
        return self._late.take()

    @property
    def drops(self) -> int:
        """Answers the kernel dropped at our receive buffers since the sweep was opened."""
        return sum(door.drops for door in self._opened.doors)

    def _collect_stamps(self, running: SweepRound) -> StampDetails | None:
        lanes = [lane for lane, _ in self._opened.lanes if isinstance(lane, StampHandler)]
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
        for index, (lane, _) in enumerate(self._opened.lanes):
            if chosen is None:
                positions = np.roll(np.arange(len(lane.rows)), int(turn * len(lane.rows)))
            else:
                positions = self._opened.position[chosen[self._opened.lane_of[chosen] == index]]
            if len(positions):
                lane.prepare(self._number, None if chosen is None else positions)
                lane.outbox.arrange(positions)
                queues.append(Queue(index, lane.rows[positions]))
        return queues

    def _send_due(self, running: SweepRound) -> None:
        allowed = running.pacer.allow(now_ns=time.monotonic_ns(), sent=running.sent)
        while allowed > 0 and not running.all_sent:
            queue = min((queue for queue in running.queues if queue.left), key=lambda queue: queue.progress)
            count = self._send_batch(running, queue, min(running.batch, allowed, self._drain_every))
            if not count:
                return
            allowed -= count
            self._unread += count
            if self._unread >= self._drain_every:
                self._drain()

    def _send_batch(self, running: SweepRound, queue: Queue, most: int) -> int:
        """Send one batch of a queue; returns how many questions are settled (0: the socket is full)."""
        lane, opened = self._opened.lanes[queue.lane]
        rows = queue.rows[queue.cursor : queue.cursor + most]
        before_ns = time.monotonic_ns()
        if isinstance(lane, StampHandler):
            lane.stamp(self._opened.position[rows], wall_ns=time.time_ns())
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
        for door in self._opened.readable():
            while (arrived := door.inbox.receive(door.socket.fileno())) is not None:
                now_ns = time.monotonic_ns()
                offset_ns = time.time_ns() - now_ns
                door.drops = max(door.drops, arrived.drops)
                news = sum(self._note(answers, offset_ns, now_ns) for answers in door.read(arrived))
                self.strays += len(arrived) - news
                if len(arrived) < door.inbox.capacity:
                    break

    def _note(self, answers: SweepAnswers, offset_ns: int, now_ns: int) -> int:
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
        self._late.add(answers.pick(~told))
        return news
