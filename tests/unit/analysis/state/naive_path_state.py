"""The rules of `analysis.state.path_state` for one path at a time: slow, and plain."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from netprobe.analysis.intervals.observation import CheckObservation, IntervalObservation
from netprobe.analysis.plan.index import CheckFacts, PlanIndex
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.prose import Prose
from netprobe.model.status import PathState, PathStatus

_MEMORY = 6
_STREAK = 2
_LOSSY_SHARE = 0.1
_STALE_INTERVALS = 2.5
_FLAPS = 4
_FLAP_INTERVALS = 30
"""So many changes between up and down within so many intervals are flapping."""


@dataclass(slots=True)
class _Path:
    status: PathStatus
    measured_ns: int = 0
    """End of the last frame in which it was measured."""
    memory: deque[CheckObservation] = field(default_factory=lambda: deque(maxlen=_MEMORY))
    raw: PathState = PathState.UNKNOWN
    """The state before slowness and flapping are considered."""
    turns: deque[int] = field(default_factory=lambda: deque(maxlen=_FLAPS))
    """When it last went down, or was down no longer."""


class NaiveJudge:
    """Keeps the state of every path, each by itself."""

    def __init__(self, facts: PlanIndex) -> None:
        self._facts = facts
        self._paths = [_begin(check) for check in facts.checks]

    def see(self, look: IntervalObservation) -> None:
        """Take in one frame."""
        for number, seen in look.seen.items():
            path = self._paths[number]
            path.memory.append(seen)
            path.measured_ns = look.end_ns
            path.status = _next_status(
                path,
                seen,
                is_slow=number in look.slow,
                at_ns=look.end_ns,
                interval_ns=self._facts.interval_ns,
            )

    def states(self, *, now_ns: int, sick: frozenset[AgentId]) -> tuple[PathStatus, ...]:
        """Every path now; what fails and needs a *sick* agent to answer is unknown."""
        patience = int(_STALE_INTERVALS * self._facts.interval_ns) + self._facts.patience_ns
        found = []
        for answerers, path in zip(self._facts.answerers, self._paths, strict=True):
            if path.status.state is not PathState.UNKNOWN:
                reason = ""
                if now_ns - path.measured_ns > patience:
                    reason = "not measured lately"
                    path.memory.clear()
                elif path.status.state is not PathState.UP or len(answerers) == 1:
                    reason = next((f"the agent {agent} is sick" for agent in answerers if agent in sick), "")
                if reason:
                    path.status = _unknown(path.status, reason, now_ns)
                    path.raw = PathState.UNKNOWN
            found.append(path.status)
        return tuple(found)


def _begin(check: CheckFacts) -> _Path:
    return _Path(PathStatus(check.check.id, PathState.UNKNOWN, 0))


def _next_status(
    path: _Path, seen: CheckObservation, *, is_slow: bool, at_ns: int, interval_ns: int
) -> PathStatus:
    raw = _next_state(path.raw, path.memory)
    if path.raw is not PathState.UNKNOWN and (raw is PathState.DOWN) is not (path.raw is PathState.DOWN):
        path.turns.append(at_ns)
    path.raw = raw
    is_flapping = len(path.turns) == _FLAPS and at_ns - path.turns[0] <= _FLAP_INTERVALS * interval_ns
    state = PathState.DEGRADED if is_flapping or (is_slow and raw is PathState.UP) else raw
    since = path.status.since_ns if state is path.status.state else at_ns
    window = seen.window
    reason = "" if state is PathState.UP else _reason(seen, is_slow=is_slow, is_flapping=is_flapping)
    return PathStatus(
        check=path.status.check,
        state=state,
        since_ns=since,
        reason=Prose(reason),
        sent=seen.asked,
        answered=seen.reached,
        lost_out=seen.lost_out,
        lost_back=seen.lost_back,
        rtt_p50_ns=window.rtt.quantile_ns(0.5),
        rtt_p99_ns=window.rtt.quantile_ns(0.99),
        observed_source=window.observed_source,
    )


def _next_state(state: PathState, memory: deque[CheckObservation]) -> PathState:
    recent = list(memory)[-_STREAK:]
    if state is PathState.UNKNOWN and memory[-1].is_good:
        return PathState.UP
    if len(recent) < _STREAK:
        return state
    if all(seen.is_dead for seen in recent):
        return PathState.DOWN
    if all(seen.is_good for seen in recent):
        return PathState.UP
    asked = sum(seen.asked for seen in memory)
    lost = asked - sum(seen.reached for seen in memory)
    if sum(seen.is_troubled for seen in memory) >= _STREAK and lost >= _LOSSY_SHARE * asked:
        return PathState.DOWN if state is PathState.DOWN and memory[-1].is_dead else PathState.DEGRADED
    return state


def _reason(seen: CheckObservation, *, is_slow: bool, is_flapping: bool) -> str:
    if is_flapping:
        return "flapping between up and down"
    if is_slow and seen.is_good:
        return "far slower than usual"
    if seen.wrong:
        return f"{seen.window.answered_by or 'somebody else'} answers"
    if seen.window.detail:
        return str(seen.window.detail)
    if seen.window.count(OutcomeKind.TIMED_OUT):
        return f"{seen.asked - seen.reached} of {seen.asked} unanswered"
    return ""


def _unknown(status: PathStatus, reason: str, now_ns: int) -> PathStatus:
    return PathStatus(status.check, PathState.UNKNOWN, now_ns, Prose(reason))
