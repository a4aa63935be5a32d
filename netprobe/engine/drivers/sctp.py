"""SCTP ports, asked with associations of the kernel's own (RFC 9260), where the kernel has any."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netprobe.model.outcome import NotMeasured, Outcome, OwnFault, Reached, Refused, Rejected
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PortVerdict, Transport, Verdict

_PROTOCOL = 132
TRIES = 2
NO_KERNEL = Reason(ReasonCode.NO_SCTP)


def has_sctp(proc: Path = Path("/proc/net/sctp")) -> bool:
    """Whether this kernel speaks SCTP now; asking for a socket could load the module, so it is not tried."""
    return proc.exists()


def ask_sctp(pairs: Sequence[tuple[str, int]], *, proc: Path = Path("/proc/net/sctp")) -> list[PortVerdict]:
    """A verdict on every address and port; ``unknown`` with the reason where the kernel has no SCTP."""
    if not pairs or not has_sctp(proc):
        return [_unknown(address, port, NO_KERNEL) for address, port in pairs]
    from netprobe.engine.sweep.connect_scan import ConnectTarget, sweep_connects  # noqa: PLC0415 - arrays load when asked

    told: dict[tuple[str, int], Outcome] = {}
    for _ in range(TRIES):
        left = [pair for pair in pairs if not isinstance(told.get(pair), (Reached, Refused, Rejected))]
        outcomes = sweep_connects([ConnectTarget(*pair) for pair in left], protocol=_PROTOCOL)
        told |= dict(zip(left, outcomes, strict=True))
    return [_verdict(address, port, told[address, port]) for address, port in pairs]


def _verdict(address: str, port: int, outcome: Outcome) -> PortVerdict:
    match outcome:
        case Reached():
            return PortVerdict(address, Transport.SCTP, port, Verdict.OPEN)
        case Refused():
            return PortVerdict(address, Transport.SCTP, port, Verdict.CLOSED)
        case Rejected(sender, kind, code):
            return PortVerdict(address, Transport.SCTP, port, Verdict.REJECTED, sender, kind, code)
        case NotMeasured(fault=OwnFault.STALLED, for_ms=for_ms):
            return _unknown(address, port, Reason(ReasonCode.STALLED, for_ms=for_ms))
        case NotMeasured(reason):
            return _unknown(address, port, Reason(ReasonCode.NOT_SENT, detail=reason))
        case _:
            return _unknown(address, port, Reason(ReasonCode.SILENT_PORT))


def _unknown(address: str, port: int, reason: Reason) -> PortVerdict:
    return PortVerdict(address, Transport.SCTP, port, Verdict.UNKNOWN, reason=reason)
