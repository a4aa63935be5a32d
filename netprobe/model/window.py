"""The windows that an agent counts, its responder's counts, and its self-reported health.

Rule: a window covers one interval of one check, aligned to wall time, so that windows of different agents
with the same start can be compared. Losses are split by direction if the responder's counter allows it.

``Window`` and ``ReceivedCount`` are msgspec structs, unlike the rest of the model: an agent makes one of each
per check and interval, which costs a fifteenth of a frozen dataclass, and their field names are those of the
JSON documents. They cannot be part of a reference cycle, so the garbage collector skips them (``gc=False``).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import msgspec

from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import OutcomeKind, Rejected
from netprobe.model.prose import NO_PROSE, Prose

_BUCKETS_PER_OCTAVE = 8


@dataclass(frozen=True, slots=True)
class Histogram:
    """RTT counts in logarithmic buckets; two of them merge by adding counts.

    Bucket *i* holds ``[2**(i/8), 2**((i+1)/8))`` nanoseconds: the relative error of a quantile is below
    9 %. *buckets* and *counts* run in parallel, buckets ascending, no zero counts.

    >>> Histogram.of([100, 100, 900]).merge(Histogram.of([100])).total
    4
    """

    buckets: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()

    @staticmethod
    def bucket_of(value_ns: int) -> int:
        """The bucket a duration falls into; durations below 1 ns count as 1 ns."""
        return int(_BUCKETS_PER_OCTAVE * math.log2(value_ns)) if value_ns > 1 else 0

    @staticmethod
    def middle_ns(bucket: int) -> float:
        """The geometric middle of a bucket."""
        return float(2 ** ((bucket + 0.5) / _BUCKETS_PER_OCTAVE))

    @classmethod
    def of(cls, values_ns: list[int]) -> Histogram:
        """Count durations into buckets."""
        if len(values_ns) == 1:
            return _of_one(cls.bucket_of(values_ns[0]))
        counts: dict[int, int] = {}
        for value in values_ns:
            bucket = cls.bucket_of(value)
            counts[bucket] = counts.get(bucket, 0) + 1
        return cls._from(counts)

    @classmethod
    def _from(cls, counts: dict[int, int]) -> Histogram:
        ordered = sorted(counts.items())
        return cls(tuple(bucket for bucket, _ in ordered), tuple(count for _, count in ordered))

    @property
    def total(self) -> int:
        """How many durations were counted."""
        return sum(self.counts)

    def merge(self, other: Histogram) -> Histogram:
        """Both histograms as one."""
        counts = dict(zip(self.buckets, self.counts, strict=True))
        for bucket, count in zip(other.buckets, other.counts, strict=True):
            counts[bucket] = counts.get(bucket, 0) + count
        return self._from(counts)

    def quantile_ns(self, share: float) -> float | None:
        """The duration below which *share* (0–1) of the answers lie; None if there are no answers."""
        rank = share * self.total
        cumulated = 0
        for bucket, count in zip(self.buckets, self.counts, strict=True):
            cumulated += count
            if cumulated >= rank:
                return self.middle_ns(bucket)
        return None


@functools.lru_cache(maxsize=512)
def _of_one(bucket: int) -> Histogram:
    """Most windows of a large plan contain one answer, so those of one bucket share a histogram."""
    return Histogram((bucket,), (1,))


class Window(msgspec.Struct, frozen=True, gc=False):
    """The counts of one check over one interval.

    ``sent`` counts the probes that this agent sent or should have sent; ``outcomes`` adds up to ``sent``.
    ``lost_out + lost_back`` is at most the number of timed-out probes; losses that cannot be attributed to a
    direction are in neither.
    """

    check: CheckId
    start_ns: int
    """Wall time (Unix epoch) of the window's start, a multiple of its length."""
    length_ns: int
    sent: int
    answered: int
    outcomes: tuple[tuple[OutcomeKind, int], ...]
    lost_out: int = 0
    lost_back: int = 0
    rtt: Histogram = Histogram()
    observed_source: str = ""
    """Our source address as the far end saw it; empty if it was not reported."""
    answered_by: str = ""
    """Identity that the responder claimed; empty if the probe kind has none."""
    detail: Prose = NO_PROSE
    """The last failure in a few words: who rejected and with which code, the rcode, the status."""
    rejection: Rejected | None = None
    """The last ICMP error that came back, or what the local kernel refused; None if there was none."""
    repeated: int = 0
    """Answers that came once more: the packet or its answer was duplicated on the way."""

    def count(self, kind: OutcomeKind) -> int:
        """Number of outcomes of *kind*."""
        return dict(self.outcomes).get(kind, 0)

    @property
    def measured(self) -> int:
        """Probes that measured the network: those sent, without those that failed on our own side."""
        return self.sent - self.count(OutcomeKind.NOT_MEASURED)


class ReceivedCount(msgspec.Struct, frozen=True, gc=False):
    """Requests of one check that a responder received in one interval, reported by the responder.

    If no answer comes back, this shows the collector that the way out works.
    """

    check: CheckId
    start_ns: int
    received: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Result of the engine for one interval."""

    start_ns: int
    """Wall time of the interval's start, a multiple of its length."""
    length_ns: int
    windows: tuple[Window, ...]
    heard: tuple[ReceivedCount, ...]
    loop_lag_ns: int = 0
    packets_dropped: int = 0


@dataclass(frozen=True, slots=True)
class AgentHealth:
    """Self-reported health of an agent, so that a sick agent is not mistaken for a sick network."""

    agent: AgentId
    at_ns: int
    """Wall time."""
    epoch: int
    """Epoch of the plan it runs; 0 if it has none yet."""
    loop_lag_ns: int = 0
    """Worst lag of the event loop within the window."""
    packets_dropped: int = 0
    """Datagrams the kernel dropped at our own receive buffers."""
    windows_dropped: int = 0
    """Windows lost because the spool was full."""
    windows_spooled: int = 0
    """Windows kept on disk, waiting for the bus."""
    capabilities: tuple[str, ...] = ()
    version: str = ""
    disk_refuses: bool = False
    """Whether its disk refuses reports, so that those that wait are in memory only."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one agent sends at the end of an interval: windows, received requests, health."""

    agent: AgentId
    epoch: int
    sequence: int
    """Increases by one per report of one agent process; identifies the message with *boot* and *agent*."""
    boot: str
    """Random name of this agent process, so that sequences are not reused after a restart."""
    start_ns: int
    length_ns: int
    windows: tuple[Window, ...]
    heard: tuple[ReceivedCount, ...]
    health: AgentHealth
