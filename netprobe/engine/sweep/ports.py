"""Port verdicts for masses of hosts and ports: open, closed, filtered, rejected, unknown."""

from __future__ import annotations

import errno
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.engine.sweep.connect_scan import ConnectTarget, sweep_connects
from netprobe.engine.sweep.port_scan import PortScanner
from netprobe.engine.sweep.port_scan_policy import PortScan, RetryPolicy
from netprobe.engine.sweep.sweep import Sweep
from netprobe.engine.sweep.targets import ResultCode, SweepTargets, TargetProtocol
from netprobe.errors import SystemRefusedError
from netprobe.model.outcome import NotMeasured, OwnFault, Reached, Refused, Rejected, TimedOut
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PortVerdict, Transport, Verdict
from netprobe.wire.batch import U16, Flags, Rows, address_text, pack_addresses

OWN_FILTER = Reason(ReasonCode.OWN_FILTER)
NOT_SENT = Reason(ReasonCode.NOT_SENT)
SILENT_HOST = Reason(ReasonCode.SILENT_HOST)
_CONNECTS, _MOST_CONNECTS = 2, 6
"""So many silences of a connection count; so often, with those in which we stood still, it is tried."""
_CODES: dict[type, ResultCode] = {
    Reached: ResultCode.REACHED, Refused: ResultCode.REFUSED, Rejected: ResultCode.REJECTED,
    TimedOut: ResultCode.TIMED_OUT
}  # fmt: skip
_KINDS = {Transport.TCP: TargetProtocol.SYN, Transport.UDP: TargetProtocol.DATAGRAM}


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
    """The result code behind each verdict (`ResultCode`)."""
    errnos: NDArray[np.int16]
    """Why our own kernel would not send, else 0; EPERM is its packet filter's word (netfilter)."""
    probes: int
    """Packets sent for all of it."""
    passes: int
    careful: tuple[str, ...]
    """Hosts that refuse only so many packets per second and were therefore asked slowly."""
    fallen: Flags
    """Pairs whose host had shown itself and then fell silent altogether, so that no verdict is possible."""
    stalled_ms: int
    """For how long we stood still ourselves, where therefore some silence said nothing; else 0."""

    def verdict(self, row: int) -> PortVerdict:
        """One pair as a value of the model."""
        address, word = address_text(self.addresses[row]), Verdict(str(self.verdicts[row]))
        port = int(self.ports[row])
        if word is Verdict.REJECTED:
            kind, code = int(self.types[row]), int(self.codes[row])
            sender = address_text(self.senders[row])
            return PortVerdict(address, self.transport, port, word, sender, kind, code)
        return PortVerdict(address, self.transport, port, word, reason=self._reason(row, word))

    def _reason(self, row: int, word: Verdict) -> Reason | None:
        if word is Verdict.FILTERED and self.errnos[row] == errno.EPERM:
            return OWN_FILTER
        if word is not Verdict.UNKNOWN:
            return None
        if self.outcomes[row] == ResultCode.NOT_MEASURED:
            return NOT_SENT
        if self.outcomes[row] == ResultCode.PENDING:
            return self._undecided(row)
        return SILENT_HOST

    def _undecided(self, row: int) -> Reason:
        if self.stalled_ms:
            return Reason(ReasonCode.STALLED, for_ms=self.stalled_ms)
        if self.fallen[row]:
            return Reason(ReasonCode.FELL_SILENT)
        is_limited = address_text(self.addresses[row]) in self.careful
        return Reason(ReasonCode.ANSWERS_LIMITED if is_limited else ReasonCode.OUT_OF_TIME)


def with_witnesses(verdicts: Iterable[PortVerdict]) -> list[PortVerdict]:
    """The same verdicts of one question; silence says something beside whatever else the host answered."""
    told = list(verdicts)
    alive = {one.address for one in told if one.verdict in {Verdict.OPEN, Verdict.CLOSED}}
    return [
        PortVerdict(one.address, one.transport, one.port, Verdict.FILTERED)
        if one.reason == SILENT_HOST and one.address in alive
        else one
        for one in told
    ]


def sweep_doors(
    doors: Mapping[str, Sequence[int]],
    transport: Transport,
    *,
    rate: float | None = 50_000,
    patience: RetryPolicy | None = None,
    within_ns: int = 120_000_000_000,
    seed: int | None = None,
) -> PortSweep:
    """Probe the ports given for each address, at most *rate* packets per second.

    Hosts that limit their answers are asked slowly, but not beyond *within_ns*: what is undecided then is
    ``unknown``. One echo per host serves as control for hosts on which no port answers. Without NET_RAW, TCP
    is asked by connecting, and only what another port of the host answered serves as control.
    """
    started_ns = time.monotonic_ns()
    packed = pack_addresses(list(doors))
    hosts = np.repeat(np.arange(len(packed)), [len(ports) for ports in doors.values()])
    asked = np.concatenate([np.asarray(ports, dtype=np.int64) for ports in doors.values()])
    pairs = SweepTargets.of(_KINDS[transport], packed[hosts], ports=asked)
    questions = pairs.plus(SweepTargets.of(TargetProtocol.ICMP, packed))
    seed = secrets.randbits(32) if seed is None else seed
    inquiry = PortScan(hosts, seed=seed, patience=patience)
    try:
        sweep = Sweep(questions, key=secrets.token_bytes(16), seed=seed)
    except SystemRefusedError:
        if transport is not Transport.TCP:
            raise
        alive, probes, stalled_ms = _connect(inquiry, pairs, rate=rate or 2000.0)
        return _conclude(transport, pairs, inquiry, alive, probes, stalled_ms)
    with sweep:
        asker = PortScanner(sweep, inquiry, rate=rate, deadline_ns=started_ns + within_ns)
        asker.run(witnesses=np.arange(len(pairs), len(questions)))
    stalled_ms = -(-asker.stalled_ns // 1_000_000)
    return _conclude(transport, pairs, inquiry, asker.alive, asker.probes, stalled_ms)


def _conclude(
    transport: Transport,
    pairs: SweepTargets,
    inquiry: PortScan,
    alive: Flags,
    probes: int,
    stalled_ms: int,
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
        fallen=inquiry.has_fallen_silent[inquiry.hosts],
        stalled_ms=stalled_ms,
    )


def _connect(inquiry: PortScan, pairs: SweepTargets, *, rate: float) -> tuple[Flags, int, int]:
    """Ask all pairs by connecting, the silent ones twice, not counting when we stood still ourselves.

    Returns which hosts live, how many attempts it took, and for how long we stood still.
    """
    alive = np.zeros(int(inquiry.hosts.max()) + 1, dtype=np.bool_)
    asked, probes, stalled_ms = np.arange(len(pairs)), 0, 0
    silences = np.zeros(len(pairs), dtype=np.int64)
    for _ in range(_MOST_CONNECTS):
        doors = [ConnectTarget(address_text(pairs.addresses[row]), int(pairs.ports[row])) for row in asked]
        told = sweep_connects(doors, rate=min(rate, 2000.0))
        probes += len(doors)
        for row, outcome in zip(asked.tolist(), told, strict=True):
            inquiry.codes[row] = _CODES.get(type(outcome), ResultCode.NOT_MEASURED)
            if isinstance(outcome, NotMeasured) and outcome.fault is OwnFault.STALLED:
                inquiry.codes[row], stalled_ms = ResultCode.PENDING, outcome.for_ms
            elif isinstance(outcome, Rejected):
                inquiry.senders[row] = pack_addresses([outcome.sender])[0]
                inquiry.types[row], inquiry.icmp_codes[row] = outcome.icmp_type, outcome.icmp_code
            elif isinstance(outcome, (Reached, Refused)):
                alive[inquiry.hosts[row]] = True
        silences[asked] += inquiry.codes[asked] == ResultCode.TIMED_OUT
        is_open = np.isin(inquiry.codes[asked], (ResultCode.TIMED_OUT, ResultCode.PENDING))
        asked = asked[is_open & (silences[asked] < _CONNECTS)]
        if not len(asked):
            break
    return alive, probes, stalled_ms


def _words(inquiry: PortScan, alive: Flags) -> NDArray[np.str_]:
    words = np.full(len(inquiry.codes), Verdict.UNKNOWN, dtype="U8")
    words[inquiry.codes == ResultCode.REACHED] = Verdict.OPEN
    words[inquiry.codes == ResultCode.REFUSED] = Verdict.CLOSED
    words[np.isin(inquiry.codes, (ResultCode.REJECTED, ResultCode.TOO_BIG))] = Verdict.REJECTED
    words[(inquiry.codes == ResultCode.TIMED_OUT) & alive[inquiry.hosts]] = Verdict.FILTERED
    words[(inquiry.codes == ResultCode.NOT_MEASURED) & (inquiry.errnos == errno.EPERM)] = Verdict.FILTERED
    return words
