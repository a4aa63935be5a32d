"""The sweep: rounds of questions to thousands of targets, on batched sockets and the kernel's clock.

A caller either lets :meth:`Sweep.ask` run a whole round, or drives it from its own loop: :meth:`Sweep.begin`,
then :meth:`Sweep.step` whenever the time it returned has come, then :meth:`Sweep.finish`.

Rule: a late call of :meth:`Sweep.step` means that this process stalled; silence counts only if it did not
stall for long while answers could come, because a machine without processor time sees a silent network.
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
    from collections.abc import Sequence
    from types import TracebackType

    from netprobe.wire.stamp import Seal

_LISTEN_S = 0.004
_PENDING_ERRORS = frozenset({errno.ECONNREFUSED, errno.EPROTO, errno.ENOPROTOOPT})
"""Errors of an earlier packet of an unprivileged socket; the current one has not been tried yet."""
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH})


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """Speed and timeout of a round."""

    rate: float | None = None
    """Packets per second; None: as fast as the kernel accepts them."""
    timeout_ns: int = 800_000_000
    tick_ns: int = 5_000_000
    """Sends and reads are grouped into steps of about this length; times are the kernel's."""
    head_start_ns: int = 0
    """A round starts with the packets due in this time, for rounds with pauses between them."""
    most_ticks: int = 2
    """Largest number of ticks that a late step may send at once."""
    batch: int = BATCH
    late_counts: bool = False
    """Answers slower than *timeout_ns* count too, for verdicts, which do not depend on time."""
    beside: bool = False
    """Read answers in a second thread while sending, for scans at full speed; times are less precise."""


class Sweep:
    """Sockets and state of one set of questions. Close it, or use it as a context manager."""

    def __init__(
        self,
        questions: SweepTargets,
        *,
        key: bytes,
        seals: Sequence[Seal] = (),
        seed: int | None = None,
        receive_buffer_bytes: int | None = None,
    ) -> None:
        """Prepare the packets of all *questions*; *key*, of any length, makes their cookies.

        *seals* has one entry per question, for those that agents answer; without it *key* seals them.

        Receive buffers are as large as the kernel allows, unless *receive_buffer_bytes* says how large.
        """
        if not len(questions):
            raise MisuseError("a sweep needs at least one question")
        self.questions = questions
        self._random = np.random.default_rng(seed)
        self._opened = SweepSockets(
            questions,
            key=key,
            seals=seals,
            random=self._random,
            batch=BATCH,
            receive_buffer_bytes=receive_buffer_bytes,
        )
        self._drain_every = self._opened.room
        self._unread = 0
        """Packets sent since the sockets were last read."""
        self._rounds: dict[int, SweepRound] = {}
        self._late = LateAnswers()
        self._stall_guard = StallGuard()
        self._number = secrets.randbelow(1 << 16)
        self.strays = 0
        """Packets that matched no question, and repeated or late answers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket; later answers are dropped, and the kernel resets SYN-ACKs."""
        self._opened.close()

    # --- rounds ---------------------------------------------------------------------------------

    def begin(self, settings: SweepSettings, *, rows: Indices | None = None) -> int:
        """Start a round over *rows* and return its number.

        Without *rows*, all questions are asked in the sweep's random order from a random start, so that a
        target's time in the interval changes from round to round. *rows* are asked in the given order, within
        each protocol and family.
        """
        if any(not running.all_sent for running in self._rounds.values()):
            raise MisuseError("a round can begin only after all packets of the last one were sent")
        self._number += 1
        self._stall_guard.plan(time.monotonic_ns())
        self._rounds[self._number] = SweepRound(
            number=self._number,
            size=len(self.questions),
            queues=self._queue_up(rows),
            pacer=Pacer(
                start_ns=time.monotonic_ns() - settings.head_start_ns,
                rate=settings.rate,
                tick_ns=settings.tick_ns,
                most_ticks=settings.most_ticks,
            ),
            timeout_ns=settings.timeout_ns,
            drops_before=self.drops,
            batch=settings.batch,
            began_ns=time.monotonic_ns(),
            late_counts=settings.late_counts,
        )
        return self._number

    def step(self) -> int | None:
        """Send what is due and read answers; returns when to call again, or None if nothing is open.

        Calling earlier, when a socket is readable, delivers answers earlier, but is not necessary, because
        the kernel keeps answers with their times. A step that sends reads only if the buffers may be full,
        because reading costs most per batch.
        """
        wake: list[int] = []
        self._stall_guard.note(time.monotonic_ns())
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
        self._stall_guard.plan(min(wake, default=now_ns))
        return min(wake, default=None)

    def finish(self, number: int) -> RoundResult:
        """End a round: silent rows have timed out, unless they were not sent or could not be received."""
        self._stall_guard.note(time.monotonic_ns())
        self._drain()
        for receiver in self._opened.receive_sockets:
            receiver.drops = max(receiver.drops, count_drops(receiver.socket))
        running = self._rounds.pop(number)
        stamps = self._collect_stamps(running)
        now_ns = time.monotonic_ns()
        stalled_ns = self._stall_guard.stalled_ns(since_ns=running.last_sent_ns, now_ns=now_ns)
        lag_ns = self._stall_guard.worst_ns(since_ns=running.began_ns, now_ns=now_ns)
        result = running.close(drops=self.drops, stalled_ns=stalled_ns)
        return dataclasses.replace(result, stamps=stamps, lag_ns=lag_ns)

    def ask(self, settings: SweepSettings, *, rows: Indices | None = None) -> RoundResult:
        """Run a whole round, sleeping between its steps."""
        number = self.begin(settings, rows=rows)
        if settings.beside:
            self._send_and_listen(self._rounds[number])
        while (wake_ns := self.step()) is not None:
            self.wait(number, until_ns=wake_ns)
        return self.finish(number)

    def _send_and_listen(self, running: SweepRound) -> None:
        """Send everything here while a second thread reads; sending and receiving need no lock."""
        over = threading.Event()

        def listen() -> None:
            while not over.wait(_LISTEN_S):  # in batches, as the two threads share one interpreter
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
            self._stall_guard.plan(time.monotonic_ns())
            self._drain_every = self._opened.room

    def wait(self, number: int, *, until_ns: int) -> None:
        """Sleep until *until_ns*, or until there are answers after all packets of a round were sent.

        Answers come in groups, so it waits a moment for the rest of the group.
        """
        running = self._rounds[number]
        if not running.all_sent:
            self.sleep(until_ns=until_ns)
            return
        self._stall_guard.plan_earlier(until_ns)
        if self._opened.poll.poll(max(0, until_ns - time.monotonic_ns()) / 1e6):
            self.sleep(until_ns=min(until_ns, time.monotonic_ns() + running.pacer.tick_ns))

    def sleep(self, *, until_ns: int) -> None:
        """Sleep until *until_ns*, even if answers arrive."""
        self._stall_guard.plan_earlier(until_ns)
        time.sleep(max(0, until_ns - time.monotonic_ns()) / 1e9)

    def set_ttl(self, ttl: int) -> None:
        """Set the TTL of all further packets."""
        for handler, opened in self._opened.handlers:
            if handler.v6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
            else:
                opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)

    def running(self, number: int) -> SweepRound:
        """The state of a round that has begun; read only."""
        return self._rounds[number]

    def take_late(self) -> list[SweepAnswers]:
        """Verified answers to finished rounds since the last call, up to a limit."""
        return self._late.take()

    @property
    def drops(self) -> int:
        """Answers dropped at our receive buffers since the sweep was opened."""
        return sum(receiver.drops for receiver in self._opened.receive_sockets)

    def _collect_stamps(self, running: SweepRound) -> StampDetails | None:
        handlers = [handler for handler, _ in self._opened.handlers if isinstance(handler, StampHandler)]
        if not handlers:
            return None
        details = StampDetails.none(len(self.questions))
        for handler in handlers:
            details.put(handler.rows, handler.details)
            running.take_off(handler.rows, handler.details.holds_ns)
        return details

    # --- inside ---------------------------------------------------------------------------------

    def _queue_up(self, chosen: Indices | None) -> list[Queue]:
        queues = []
        turn = self._random.random()
        for index, (handler, _) in enumerate(self._opened.handlers):
            if chosen is None:
                positions = np.roll(np.arange(len(handler.rows)), int(turn * len(handler.rows)))
            else:
                positions = self._opened.position[chosen[self._opened.handler_of[chosen] == index]]
            if len(positions):
                handler.prepare(self._number, None if chosen is None else positions)
                handler.outbox.arrange(positions)
                queues.append(Queue(index, handler.rows[positions]))
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
        """Send one batch of a queue; returns how many questions were sent or refused (0: socket full)."""
        handler, opened = self._opened.handlers[queue.handler_index]
        rows = queue.rows[queue.cursor : queue.cursor + most]
        before_ns = time.monotonic_ns()
        if isinstance(handler, StampHandler):
            handler.stamp(self._opened.position[rows], wall_ns=time.time_ns())
        running.expect(rows, now_ns=before_ns)
        sent, error = handler.outbox.send(opened.fileno(), queue.cursor, len(rows))
        running.expect(rows[max(0, sent) :], now_ns=0)
        if sent:
            running.note_sent(rows[:sent], before_ns=before_ns, after_ns=time.monotonic_ns())
            queue.cursor += sent
            return sent
        if error == errno.EAGAIN:
            return 0
        if error in _PENDING_ERRORS:
            sent, error = handler.outbox.send(opened.fileno(), queue.cursor, 1)
            if sent:
                running.note_sent(rows[:1], before_ns=before_ns, after_ns=time.monotonic_ns())
                queue.cursor += 1
                return 1
        running.note_refused(int(rows[0]), errno=error, at_ns=before_ns, unreachable=error in _NO_ROUTE)
        queue.cursor += 1
        return 1

    def _drain(self) -> None:
        self._unread = 0
        for receiver in self._opened.readable():
            while (arrived := receiver.inbox.receive(receiver.socket.fileno())) is not None:
                now_ns = time.monotonic_ns()
                offset_ns = time.time_ns() - now_ns
                receiver.drops = max(receiver.drops, arrived.drops)
                new = sum(self._note(answers, offset_ns, now_ns) for answers in receiver.read(arrived))
                self.strays += len(arrived) - new
                if len(arrived) < receiver.inbox.capacity:
                    break

    def _note(self, answers: SweepAnswers, offset_ns: int, now_ns: int) -> int:
        if not len(answers):
            return 0
        new, matched = 0, np.zeros(len(answers), dtype=np.bool_)
        for number, running in self._rounds.items():
            here = answers.rounds == number
            if here.all():
                return running.note(answers, wall_offset_ns=offset_ns, now_ns=now_ns)
            if here.any():
                new += running.note(answers.pick(here), wall_offset_ns=offset_ns, now_ns=now_ns)
            matched |= here
        self._late.add(answers.pick(~matched))
        return new
