"""Questions and results of a sweep, as arrays. Pure: no socket, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netprobe.engine.stall_tracker import not_measured
from netprobe.errors import InputError
from netprobe.model.outcome import (
    NotMeasured,
    Outcome,
    Reached,
    Refused,
    Rejected,
    TimedOut,
    TooBig,
    WrongPeer,
)
from netprobe.model.prose import Prose
from netprobe.wire.batch import U16, U32, U64, Flags, Indices, Rows, address_text, pack_addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

Codes = NDArray[np.uint8]


class TargetProtocol(IntEnum):
    """Protocols of a sweep's questions."""

    ICMP = 1
    """Echo request."""
    STAMP = 2
    """UDP echo (RFC 8762), answered by a peer with the key."""
    SYN = 3
    """TCP SYN."""
    DATAGRAM = 4
    """A UDP datagram to an arbitrary port."""


class ResultCode(IntEnum):
    """Outcomes of a sweep, as one byte each."""

    PENDING = 0
    REACHED = 1
    REFUSED = 2
    REJECTED = 3
    TIMED_OUT = 4
    TOO_BIG = 5
    WRONG_PEER = 6
    NOT_MEASURED = 7


PENDING, REACHED, REFUSED, REJECTED, TIMED_OUT, TOO_BIG, WRONG_PEER, NOT_MEASURED = map(np.uint8, ResultCode)
"""The codes for work on arrays: numpy compares an array with a member of an enumeration as 64-bit integers,
which takes six times as long."""


@dataclass(frozen=True, slots=True)
class SweepTargets:
    """One question per row."""

    kinds: Codes
    addresses: Rows
    """Shape ``(n, 16)``, IPv4 mapped."""
    ports: U16
    sizes: U16
    """Size of the whole IP packet in bytes; 0 for the smallest of the protocol."""
    checks: U64
    """Id of the check that a row belongs to, covered by the cookie."""

    def __len__(self) -> int:
        return len(self.kinds)

    @classmethod
    def of(
        cls,
        kind: TargetProtocol,
        addresses: Sequence[str] | Rows,
        *,
        ports: Sequence[int] | U16 | int = 0,
        sizes: Sequence[int] | U16 | int = 0,
        checks: Sequence[int] | U64 | None = None,
    ) -> SweepTargets:
        """Questions of one protocol; a single port or size applies to all rows."""
        packed = addresses if isinstance(addresses, np.ndarray) else pack_addresses(addresses)
        count = len(packed)
        port_column = np.broadcast_to(np.asarray(ports, dtype=np.int64), (count,))
        lowest = 0 if kind is TargetProtocol.ICMP else 1
        wrong = (port_column < lowest) | (port_column > 65535)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise InputError(f"port {port_column[at]} is not in 1–65535", where=address_text(packed[at]))
        check_column = (
            np.arange(count, dtype=np.uint64) if checks is None else np.asarray(checks, dtype=np.uint64)
        )
        return cls(
            kinds=np.full(count, kind, dtype=np.uint8),
            addresses=packed,
            ports=port_column.astype(np.uint16),
            sizes=np.broadcast_to(np.asarray(sizes, dtype=np.uint16), (count,)).copy(),
            checks=check_column,
        )

    def plus(self, other: SweepTargets) -> SweepTargets:
        """Both sets of questions as one, followed by *other*."""
        return SweepTargets(
            kinds=np.concatenate([self.kinds, other.kinds]),
            addresses=np.concatenate([self.addresses, other.addresses]),
            ports=np.concatenate([self.ports, other.ports]),
            sizes=np.concatenate([self.sizes, other.sizes]),
            checks=np.concatenate([self.checks, other.checks]),
        )

    def pick(self, rows: Indices) -> SweepTargets:
        """Only these rows."""
        return SweepTargets(
            *(self.kinds[rows], self.addresses[rows], self.ports[rows], self.sizes[rows], self.checks[rows])
        )


@dataclass(frozen=True, slots=True)
class SweepAnswers:
    """Answers of one batch of packets, verified by their cookies."""

    rows: Indices
    rounds: Indices
    codes: Codes
    stamps_ns: Indices
    """Kernel receive time, wall clock."""
    senders: Rows
    types: Codes
    """ICMP type and code of an error, else 0."""
    icmp_codes: Codes
    mtus: Indices

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def none(cls) -> SweepAnswers:
        """No answers."""
        rows, octets = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint8)
        no_senders = np.zeros((0, 16), dtype=np.uint8)
        return cls(rows, rows, octets, rows, no_senders, octets, octets, rows)

    def pick(self, here: Flags | Indices) -> SweepAnswers:
        """Only these answers."""
        return SweepAnswers(
            *(self.rows[here], self.rounds[here], self.codes[here], self.stamps_ns[here]),
            *(self.senders[here], self.types[here], self.icmp_codes[here], self.mtus[here]),
        )


@dataclass(frozen=True, slots=True)
class StampDetails:
    """Details of STAMP answers, one row per question; zero if none was received."""

    received_counts: U32
    """The reflector's counter: requests of the check that it received, including this one."""
    sources: Rows
    """Our address as the reflector saw it."""
    source_ports: U16
    ttls: Codes
    names: Rows
    """The identity the reflector claims, UTF-8 padded with zeros, shape ``(n, 72)``."""
    holds_ns: Indices
    """Time that the reflector held the request; already subtracted from the round trip time."""

    @classmethod
    def none(cls, count: int) -> StampDetails:
        """No details yet."""
        return cls(
            received_counts=np.zeros(count, dtype=np.uint32),
            sources=np.zeros((count, 16), dtype=np.uint8),
            source_ports=np.zeros(count, dtype=np.uint16),
            ttls=np.zeros(count, dtype=np.uint8),
            names=np.zeros((count, 72), dtype=np.uint8),
            holds_ns=np.zeros(count, dtype=np.int64),
        )

    def put(self, rows: Indices, other: StampDetails) -> None:
        """Copy *other* into these rows."""
        self.received_counts[rows] = other.received_counts
        self.sources[rows] = other.sources
        self.source_ports[rows] = other.source_ports
        self.ttls[rows] = other.ttls
        self.names[rows] = other.names
        self.holds_ns[rows] = other.holds_ns

    def name(self, row: int) -> str:
        """The identity of a row, with unreadable bytes replaced."""
        return bytes(self.names[row]).rstrip(b"\0").decode(errors="replace")


@dataclass(frozen=True, slots=True)
class RoundResult:
    """Result of one round, one row per question; rows that were not asked stay ``PENDING``."""

    number: int
    asked: Flags
    codes: Codes
    rtts_ns: Indices
    """-1 if nothing came back: a lost probe has no round trip time."""
    senders: Rows
    """Sender of the error or of the wrong answer."""
    types: Codes
    icmp_codes: Codes
    mtus: Indices
    errnos: NDArray[np.int16]
    """The errno of our kernel's refusal to send, else 0."""
    dropped: int
    """Answers lost at our own receive buffers; the silent rows of such a round are ``NOT_MEASURED``."""
    timeout_ns: int
    stalled_ns: int = 0
    """Time that we stalled while answers could come, if too long for silence to count: as *dropped*."""
    lag_ns: int = 0
    """The largest delay of the driver during the round."""
    stamps: StampDetails | None = None
    """Details of STAMP answers; None without STAMP questions."""

    def count(self, code: ResultCode) -> int:
        """Number of rows with this result."""
        return int((self.codes == code).sum())

    def outcome(  # noqa: PLR0911 - one return per member of the union
        self, row: int, *, expected: str = ""
    ) -> Outcome:
        """The outcome of one row; *expected* names the target that should have answered."""
        code, rtt_ns = ResultCode(int(self.codes[row])), int(self.rtts_ns[row])
        sender = address_text(self.senders[row])
        match code:
            case ResultCode.REACHED:
                return Reached(rtt_ns)
            case ResultCode.REFUSED:
                return Refused(rtt_ns)
            case ResultCode.REJECTED:
                return Rejected(sender, int(self.types[row]), int(self.icmp_codes[row]))
            case ResultCode.TIMED_OUT:
                return TimedOut(self.timeout_ns)
            case ResultCode.TOO_BIG:
                return TooBig(int(self.mtus[row]), sender)
            case ResultCode.WRONG_PEER:
                return WrongPeer(expected, sender, rtt_ns)
            case ResultCode.PENDING | ResultCode.NOT_MEASURED:
                return self._not_measured(row)

    def _not_measured(self, row: int) -> NotMeasured:
        if self.errnos[row]:
            return NotMeasured(Prose(f"the kernel did not send it (errno {int(self.errnos[row])})"))
        if self.dropped:
            return NotMeasured(Prose("our receive buffer overflowed"))
        return not_measured(self.stalled_ns) if self.stalled_ns else NotMeasured(Prose("not asked"))
