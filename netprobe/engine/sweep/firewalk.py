"""Where silent ports are dropped: all of them walked side by side, one TTL after the other, as arrays.

At each TTL every suspect that came this far is sent, and one control per address behind them: its witness,
or, without one, a suspect that has just been named there. A router at which the TTL runs out names the packet
(RFC 792, RFC 4443). A suspect's silence counts in a try in which its control, sent last, was named, and
:data:`TRIES` of them are needed: a router that limits its ICMP names some controls, is asked more slowly and
at most :data:`MOST_TRIES` times; one that says nothing names none, and then the range grows to the next hop
that can be believed. A try in which we stood still ourselves is none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from netprobe.engine.sweep.adaptive_timeout import AdaptiveTimeout
from netprobe.engine.sweep.rounds import SweepRound
from netprobe.engine.sweep.sweep import Sweep, SweepSettings
from netprobe.engine.sweep.targets import (
    Codes,
    ResultCode,
    RoundResult,
    SweepTargets,
    TargetProtocol,
)
from netprobe.model.verdict import Transport
from netprobe.probes.drops import DropHop, DropLocation, Suspects
from netprobe.wire.batch import Flags, Indices, Rows, address_text, is_mapped

TRIES, MOST_TRIES = 3, 6
MAX_SILENT_HOPS = 4
"""So many hops in a row at which nobody is named end a suspect's walk."""
_TIMEOUT_NS = 400_000_000
_LEAST_QUIET_NS = 40_000_000
_PAUSE_S, _SLOWER, _LEAST_RATE = 0.25, 4, 100.0
"""A router that did not name every control gets this rest before the next try, and so many times less."""
_KINDS = {
    Transport.TCP: TargetProtocol.SYN,
    Transport.UDP: TargetProtocol.DATAGRAM,
    Transport.ICMP: TargetProtocol.ICMP,
}
_EXPIRED_V4, _EXPIRED_V6 = 11, 3
_NOBODY = -1


class FirewalkScan:
    """The state of all suspects. Pure: rows to ask come out, results go in.

    Rows 0 to *n* - 1 are the suspects, the rest are witnesses; *hosts* numbers the addresses from 0.
    """

    def __init__(self, hosts: Indices, witnesses: Indices, *, hops: int) -> None:
        self.hosts, self._witnesses = hosts, witnesses
        count = len(witnesses)
        self.last = np.zeros(len(hosts), dtype=np.int64)
        """The largest TTL at which each suspect was named."""
        self.lost = np.zeros(len(hosts), dtype=np.int64)
        """The TTL at which its silence counted; 0 for none yet."""
        self.is_over: Flags = np.zeros(len(hosts), dtype=np.bool_)
        self.has_answered: Flags = np.zeros(len(hosts), dtype=np.bool_)
        """Suspects that are not dropped now."""
        self.names: Rows = np.zeros((count, hops + 1, 16), dtype=np.uint8)
        """Who spoke for each address at each TTL."""
        self.is_named: Flags = np.zeros((count, hops + 1), dtype=np.bool_)
        self.has_arrived: Flags = np.zeros(count, dtype=np.bool_)
        """Addresses whose control came to its end."""
        self.ttl, self._tries = 1, 0
        self.is_limited = False
        """Whether at this TTL somebody named only some of what should be named."""
        self._hops = hops
        asking = np.nonzero(witnesses >= 0)[0]
        self._host_of = np.concatenate([hosts, asking[np.argsort(witnesses[asking])]])
        self._controls = witnesses.copy()
        self._witnessed = np.zeros(count, dtype=np.int64)
        self._open = np.arange(len(hosts))
        """Suspects not named at this TTL yet."""

    @property
    def is_done(self) -> bool:
        """Whether every suspect has its place, or none can be found."""
        return bool(self.is_over.all())

    def next_rows(self) -> Indices:
        """The suspects to ask now, and the controls of their addresses behind them."""
        wanted = np.unique(self.hosts[self._open])
        controls = self._controls[wanted]
        return np.concatenate([self._open, np.setdiff1d(controls[controls >= 0], self._open)])

    def controls_of(self, rows: Indices) -> Indices:
        """Which of *rows* are controls whose answer is awaited."""
        return np.intersect1d(rows, self._controls[self._controls >= 0])

    def note(self, result: RoundResult, expired: Flags, senders: Rows) -> None:
        """Take in one try; *expired* says of which rows a router said that the TTL ran out."""
        self._tries += 1
        codes, expired = result.codes, expired & ~self._is_stale(senders)
        self._note_controls(codes, expired, senders)
        named = self._open[expired[self._open]]
        self.last[named] = self.ttl
        self._name(self.hosts[named], senders[named])
        ended = self._open[_is_end(codes[self._open]) & ~expired[self._open]]
        self.is_over[ended] = True
        self.has_answered[ended] = True
        self._adopt_controls(named)
        self._open = self._open[~expired[self._open] & ~self.is_over[self._open]]
        if self._is_decided():
            self._close_hop()

    def _is_stale(self, senders: Rows) -> Flags:
        """Answers of the hop before, come too late: a datagram does not say which TTL it had."""
        hosts, before = self._host_of, self.ttl - 1
        same = (senders == self.names[hosts, before]).all(axis=1)
        return np.asarray(self.is_named[hosts, before] & same)

    def _is_decided(self) -> bool:
        """Whether more tries at this TTL would tell nothing more."""
        hosts = self.hosts[self._open]
        if self._tries < TRIES and len(hosts):
            return False
        spoken = self.is_named[hosts, self.ttl] | self.has_arrived[hosts]
        wanting = spoken & (self._witnessed[hosts] < TRIES)
        self.is_limited = bool(wanting.any())
        return not self.is_limited or self._tries >= MOST_TRIES

    def _note_controls(self, codes: Codes, expired: Flags, senders: Rows) -> None:
        hosts = np.nonzero(self._controls >= 0)[0]
        rows = self._controls[hosts]
        ended = (codes[rows] == ResultCode.REACHED) | (codes[rows] == ResultCode.REFUSED)
        told = expired[rows] | ended
        self._witnessed[hosts[told]] += 1
        self._name(hosts[expired[rows]], senders[rows[expired[rows]]])
        self.has_arrived[hosts[ended]] = True

    def _name(self, hosts: Indices, senders: Rows) -> None:
        self.names[hosts, self.ttl] = senders
        self.is_named[hosts, self.ttl] = True

    def _adopt_controls(self, named: Indices) -> None:
        """An address without a witness takes a suspect that was just named here."""
        hosts = self.hosts[named]
        bare = self._controls[hosts] == _NOBODY
        self._controls[hosts[bare]] = named[bare]
        self._witnessed[hosts[bare]] = 1

    def _close_hop(self) -> None:
        believed = self._witnessed[self.hosts[self._open]] >= TRIES
        lost = self._open[believed]
        self.lost[lost] = self.ttl
        self.is_over[lost] = True
        self.ttl += 1
        since = self.ttl - 1 - np.maximum(self.last, self._newest_name()[self.hosts])
        self.is_over |= (since >= MAX_SILENT_HOPS) | self.has_arrived[self.hosts]
        if self.ttl > self._hops:
            self.is_over[:] = True
        self._tries, self.is_limited = 0, False
        self._witnessed[:] = 0
        self._controls = self._witnesses.copy()
        self._open = np.nonzero(~self.is_over)[0]

    def _newest_name(self) -> Indices:
        ttls = np.arange(self.is_named.shape[1])
        newest: Indices = np.where(self.is_named, ttls, 0).max(axis=1)
        return newest


def _is_end(codes: Codes) -> Flags:
    """Answered or refused by somebody: nobody drops this packet."""
    return np.asarray(
        np.isin(codes, (ResultCode.REACHED, ResultCode.REFUSED, ResultCode.REJECTED, ResultCode.TOO_BIG))
    )


def walk_drops(
    suspects: Sequence[Suspects], *, hops: int, rate: float, within_ns: int, seed: int
) -> list[DropLocation]:
    """The place of each suspect that is still silent; one that answers now has none."""
    deadline_ns = time.monotonic_ns() + within_ns
    questions, hosts, witnesses = _questions(suspects)
    walk, pace, waiting = FirewalkScan(hosts, witnesses, hops=hops), rate, AdaptiveTimeout(_TIMEOUT_NS)
    with Sweep(questions, key=seed.to_bytes(16, "big"), seed=seed) as sweep:
        while not walk.is_done and time.monotonic_ns() < deadline_ns:
            if walk.is_limited:
                pace = max(_LEAST_RATE, pace / _SLOWER)
                time.sleep(_PAUSE_S)
            else:
                pace = rate
            rows = walk.next_rows()
            sweep.set_ttl(walk.ttl)
            result = _ask(sweep, rows, walk.controls_of(rows), waiting, rate=pace)
            if not result.stalled_ns:
                walk.note(result, _expired(result, questions), result.senders)
    return list(_drops(suspects, walk))


def _questions(suspects: Sequence[Suspects]) -> tuple[SweepTargets, Indices, Indices]:
    """All packets, the host of each suspect, and each host's witness row (or -1)."""
    kinds, addresses, ports, hosts = [], [], [], []
    for host, one in enumerate(suspects):
        for transport, port in one.ports:
            kinds.append(_KINDS[transport])
            addresses.append(one.address)
            ports.append(port)
            hosts.append(host)
    witnesses = np.full(len(suspects), _NOBODY, dtype=np.int64)
    for host, one in enumerate(suspects):
        if one.control is not None:
            witnesses[host] = len(kinds)
            kinds.append(_KINDS[one.control[0]])
            addresses.append(one.address)
            ports.append(one.control[1])
    asked = SweepTargets.of(TargetProtocol.ICMP, addresses)
    asked.kinds[:], asked.ports[:] = kinds, ports
    return asked, np.array(hosts, dtype=np.int64), witnesses


def _ask(
    sweep: Sweep, rows: Indices, controls: Indices, waiting: AdaptiveTimeout, *, rate: float
) -> RoundResult:
    """One try: over once every control was heard and it has been quiet, or when time is up."""
    pace = SweepSettings(rate=rate, timeout_ns=waiting.timeout_ns, late_counts=True)
    number = sweep.begin(pace, rows=rows)
    while (wake_ns := sweep.step()) is not None:
        running = sweep.running(number)
        if running.all_sent and len(controls) and _are_heard(running, controls):
            quiet_ns = waiting.quiet_ns(_LEAST_QUIET_NS, int(running.rtts_ns.max(initial=0)))
            over_ns = max(running.last_sent_ns, running.last_news_ns) + quiet_ns
            if time.monotonic_ns() >= over_ns:
                break
            wake_ns = min(wake_ns, over_ns)
        sweep.wait(number, until_ns=wake_ns)
    result = sweep.finish(number)
    waiting.note(result, is_late=bool(sweep.take_late()))
    return result


def _are_heard(running: SweepRound, controls: Indices) -> bool:
    return bool((running.codes[controls] != ResultCode.PENDING).all())


def _expired(result: RoundResult, questions: SweepTargets) -> Flags:
    v4 = is_mapped(questions.addresses)
    of_kind = np.where(v4, _EXPIRED_V4, _EXPIRED_V6) == result.types
    return np.asarray((result.codes == ResultCode.REJECTED) & of_kind & (result.errnos == 0))


def _drops(suspects: Sequence[Suspects], walk: FirewalkScan) -> Iterator[DropLocation]:
    doors = [(one.address, *door) for one in suspects for door in one.ports]
    for row, (address, transport, port) in enumerate(doors):
        host, last, lost = int(walk.hosts[row]), int(walk.last[row]), int(walk.lost[row])
        if walk.has_answered[row]:
            continue
        before = DropHop(last, address_text(walk.names[host, last]) if last else "")
        yield DropLocation(address, transport, port, before, _after(walk, host, lost, address))


def _after(walk: FirewalkScan, host: int, lost: int, address: str) -> DropHop | None:
    if not lost:
        return None
    if walk.is_named[host, lost]:
        return DropHop(lost, address_text(walk.names[host, lost]))
    return DropHop(lost, address)
