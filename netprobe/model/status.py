"""The state of a path, after hysteresis. ``unknown`` (not measured) is never shown as ``down``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.names import AgentId, CheckId
from netprobe.model.prose import NO_PROSE, Prose


class PathState(StrEnum):
    """The state of one check's path."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PathStatus:
    """A check's state, since when, and the counts it rests on."""

    check: CheckId
    state: PathState
    since_ns: int
    """Wall time of the change into this state."""
    reason: Prose = NO_PROSE
    sent: int = 0
    answered: int = 0
    lost_out: int | None = 0
    """Lost on the way out; None if something was lost and its direction was not counted."""
    lost_back: int | None = 0
    rtt_p50_ns: float | None = None
    rtt_p99_ns: float | None = None
    observed_source: str = ""


class AgentState(StrEnum):
    """How the collector sees an agent."""

    ALIVE = "alive"
    SICK = "sick"
    """It speaks, but its own health says that its measurements cannot be trusted."""
    SILENT = "silent"
    """It spoke once and stopped."""
    ABSENT = "absent"
    """It never spoke."""


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """An agent as the collector sees it."""

    agent: AgentId
    state: AgentState
    last_report_ns: int = 0
    reason: Prose = NO_PROSE
    checks: int = 0
    loop_lag_ns: int = 0
    windows_spooled: int = 0
    windows_dropped: int = 0
    version: str = ""
    capabilities: tuple[str, ...] = ()
    """How it may ask where it runs (:mod:`netprobe.model.capability`), and the kinds that it knows."""
    disk_refuses: bool = False
    """Its disk refuses reports: what waits for the bus is lost when it ends."""
    clock_offset_ns: int = 0
    """Its clock minus the collector's; 0 where they agree within an interval."""
