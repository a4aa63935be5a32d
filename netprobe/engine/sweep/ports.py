"""Port verdicts for masses of hosts and ports: open, closed, filtered, rejected, unknown."""

from __future__ import annotations

import errno
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.engine.sweep.connect import Door, sweep_connects
from netprobe.engine.sweep.inquiry import Inquiry, Patience
from netprobe.engine.sweep.questions import Code, Codes, Kind, Questions, RoundResult
from netprobe.engine.sweep.rounds import Round
from netprobe.engine.sweep.sweep import Pace, Sweep
from netprobe.errors import SurroundingsError
from netprobe.model.outcome import Reached, Refused, Rejected, TimedOut
from netprobe.model.verdict import PortVerdict, Transport, Verdict
from netprobe.probes.ports import LIMITED
from netprobe.wire.batch import U16, Flags, Indices, Rows, address_text, pack_addresses

OWN_FILTER = "this host's own packet filter drops it"
SILENT = "nothing on this host answered"
_MS = 1_000_000
_TIMEOUT_NS = 500 * _MS
"""How long a host is waited for that has not shown itself in this sweep; and nobody longer than that."""
_LEAST_QUIET_NS = 80 * _MS
"""A pass is over when all its hosts have shown themselves and this long, or four times the slowest answer,
nothing has come in. Until then nobody wakes for an answer: each knows when it came. Should that be too short
for a host, its controls stay away, too."""
_TICK_NS = 20 * _MS
_BATCH = 512
"""Packets per system call, more than where times count. A tick's worth stays within the 1,000 packets that
Linux queues per processor (``netdev_max_backlog``): ticks of 2,000 lost some on a busy machine."""
_CODES: dict[type, Code] = {
    Reached: Code.REACHED, Refused: Code.REFUSED, Rejected: Code.REJECTED, TimedOut: Code.TIMED_OUT
}  # fmt: skip
_KINDS = {Transport.TCP: Kind.SYN, Transport.UDP: Kind.DATAGRAM}


@dataclass(frozen=True, slots=True)
class PortSweep:
    """Verdicts on all pairs of target and port, target by target."""

    transport: Transport
    addresses: Rows
    ports: U16
    verdicts: NDArray[np.str_]
    """Words of :class:`Verdict`."""
    senders: Rows
    types: NDArray[np.uint8]
    codes: NDArray[np.uint8]
    outcomes: NDArray[np.uint8]
    """What stands behind each verdict (``questions.Code``)."""
    errnos: NDArray[np.int16]
    """Why our own kernel would not send, else 0; EPERM is its packet filter's word (netfilter)."""
    probes: int
    """Packets sent for all of it."""
    passes: int
    careful: tuple[str, ...]
    """Hosts that refuse only so many packets per second and were therefore asked slowly."""

    def verdict(self, row: int) -> PortVerdict:
        """One pair as a value of the model."""
        address, word = address_text(self.addresses[row]), Verdict(str(self.verdicts[row]))
        port = int(self.ports[row])
        if word is Verdict.REJECTED:
            kind, code = int(self.types[row]), int(self.codes[row])
            sender = address_text(self.senders[row])
            return PortVerdict(address, self.transport, port, word, sender, kind, code)
        return PortVerdict(address, self.transport, port, word, reason=self._reason(row, word))

    def _reason(self, row: int, word: Verdict) -> str:
        if word is Verdict.FILTERED and self.errnos[row] == errno.EPERM:
            return OWN_FILTER
        if word is not Verdict.UNKNOWN:
            return ""
        if self.outcomes[row] == Code.NOT_MEASURED:
            return "our own machine would not send"
        if self.outcomes[row] == Code.PENDING:
            return LIMITED
        return SILENT


def with_witnesses(verdicts: Iterable[PortVerdict]) -> list[PortVerdict]:
    """The same verdicts of one question; silence says something beside whatever else the host answered."""
    told = list(verdicts)
    alive = {one.address for one in told if one.verdict in {Verdict.OPEN, Verdict.CLOSED}}
    return [
        PortVerdict(one.address, one.transport, one.port, Verdict.FILTERED)
        if one.reason == SILENT and one.address in alive
        else one
        for one in told
    ]


def sweep_ports(
    targets: Sequence[str],
    ports: Sequence[int],
    transport: Transport,
    *,
    rate: float | None = 50_000,
    patience: Patience | None = None,
    within_ns: int = 120_000_000_000,
    seed: int | None = None,
) -> PortSweep:
    """Ask every one of *ports* on every one of *targets*; the rest is as :func:`sweep_doors` says."""
    asked = dict.fromkeys(targets, tuple(dict.fromkeys(ports)))
    return sweep_doors(asked, transport, rate=rate, patience=patience, within_ns=within_ns, seed=seed)


def sweep_doors(
    doors: Mapping[str, Sequence[int]],
    transport: Transport,
    *,
    rate: float | None = 50_000,
    patience: Patience | None = None,
    within_ns: int = 120_000_000_000,
    seed: int | None = None,
) -> PortSweep:
    """Ask each address of *doors* for its own ports, at most *rate* packets per second.

    Hosts that limit their answers are asked slowly, but not beyond *within_ns*: what is undecided then is
    ``unknown``. One echo per host serves as witness for hosts on which no port answers. Without NET_RAW, TCP
    is asked by connecting, and only what another port of the host answered serves as witness.
    """
    started_ns = time.monotonic_ns()
    packed = pack_addresses(list(doors))
    hosts = np.repeat(np.arange(len(packed)), [len(ports) for ports in doors.values()])
    asked = np.concatenate([np.asarray(ports, dtype=np.int64) for ports in doors.values()])
    pairs = Questions.of(_KINDS[transport], packed[hosts], ports=asked)
    questions = pairs.plus(Questions.of(Kind.ICMP, packed))
    seed = secrets.randbits(32) if seed is None else seed
    inquiry = Inquiry(hosts, seed=seed, patience=patience)
    try:
        sweep = Sweep(questions, key=secrets.token_bytes(16), seed=seed)
    except SurroundingsError:
        if transport is not Transport.TCP:
            raise
        alive, probes = _connect(inquiry, pairs, rate=rate or 2000.0)
        return _conclude(transport, pairs, inquiry, alive, probes)
    with sweep:
        asker = _Asker(sweep, inquiry, rate=rate, deadline_ns=started_ns + within_ns)
        asker.run(witnesses=np.arange(len(pairs), len(questions)))
    return _conclude(transport, pairs, inquiry, asker.alive, asker.probes)


def _conclude(
    transport: Transport, pairs: Questions, inquiry: Inquiry, alive: Flags, probes: int
) -> PortSweep:
    first = np.unique(inquiry.hosts, return_index=True)[1]
    careful = first[inquiry.is_careful]
    return PortSweep(
        transport=transport,
        addresses=pairs.addresses,
        ports=pairs.ports,
        verdicts=_words(inquiry, alive),
        senders=inquiry.senders,
        types=inquiry.types,
        codes=inquiry.icmp_codes,
        outcomes=inquiry.codes,
        errnos=inquiry.errnos,
        probes=probes,
        passes=inquiry.passes,
        careful=tuple(address_text(pairs.addresses[row]) for row in careful),
    )


def _connect(inquiry: Inquiry, pairs: Questions, *, rate: float) -> tuple[Flags, int]:
    """Ask all pairs by connecting, the silent ones twice; which hosts live, and how many attempts it took."""
    alive = np.zeros(int(inquiry.hosts.max()) + 1, dtype=np.bool_)
    asked, probes = np.arange(len(pairs)), 0
    for _ in range(2):
        doors = [Door(address_text(pairs.addresses[row]), int(pairs.ports[row])) for row in asked]
        told = sweep_connects(doors, rate=min(rate, 2000.0))
        probes += len(doors)
        for row, outcome in zip(asked.tolist(), told, strict=True):
            inquiry.codes[row] = _CODES.get(type(outcome), Code.NOT_MEASURED)
            if isinstance(outcome, Rejected):
                inquiry.senders[row] = pack_addresses([outcome.sender])[0]
                inquiry.types[row], inquiry.icmp_codes[row] = outcome.icmp_type, outcome.icmp_code
            elif isinstance(outcome, (Reached, Refused)):
                alive[inquiry.hosts[row]] = True
        asked = asked[inquiry.codes[asked] == Code.TIMED_OUT]
    return alive, probes


class _Asker:
    """Drives an inquiry with a sweep; owns the clock."""

    def __init__(self, sweep: Sweep, inquiry: Inquiry, *, rate: float | None, deadline_ns: int) -> None:
        self._sweep, self._inquiry, self._deadline_ns = sweep, inquiry, deadline_ns
        # Each pass ends with a quiet time that is longer than a tick, so its first tick may leave at once.
        self._pace = Pace(
            rate=rate,
            timeout_ns=_TIMEOUT_NS,
            tick_ns=_TICK_NS,
            head_start_ns=_TICK_NS,
            most_ticks=1,
            batch=_BATCH,
        )
        self._slowest_ns = 0
        self.probes = 0
        self.alive: Flags = np.zeros(int(inquiry.hosts.max()) + 1, dtype=np.bool_)

    def run(self, *, witnesses: Indices) -> None:
        """Ask until every port has its verdict or time is over."""
        while not self._inquiry.done and (now_ns := time.monotonic_ns()) < self._deadline_ns:
            chosen = self._inquiry.next_pass(now_ns=now_ns)
            if chosen is None:
                wake_ns = min(self._inquiry.next_ns(), self._deadline_ns)
                time.sleep(max(0, wake_ns - time.monotonic_ns()) / 1e9)
                continue
            # A host that has shown nothing in the first pass is asked for an echo beside its ports.
            unseen = witnesses[~self.alive] if self._inquiry.passes else witnesses[:0]
            rows = np.concatenate([chosen.rows, unseen])
            result = self._ask(rows)
            self.probes += len(rows)
            self._inquiry.note(chosen, result, now_ns=time.monotonic_ns())
            for late in self._sweep.take_late():
                self._inquiry.note_late(late)
            self._note_alive(result.codes, chosen.rows, witnesses)
            self._slowest_ns = max(self._slowest_ns, int(result.rtts_ns.max(initial=0)))

    def _note_alive(self, codes: Codes, ports: Indices, witnesses: Indices) -> None:
        self.alive |= codes[witnesses] == Code.REACHED
        told = self._inquiry
        answered = ports[(codes[ports] == Code.REACHED) | (codes[ports] == Code.REFUSED)]
        rejected = ports[codes[ports] == Code.REJECTED]
        itself = (told.senders[rejected] == self._sweep.questions.addresses[rejected]).all(axis=1)
        self.alive[told.hosts[answered]] = True
        self.alive[told.hosts[rejected[itself]]] = True

    def _ask(self, rows: Indices) -> RoundResult:
        number = self._sweep.begin(self._pace, rows=rows)
        running = self._sweep.running(number)
        while (wake_ns := self._sweep.step()) is not None:
            now_ns = time.monotonic_ns()
            if running.all_sent and now_ns < (over_ns := self._over_ns(running)):
                time.sleep((min(over_ns, wake_ns) - now_ns) / 1e9)
            elif running.all_sent and self._all_shown(running, rows):
                break
            else:
                self._sweep.wait(number, until_ns=wake_ns)
        return self._sweep.finish(number)

    def _over_ns(self, running: Round) -> int:
        """When it has been quiet for long enough, as far as is known now."""
        slowest_ns = max(self._slowest_ns, int(running.rtts_ns.max(initial=0)))
        quiet_ns = max(_LEAST_QUIET_NS, 4 * slowest_ns)
        return max(running.last_sent_ns, running.last_news_ns) + quiet_ns

    def _all_shown(self, running: Round, rows: Indices) -> bool:
        """Whether every host that is asked has ever answered anything."""
        ports = rows[rows < len(self._inquiry.hosts)]
        hosts = self._inquiry.hosts[ports]
        shown = self.alive.copy()
        shown[hosts[running.codes[ports] != Code.PENDING]] = True
        return bool(shown[hosts].all())


def _words(inquiry: Inquiry, alive: Flags) -> NDArray[np.str_]:
    words = np.full(len(inquiry.codes), Verdict.UNKNOWN, dtype="U8")
    words[inquiry.codes == Code.REACHED] = Verdict.OPEN
    words[inquiry.codes == Code.REFUSED] = Verdict.CLOSED
    words[np.isin(inquiry.codes, (Code.REJECTED, Code.TOO_BIG))] = Verdict.REJECTED
    words[(inquiry.codes == Code.TIMED_OUT) & alive[inquiry.hosts]] = Verdict.FILTERED
    words[(inquiry.codes == Code.NOT_MEASURED) & (inquiry.errnos == errno.EPERM)] = Verdict.FILTERED
    return words
