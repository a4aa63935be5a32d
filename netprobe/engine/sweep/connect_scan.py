"""Port scan without NET_RAW: many non-blocking connects in parallel.

An established connection is reset at once (SO_LINGER 0), so nothing stays on the target. The kernel's error
queue (IP_RECVERR) distinguishes an ICMP error from a RST, and names its sender (ip(7)).

Rule: the kernel is polled once more after the timeout of a connection, before its silence counts; silence
does not count if this process stalled meanwhile.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netprobe.engine.stall_tracker import StallTracker, not_measured
from netprobe.engine.sweep.pacer import Pacer
from netprobe.model.outcome import NotMeasured, Outcome, Reached, Refused, Rejected, TimedOut
from netprobe.model.prose import Prose
from netprobe.wire.batch_quote import ERRORS_V4, ERRORS_V6

_IP_RECVERR, _IPV6_RECVERR = 11, 25
_ICMP_ORIGINS = (2, 3)
_RESET = struct.pack("ii", 1, 0)
_TICK_NS = 5_000_000
_PENDING = frozenset({0, errno.EINPROGRESS})


@dataclass(frozen=True, slots=True)
class ConnectTarget:
    """An address and port."""

    address: str
    port: int


@dataclass(slots=True)
class _ConnectAttempt:
    door: int
    opened: socket.socket
    started_ns: int


def sweep_connects(
    doors: Sequence[ConnectTarget],
    *,
    at_once: int = 256,
    rate: float = 2000,
    timeout_ns: int = 800_000_000,
    protocol: int = 0,
) -> list[Outcome]:
    """Connect to every port, at most *at_once* at a time and *rate* per second; outcomes in their order.

    *protocol* is TCP, or another stream protocol of the kernel (``IPPROTO_SCTP``).
    """
    outcomes: list[Outcome] = [NotMeasured(Prose("not asked"))] * len(doors)
    knocking: dict[int, _ConnectAttempt] = {}
    waiting = iter(range(len(doors)))
    started, stalls = 0, StallTracker()
    pacer = Pacer(start_ns=time.monotonic_ns() - _TICK_NS, rate=rate, tick_ns=_TICK_NS)
    with select.epoll() as poll:
        try:
            while started < len(doors) or knocking:
                due = pacer.allow(now_ns=time.monotonic_ns(), sent=started)
                for door in _next(waiting, min(due, at_once - len(knocking))):
                    started += 1
                    knock = _knock(doors[door], door, protocol)
                    if isinstance(knock, _ConnectAttempt):
                        knocking[knock.opened.fileno()] = knock
                        poll.register(knock.opened, select.EPOLLOUT | select.EPOLLERR)
                    else:
                        outcomes[door] = knock
                now_ns = time.monotonic_ns()
                news = poll.poll(_TICK_NS / 1e9)
                stalls.note(due_ns=now_ns + _TICK_NS, now_ns=time.monotonic_ns())
                for fileno, _ in news:
                    knock = knocking.pop(fileno)
                    outcomes[knock.door] = _judge(knock)
                    knock.opened.close()
                _expire(knocking, outcomes, stalls, timeout_ns=timeout_ns, now_ns=now_ns)
        finally:
            for knock in knocking.values():
                knock.opened.close()
    return outcomes


def _next(waiting: Iterator[int], count: int) -> list[int]:
    return [door for _, door in zip(range(count), waiting, strict=False)]


def _knock(door: ConnectTarget, index: int, protocol: int) -> _ConnectAttempt | NotMeasured:
    v6 = ":" in door.address
    try:
        opened = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_STREAM, protocol)
    except OSError as error:
        return NotMeasured(Prose(f"no socket: {error.strerror}"))
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    level, option = (socket.IPPROTO_IPV6, _IPV6_RECVERR) if v6 else (socket.IPPROTO_IP, _IP_RECVERR)
    opened.setsockopt(level, option, 1)
    started_ns = time.monotonic_ns()
    code = opened.connect_ex((door.address, door.port))
    if code in _PENDING:
        return _ConnectAttempt(index, opened, started_ns)
    opened.close()
    return NotMeasured(Prose(f"the kernel did not send it (errno {code})"))


def _judge(knock: _ConnectAttempt) -> Outcome:
    rtt_ns = max(1, time.monotonic_ns() - knock.started_ns)
    if (rejected := _read_error(knock.opened)) is not None:
        return rejected
    code = knock.opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code == 0:
        return Reached(rtt_ns)
    if code == errno.ECONNREFUSED:
        return Refused(rtt_ns)
    if code == errno.ETIMEDOUT:
        return TimedOut(rtt_ns)
    return NotMeasured(Prose(f"connect failed (errno {code})"))


def _read_error(opened: socket.socket) -> Rejected | None:
    """The ICMP error in the kernel's queue, if any: ``struct sock_extended_err`` and its sender."""
    try:
        _, control, _, _ = opened.recvmsg(1, 256, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for _, _, data in control:
        _, origin, kind, code = struct.unpack_from("=IBBB", data)
        if origin not in _ICMP_ORIGINS or kind not in (*ERRORS_V4, *ERRORS_V6):
            continue
        family = int.from_bytes(data[16:18], "little")
        raw = data[20:24] if family == socket.AF_INET else data[24:40]
        return Rejected(socket.inet_ntop(socket.AddressFamily(family), raw), kind, code)
    return None


def _expire(
    knocking: dict[int, _ConnectAttempt],
    outcomes: list[Outcome],
    stalls: StallTracker,
    *,
    timeout_ns: int,
    now_ns: int,
) -> None:
    """Close attempts that timed out before *now_ns*, when the kernel was last polled."""
    for fileno in [number for number, knock in knocking.items() if now_ns - knock.started_ns > timeout_ns]:
        knock = knocking.pop(fileno)
        stalled_ns = stalls.total_ns(since_ns=knock.started_ns, until_ns=now_ns)
        is_doubted = 2 * stalled_ns > timeout_ns
        outcomes[knock.door] = not_measured(stalled_ns) if is_doubted else TimedOut(timeout_ns)
        knock.opened.close()
