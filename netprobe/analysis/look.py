"""One closed frame, seen: what each check asked, reached and was heard, and who did not deliver."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from netprobe.analysis.carry import Carry
from netprobe.analysis.facts import Aspect, CheckFacts, Facts
from netprobe.analysis.frames import Frame
from netprobe.model.check import TargetKind
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import AgentHealth, Window

_STRAIN_SHARE = 0.5
"""An event loop that lagged this share of a probe's time-out answers too late."""
_COUNTED_APART = {Aspect.UDP, Aspect.LARGE, Aspect.V6}
"""Aspects whose responder counts requests, so that the two directions are told apart."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One check in one frame. *heard* is None where the responder told nothing."""

    asked: int
    reached: int
    heard: int | None
    wrong: int
    window: Window

    @property
    def is_good(self) -> bool:
        """Everything asked was answered by the right one."""
        return 0 < self.asked == self.reached

    @property
    def is_dead(self) -> bool:
        """Nothing that was asked was answered by the right one."""
        return self.asked > 0 == self.reached

    @property
    def is_troubled(self) -> bool:
        """Something asked was not answered by the right one."""
        return self.reached < self.asked

    @property
    def arrived(self) -> int | None:
        """Requests that reached the responder; None where nobody counted them there."""
        if self.heard is None:
            return None
        return min(self.asked, max(self.heard, self.reached))

    @property
    def lost_out(self) -> int:
        """Probes that certainly vanished on the way out. What another one answered was not lost."""
        if self.arrived is None or self.wrong:
            return self.window.lost_out
        return self.asked - self.arrived

    @property
    def lost_back(self) -> int:
        """Probes that certainly arrived, and whose answers vanished."""
        if self.arrived is None or self.wrong:
            return self.window.lost_back
        return self.arrived - self.reached

    @property
    def refused(self) -> int:
        """Resets and port-unreachables: the host lives."""
        return self.window.count(OutcomeKind.REFUSED)


@dataclass(frozen=True, slots=True)
class Look:
    """A closed frame. Checks are numbered as in the facts."""

    start_ns: int
    end_ns: int
    seen: dict[int, Seen]
    delivered: frozenset[AgentId]
    missing: frozenset[AgentId]
    """Agents that delivered in the past, and nothing for this frame."""
    strained: frozenset[AgentId]
    """Agents whose own health says that what they measured, or failed to answer, is not the network's
    fault.
    """
    troubled: frozenset[int] = field(default=frozenset())
    slow: frozenset[int] = field(default=frozenset())
    """Checks far beyond their usual latency, for several frames by now."""

    def is_troubled(self, number: int) -> bool:
        """Whether a check was measured and lost something."""
        return number in self.troubled

    def carried(self, carry: Carry) -> Look:
        """The same frame, as the next plan would have seen it."""
        agents = frozenset(carry.after.agents)
        return replace(
            self,
            seen=carry.keys(self.seen),
            troubled=carry.numbers(self.troubled),
            slow=carry.numbers(self.slow),
            delivered=self.delivered & agents,
            missing=self.missing & agents,
            strained=self.strained & agents,
        )


def look_at(frame: Frame, facts: Facts, *, known: frozenset[AgentId]) -> Look:
    """See a closed frame; *known* are the agents that have delivered before."""
    delivered = frozenset(frame.health)
    strained = frozenset(agent for agent, health in frame.health.items() if _is_strained(health, facts))
    deaf = frozenset(agent for agent, health in frame.health.items() if health.packets_dropped > 0)
    seen = {}
    for number, window in frame.windows.items():
        check = facts.checks[number]
        if window.measured > 0 and not _is_spoiled(check, strained, deaf):
            heard = _heard(check, frame, delivered)
            seen[number] = _see(check, window, heard)
    troubled = frozenset(number for number, one in seen.items() if one.is_troubled)
    return Look(
        frame.start_ns,
        frame.start_ns + frame.length_ns,
        seen,
        delivered,
        known - delivered,
        strained,
        troubled,
    )


def _is_strained(health: AgentHealth, facts: Facts) -> bool:
    return health.packets_dropped > 0 or health.loop_lag_ns > _STRAIN_SHARE * max(1, facts.patience_ns)


def _is_spoiled(check: CheckFacts, strained: frozenset[AgentId], deaf: frozenset[AgentId]) -> bool:
    """Whether a loss may be an agent's own doing.

    An asker says itself which losses it does not believe (they are not measured), except where its kernel
    dropped answers. Who is asked answers late when it lags, though its kernel pings back all the same.
    """
    return check.source in deaf or (check.asked in strained and check.aspect is not Aspect.ICMP)


def _heard(check: CheckFacts, frame: Frame, delivered: frozenset[AgentId]) -> int | None:
    if check.asked is None or check.asked not in delivered or check.aspect not in _COUNTED_APART:
        return None
    return frame.heard.get(check.number, 0)


def _see(check: CheckFacts, window: Window, heard: int | None) -> Seen:
    wrong = window.count(OutcomeKind.WRONG_PEER)
    reached = window.count(OutcomeKind.REACHED)
    if check.check.target.kind is TargetKind.SERVICE:
        reached, wrong = reached + wrong, 0  # any endpoint of a service is a right one
    asked = window.measured
    return Seen(asked, min(asked, reached), heard, wrong, window)
