"""Collector health: its start, counters, errors and rejected input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from netprobe.model.snapshot import Counters


@dataclass(frozen=True, slots=True)
class AuthStats:
    """Logins with ServiceAccount tokens; only if clusters are registered."""

    tokens_admitted: int
    tokens_unchecked: int
    """Number of admitted tokens that no cluster API could check."""
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
    """Time of the last stored report; None if there was none since the start."""
    analysis_errors: int
    inventories_refused: int
    windows_rejected_by_reason: Mapping[str, int] = field(default_factory=dict)
    """Since the start."""
    counters: Counters = field(default_factory=Counters)
    """Since the history was created."""
    auth: AuthStats | None = None
    history_fault: str = ""
    """Why reports cannot be stored now; empty where they can."""
    histories_replaced: int = 0
    """Damaged histories that were moved aside since the start."""
    round_trip_fault: str = ""
    """Why the collector's own messages do not pass bus, history and analysis; empty where they do."""
    bus_restarts: int = 0
    """How often a stuck bus server was started again."""
    stream_damages: int = 0
    """How often the bus server complained of spoilt files since the start."""
    reports_missing: int = 0
    """Reports that the bus had taken and lost, and that their agents are asked for now."""
    reports_destroyed: int = 0
    """Reports that the bus had taken and that never came, since the start."""
    reports_sent_again: int = 0
    """Reports that the bus had taken and lost, and that their agents sent again, since the start."""
    volume_free_bytes: int | None = None
    """Left on the volume of the collector's data; None where it does not tell."""

    def flat(self) -> dict[str, object]:
        """One level of names and values."""
        fields = asdict(self)
        counters, auth = fields.pop("counters"), fields.pop("auth")
        return {**fields, **(auth or {}), **counters}
