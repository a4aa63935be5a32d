"""Firewalk of many silent ports in parallel, one TTL after another, as arrays.

At each TTL every suspect that got this far is sent, followed by one control probe per address: its control
port or, without one, a suspect that was just named there. A router at which the TTL expires names the packet
(RFC 792, RFC 4443). A suspect's silence counts in a try in which its control probe, sent last, was named, and
:data:`TRIES` of them are needed. A router that limits its ICMP names only some control probes; it is asked
more slowly, at most :data:`MOST_TRIES` times. A silent router names none; then the drop is located up to the
next hop that answers. Tries in which we stalled do not count.
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
"""Number of consecutive silent hops that ends a suspect's walk."""
_TIMEOUT_NS = 400_000_000
_LEAST_QUIET_NS = 40_000_000
_PAUSE_S, _SLOWER, _LEAST_RATE = 0.25, 4, 100.0
"""Pause before the next try if a router did not name every control probe, and how much slower it is."""
_KINDS = {
    Transport.TCP: TargetProtocol.SYN,
    Transport.UDP: TargetProtocol.DATAGRAM,
    Transport.ICMP: TargetProtocol.ICMP,
}
_EXPIRED_V4, _EXPIRED_V6 = 11, 3
_NO_ROW = -1


class FirewalkScan:
    """The state of all suspects. Pure: returns rows to ask, accepts results.

    Rows 0 to *n* - 1 are the suspects, the rest are control ports; *hosts* numbers the addresses from 0.
    """

    def __init__(self, hosts: Indices, witnesses: Indices, *, hops: int) -> None:
        self.hosts, self._witnesses = hosts, witnesses
        count = len(witnesses)
        self.last = np.zeros(len(hosts), dtype=np.int64)
        """The largest TTL at which each suspect was named."""
        self.lost = np.zeros(len(hosts), dtype=np.int64)
        """The TTL at which its silence counted; 0 if it has not yet."""
        self.is_over: Flags = np.zeros(len(hosts), dtype=np.bool_)
        self.has_answered: Flags = np.zeros(len(hosts), dtype=np.bool_)
        """Suspects that are not dropped now."""
        self.names: Rows = np.zeros((count, hops + 1, 16), dtype=np.uint8)
        """The router that answered for each address at each TTL."""
        self.is_named: Flags = np.zeros((count, hops + 1), dtype=np.bool_)
        self.has_arrived: Flags = np.zeros(count, dtype=np.bool_)
        """Addresses whose control probe reached its target."""
        self.ttl, self._tries = 1, 0
        self.is_limited = False
        """Whether a router at this TTL named only some of the control probes."""
        self._hops = hops
        asking = np.nonzero(witnesses >= 0)[0]
        self._host_of = np.concatenate([hosts, asking[np.argsort(witnesses[asking])]])
        self._controls = witnesses.copy()
        self._witnessed = np.zeros(count, dtype=np.int64)
        self._open = np.arange(len(hosts))
        """Suspects that are not named at this TTL yet."""

    @property
    def is_done(self) -> bool:
        """Whether every suspect is located, or cannot be."""
        return bool(self.is_over.all())

    def next_rows(self) -> Indices:
        """The suspects to ask now, followed by the control probes of their addresses."""
        wanted = np.unique(self.hosts[self._open])
        controls = self._controls[wanted]
        return np.concatenate([self._open, np.setdiff1d(controls[controls >= 0], self._open)])

    def controls_of(self, rows: Indices) -> Indices:
        """The *rows* that are control probes."""
        return np.intersect1d(rows, self._controls[self._controls >= 0])

    def note(self, result: RoundResult, expired: Flags, senders: Rows) -> None:
        """Process one try; *expired* flags the rows for which a router reported an expired TTL."""
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
        """Late answers of the previous hop, because a quoted datagram does not show its original TTL."""
        hosts, before = self._host_of, self.ttl - 1
        same = (senders == self.names[hosts, before]).all(axis=1)
        return np.asarray(self.is_named[hosts, before] & same)

    def _is_decided(self) -> bool:
        """Whether more tries at this TTL are useless."""
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
        named = expired[rows] | ended
        self._witnessed[hosts[named]] += 1
        self._name(hosts[expired[rows]], senders[rows[expired[rows]]])
        self.has_arrived[hosts[ended]] = True

    def _name(self, hosts: Indices, senders: Rows) -> None:
        self.names[hosts, self.ttl] = senders
        self.is_named[hosts, self.ttl] = True

    def _adopt_controls(self, named: Indices) -> None:
        """Use a suspect that was just named as the control probe of an address without a control port."""
        hosts = self.hosts[named]
        bare = self._controls[hosts] == _NO_ROW
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
    """Codes of packets that were answered or refused, so they are not dropped."""
    return np.asarray(
        np.isin(codes, (ResultCode.REACHED, ResultCode.REFUSED, ResultCode.REJECTED, ResultCode.TOO_BIG))
    )


def walk_drops(
    suspects: Sequence[Suspects], *, hops: int, rate: float, within_ns: int, seed: int
) -> list[DropLocation]:
    """The drop location of each suspect that is still silent; suspects that answer now are left out."""
    deadline_ns = time.monotonic_ns() + within_ns
    questions, hosts, witnesses = _questions(suspects)
    walk, pace, timeout = FirewalkScan(hosts, witnesses, hops=hops), rate, AdaptiveTimeout(_TIMEOUT_NS)
    with Sweep(questions, key=seed.to_bytes(16, "big"), seed=seed) as sweep:
        while not walk.is_done and time.monotonic_ns() < deadline_ns:
            if walk.is_limited:
                pace = max(_LEAST_RATE, pace / _SLOWER)
                time.sleep(_PAUSE_S)
            else:
                pace = rate
            rows = walk.next_rows()
            sweep.set_ttl(walk.ttl)
            result = _ask(sweep, rows, walk.controls_of(rows), timeout, rate=pace)
            if not result.stalled_ns:
                walk.note(result, _expired(result, questions), result.senders)
    return list(_drops(suspects, walk))


def _questions(suspects: Sequence[Suspects]) -> tuple[SweepTargets, Indices, Indices]:
    """All packets, the host of each suspect, and the row of each host's control port (or -1)."""
    kinds, addresses, ports, hosts = [], [], [], []
    for host, one in enumerate(suspects):
        for transport, port in one.ports:
            kinds.append(_KINDS[transport])
            addresses.append(one.address)
            ports.append(port)
            hosts.append(host)
    witnesses = np.full(len(suspects), _NO_ROW, dtype=np.int64)
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
    sweep: Sweep, rows: Indices, controls: Indices, timeout: AdaptiveTimeout, *, rate: float
) -> RoundResult:
    """One try, which ends when every control probe was answered and no more answers come, or times out."""
    pace = SweepSettings(rate=rate, timeout_ns=timeout.timeout_ns, late_counts=True)
    number = sweep.begin(pace, rows=rows)
    while (wake_ns := sweep.step()) is not None:
        running = sweep.running(number)
        if running.all_sent and len(controls) and _are_answered(running, controls):
            quiet_ns = timeout.quiet_ns(_LEAST_QUIET_NS, int(running.rtts_ns.max(initial=0)))
            over_ns = max(running.last_sent_ns, running.last_news_ns) + quiet_ns
            if time.monotonic_ns() >= over_ns:
                break
            wake_ns = min(wake_ns, over_ns)
        sweep.wait(number, until_ns=wake_ns)
    result = sweep.finish(number)
    timeout.note(result, is_late=bool(sweep.take_late()))
    return result


def _are_answered(running: SweepRound, controls: Indices) -> bool:
    return bool((running.codes[controls] != ResultCode.PENDING).all())


def _expired(result: RoundResult, questions: SweepTargets) -> Flags:
    v4 = is_mapped(questions.addresses)
    of_kind = np.where(v4, _EXPIRED_V4, _EXPIRED_V6) == result.types
    return np.asarray((result.codes == ResultCode.REJECTED) & of_kind & (result.errnos == 0))


def _drops(suspects: Sequence[Suspects], walk: FirewalkScan) -> Iterator[DropLocation]:
    suspect_ports = [(one.address, *port) for one in suspects for port in one.ports]
    for row, (address, transport, port) in enumerate(suspect_ports):
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
