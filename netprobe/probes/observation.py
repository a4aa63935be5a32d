"""The observation of one probe: its outcome, and what the far end reported about us and itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from netprobe.model.check import Check, TargetKind
from netprobe.model.names import AgentId
from netprobe.model.outcome import (
    AppFailed,
    NotMeasured,
    NotResolved,
    Outcome,
    Reached,
    Refused,
    Rejected,
    TimedOut,
    TlsFailed,
    TooBig,
    WrongPeer,
)
from netprobe.model.prose import NO_PROSE, Prose
from netprobe.wire.stamp import encode_name, is_same_name

LOCAL = "local"
"""In place of the sender of an error that our own host raised before anything left it."""


Facts: TypeAlias = tuple[tuple[str, Prose], ...]


class Observation(NamedTuple):
    """One probe's outcome and what came with it; empty and None where the kind tells nothing.

    A tuple, because one is made per packet.
    """

    outcome: Outcome
    answered_by: str = ""
    observed_source: str = ""
    received_count: int | None = None
    """The responder's counter of our session (STAMP), this request included."""
    lost_out: bool = False
    """It is certain that the request never left this host's own packet filter."""
    phases_ns: tuple[tuple[str, int], ...] = ()
    """Named durations in order: ``connect``, ``first-byte`` …"""
    detail: Prose = NO_PROSE
    facts: Facts = ()
    """What the kind found out beside the outcome, for people, in the order in which it is read."""
    values: tuple[str, ...] = ()
    """The same for programs, where the kind has such: written and read by its own module."""

    @property
    def words(self) -> Prose:
        """The failure in a few words; empty for a right answer."""
        return self.detail or describe(self.outcome)


def make_facts(told: Iterable[tuple[str, str]]) -> Facts:
    """Names and their texts as facts."""
    return tuple((name, Prose(text)) for name, text in told)


def describe(outcome: Outcome) -> Prose:  # noqa: PLR0911 - one line per member of the union
    """An outcome in a few words; empty for ``Reached``."""
    match outcome:
        case Reached():
            return NO_PROSE
        case Refused():
            return Prose("refused")
        case Rejected(sender, icmp_type, icmp_code):
            return Prose(f"rejected by {sender} ({icmp_type}/{icmp_code})")
        case TimedOut(after_ns):
            return Prose(f"no answer within {after_ns // 1_000_000} ms")
        case TooBig(mtu, sender):
            return Prose(f"too big: {sender} passes {mtu} bytes")
        case NotResolved(name, rcode):
            return Prose(f"{name}: {rcode}")
        case TlsFailed(reason) | AppFailed(reason):
            return reason
        case WrongPeer(expected, answered_by):
            return Prose(f"{answered_by} answered instead of {expected}")
        case NotMeasured(reason):
            return Prose(f"not measured: {reason}")


def judge_identity(check: Check, answered_by: str, *, rtt_ns: int, source: str = "") -> Outcome:
    """``Reached`` where the right one answered, else ``WrongPeer``.

    With the *source* address of the answer, it must be the one that was asked (:func:`is_from_target`).
    """
    if source and not is_from_target(check, source):
        return WrongPeer(check.target.name, f"{answered_by} at {source}", rtt_ns)
    if is_expected(check, answered_by):
        return Reached(rtt_ns)
    return WrongPeer(check.target.name, answered_by, rtt_ns)


def is_from_target(check: Check, source: str) -> bool:
    """Whether an answer from the address *source* may be the target's.

    Behind a service's address, which is translated, it may come from any; connection tracking usually
    translates it back. Any other target answers from the address that was asked.
    """
    return source == check.target.address or check.target.kind is TargetKind.SERVICE


def is_expected(check: Check, answered_by: str) -> bool:
    """Whether the agent that answered may be at the check's target.

    An agent must be exactly that agent; behind a service (or one of its endpoints) any agent of the
    cluster may answer; at a node's address either plane's.
    """
    target = check.target
    match target.kind:
        case TargetKind.AGENT:
            return target.name == answered_by or is_same_name(target.name, answered_by)
        case TargetKind.SERVICE | TargetKind.ENDPOINT:
            return is_at(answered_by, str(target.cluster))
        case TargetKind.NODE | TargetKind.GATEWAY_OUTER:
            place = str(target.node) if target.node else "/".join(target.name.split("/")[:2])
            return is_at(answered_by, place)
        case TargetKind.DNS | TargetKind.OUTSIDE:
            return True


def is_at(answered_by: str, place: str) -> bool:
    """Whether the agent of that name, which may be cut (``wire.stamp``), stands in a cluster or at a node."""
    return answered_by.startswith(f"{place}/") or encode_name(f"{place}/").startswith(answered_by.encode())


def agent_of(text: str) -> AgentId | None:
    """The agent a name means, or None where it means something else."""
    parts = text.split("/")
    return AgentId.parse(text) if len(parts) == 3 and parts[2] in {"pod", "host"} and all(parts) else None
