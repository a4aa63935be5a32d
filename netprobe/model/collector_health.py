"""What a collector tells of itself, beside the fleet: when it began, what it turned away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from netprobe.model.snapshot import Counters


@dataclass(frozen=True, slots=True)
class AuthStats:
    """Who came in by a ServiceAccount token; only where clusters are registered."""

    tokens_admitted: int
    tokens_unchecked: int
    """How many of them nobody could vouch for."""
    tokens_refused: Mapping[str, int]
    """By reason."""
    registrations_refused: int
    clusters_away: Mapping[str, str]
    """Clusters whose API cannot be reached, and why."""


@dataclass(frozen=True, slots=True)
class CollectorHealth:
    """One collector at one moment."""

    version: str
    pid: int
    started_ns: int
    """Wall time."""
    epoch: int
    interval_ns: int
    agents_planned: int
    last_report_ns: int | None
    """When a report was last stored; None where none was since the start."""
    analysis_errors: int
    inventories_refused: int
    windows_rejected_by_reason: Mapping[str, int] = field(default_factory=dict)
    """Since the start."""
    counters: Counters = field(default_factory=Counters)
    """Since the history was made."""
    auth: AuthStats | None = None

    def flat(self) -> dict[str, object]:
        """One level of names and values."""
        told = asdict(self)
        counters, auth = told.pop("counters"), told.pop("auth")
        return {**told, **(auth or {}), **counters}
