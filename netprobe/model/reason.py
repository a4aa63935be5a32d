"""Why a port could not be judged, or how it is known to be dropped: a value, not a sentence.

Rule: programs decide by the code; ``probes.wording`` makes the sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.prose import NO_PROSE, Prose


class ReasonCode(StrEnum):
    """Stable identifiers: they travel between builds, so a value is never renamed or given a new meaning."""

    # Our own side failed: no packet left, so nothing is known about the network.
    NOT_SENT = "not-sent"
    """The asking host could not or would not send; the detail says why."""
    NO_SCTP = "no-sctp"
    """Its kernel has no SCTP."""
    NO_PROBE = "no-probe"
    """No probe speaks the protocol *who*."""
    DECLINED = "declined"
    """The agent did not ask; the detail says why."""
    UNREADABLE = "unreadable"
    """The agent's answer cannot be read; the detail says why."""
    NO_VERDICT = "no-verdict"
    """The agent's answer does not mention the port."""
    AGENT_AWAY = "agent-away"
    """The agent *who* does not report; the detail says since when."""
    NOT_MEASURED = "not-measured"
    """Not asked."""
    # The question ended before silence could count: asking again may decide it.
    STALLED = "stalled"
    """The asking agent stood still for *for_ms*."""
    ANSWERS_LIMITED = "answers-limited"
    """The host limits its answers, and the time was over."""
    FELL_SILENT = "fell-silent"
    """The host had answered and then said nothing any more, on any port."""
    OUT_OF_TIME = "out-of-time"
    STARVED = "starved"
    """Silent until the last retry, behind a router that limits its rejections."""
    # Asked for long enough.
    SILENT_HOST = "silent-host"
    """Nothing on this host answered."""
    SILENT_PORT = "silent-port"
    """Nothing on this port answered, and nothing else of the host was asked."""
    NO_WITNESS = "no-witness"
    """Silent, and nothing at this address is known to answer."""
    OTHER_ANSWERED = "other-answered"
    """*who* answered instead."""
    # How a silent port is known to be dropped.
    OWN_FILTER = "own-filter"
    """The asking host's own packet filter drops it."""
    RECORDED = "recorded"
    """A saved path says so; the detail says what it saw."""
    OTHER = "other"
    """Something that this build has no code for; the detail says it."""

    @classmethod
    def _missing_(cls, _value: object) -> ReasonCode:
        """A newer build may know more reasons."""
        return cls.OTHER


_OWN_SIDE = frozenset({
    ReasonCode.NOT_SENT, ReasonCode.NO_SCTP, ReasonCode.NO_PROBE, ReasonCode.DECLINED, ReasonCode.UNREADABLE,
    ReasonCode.NO_VERDICT, ReasonCode.AGENT_AWAY, ReasonCode.NOT_MEASURED,
})  # fmt: skip
_UNDECIDED = frozenset({
    ReasonCode.STALLED, ReasonCode.ANSWERS_LIMITED, ReasonCode.FELL_SILENT, ReasonCode.OUT_OF_TIME,
    ReasonCode.STARVED,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reason:
    """A code and what belongs to it; empty where the code needs nothing."""

    code: ReasonCode
    who: str = ""
    """An address, an agent's name or a protocol, as the code says."""
    for_ms: int = 0
    detail: Prose = NO_PROSE
    """Text from elsewhere, such as the kernel; only for people."""
    beside: Reason | None = None
    """What the question itself came to, where the code explains it."""

    @property
    def is_own_side(self) -> bool:
        """Whether no packet left, so that nothing is known about the network."""
        return self.code in _OWN_SIDE

    @property
    def is_undecided(self) -> bool:
        """Whether only the question's end came too early: asked again, it may be decided."""
        return self.code in _UNDECIDED
