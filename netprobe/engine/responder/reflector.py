"""The Session-Reflector's memory (RFC 8762, section 4.3, stateful): counters, replays, who asked. Pure.

Rules: only requests proven by the asker's key come here. A request is answered once: a repeat (from the
network or from someone who recorded it) is dropped, as RFC 4303 section 3.4.3 does with a sliding window.
After a restart the windows are gone; so a request counts as heard only if it repeats our nonce, which is new
at every start, or was sealed after our start by the asker's clock. Any other is answered with the nonce.
Memory is bounded: the session unused for longest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from netprobe.model.names import CheckId
from netprobe.model.window import ReceivedCount
from netprobe.wire.stamp import Request, StampAnswer, ntp_of, unix_of

MAX_SESSIONS = 20_000
REPLAY_BITS = 256
LEAST_MTU, MOST_MTU = 68, 0xFFFF
"""What a router may tell (RFC 791; the field of an answer has 16 bits)."""
_make = tuple.__new__
"""A named tuple without its own ``__new__``, which takes several times as long."""
_ALL_BITS = (1 << REPLAY_BITS) - 1
MAX_SKEW_NS = 600_000_000_000
"""Askers' clocks that differ more than this from ours are not used to choose the interval."""


@dataclass(slots=True)
class _Session:
    received: int = 0
    answered: int = 0
    newest: int = 0
    seen_bits: int = 0
    told_mtu: int = 0

    def is_new(self, sequence: int) -> bool:
        """Whether this sequence number was not seen before; remembers it."""
        ahead = sequence - self.newest
        if ahead > 0:
            self.seen_bits = (self.seen_bits << ahead | 1) & _ALL_BITS if ahead < REPLAY_BITS else 1
            self.newest = sequence
            return True
        bit = 1 << -ahead
        if -ahead >= REPLAY_BITS or self.seen_bits & bit:
            return False
        self.seen_bits |= bit
        return True


class Arrival(NamedTuple):
    """How a request came in; a tuple, because one is made per packet."""

    received_ns: int
    """Wall time."""
    source: str
    source_port: int
    local_port: int
    ttl: int


class Reflector:
    """Answers requests and counts what it heard."""

    def __init__(self, name: str, *, nonce: int, started_s: int, max_sessions: int = MAX_SESSIONS) -> None:
        self._name = name
        self._nonce = nonce
        self._started_s = started_s
        self._max_sessions = max_sessions
        self._sessions: OrderedDict[tuple[int, int], _Session] = OrderedDict()
        """By check and boot, which is inverted for requests that may be older than we are."""
        self._heard: dict[int, dict[int, int]] = {}
        """By the interval's start and the check."""
        self._counts = 0
        """How many of them."""

    def reflect(self, request: Request, arrival: Arrival, *, interval_ns: int) -> StampAnswer | None:
        """The answer to give, or None for a repeat; when it leaves is marked then."""
        check, boot, sequence, sent, sent_count, _, asker, nonce, sent_s = request
        received_ns, source, source_port, local_port, ttl = arrival
        is_known = not asker or nonce == self._nonce
        is_fresh = is_known or sent_s > self._started_s
        session = self._find((check, boot if is_fresh else ~boot))
        if sequence == session.newest + 1:  # what is_new would find, for nearly all
            session.seen_bits = (session.seen_bits << 1 | 1) & _ALL_BITS
            session.newest = sequence
        elif not session.is_new(sequence):
            return None
        session.received = received = session.received + 1
        session.answered = answered = session.answered + 1
        if is_fresh:
            self._count(check, unix_of(sent), received_ns, interval_ns)
        # fmt: off
        return _make(StampAnswer, (
            check, boot, sequence, sent, ntp_of(received_ns), 0,
            sent_count, received, answered,
            source, source_port, local_port, ttl, self._name, session.told_mtu,
            bool(asker), 0 if is_known else self._nonce, False,
        ))
        # fmt: on

    def point_out(self, request: Request, arrival: Arrival) -> StampAnswer:
        """The answer to a request that was sealed for another agent: who we are, and nothing is counted."""
        # fmt: off
        return StampAnswer(
            request.check, request.boot, request.sequence, request.sent_ntp, ntp_of(arrival.received_ns), 0,
            0, 0, 0, arrival.source, arrival.source_port, arrival.local_port, arrival.ttl, self._name,
            is_paired=True, is_astray=True,
        )
        # fmt: on

    def note_mtu(self, check: int, boot: int, mtu: int) -> None:
        """A router said of an answer of this session that it passes only so many bytes (RFC 1191, RFC 8201).

        Errors can be forged: only a session that is known counts, and it is reported, not obeyed.
        """
        session = self._sessions.get((check, boot)) or self._sessions.get((check, ~boot))
        if session is not None and LEAST_MTU <= mtu <= MOST_MTU:
            session.told_mtu = min(mtu, session.told_mtu or mtu)

    def heard(self, *, until_ns: int, everything_ns: int) -> tuple[ReceivedCount, ...]:
        """Hand over, once, the counts of intervals before *until_ns* or after *everything_ns* (wall time).

        The second bound is for askers whose clocks run ahead of ours.
        """
        ready = [start for start in self._heard if start < until_ns or start >= everything_ns]
        told = [
            ReceivedCount(CheckId(check), start, received)
            for start in sorted(ready)
            for check, received in sorted(self._heard.pop(start).items())
        ]
        self._counts -= len(told)
        return tuple(told)

    def _find(self, key: tuple[int, int]) -> _Session:
        session = self._sessions.get(key)
        if session is None:
            session = self._sessions[key] = _Session()
            if key[1] >= 0:  # it goes on with requests that are known to be new
                self._sessions.pop((key[0], ~key[1]), None)
            if len(self._sessions) > self._max_sessions:
                self._sessions.popitem(last=False)
        else:
            self._sessions.move_to_end(key)
        return session

    def _count(self, check: int, at_ns: int, received_ns: int, interval_ns: int) -> None:
        """The interval is the asker's own: the one in which it counts the probe as sent."""
        if not -MAX_SKEW_NS <= at_ns - received_ns <= MAX_SKEW_NS:
            at_ns = received_ns
        start_ns = at_ns - at_ns % interval_ns
        counts = self._heard.get(start_ns)
        if counts and check in counts:
            counts[check] += 1
        elif self._counts < self._max_sessions:
            self._counts += 1
            self._heard.setdefault(start_ns, {})[check] = 1
