"""A snapshot: everything known at one moment, from which every table, picture, export and report is made.

Rule: a live snapshot comes from the collector, a saved one from an evidence bundle; both are used alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from netprobe.model.check import Check, Legs
from netprobe.model.fabric import Claim
from netprobe.model.finding import Finding
from netprobe.model.fleet import Coverage
from netprobe.model.inventory import Inventory
from netprobe.model.status import AgentStatus, PathStatus


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of the collector since its store was created."""

    reports_stored: int = 0
    reports_repeated: int = 0
    windows_stored: int = 0
    messages_malformed: int = 0
    windows_rejected: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fleet at one moment."""

    taken_ns: int
    """Wall time."""
    interval_ns: int
    inventory: Inventory
    checks: tuple[Check, ...] = ()
    legs: tuple[Legs, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    paths: tuple[PathStatus, ...] = ()
    agents: tuple[AgentStatus, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Open findings: faults of the network, most certain first, then deviations from watched intents."""
    past_findings: tuple[Finding, ...] = ()
    counters: Counters = Counters()
    rejected: tuple[tuple[str, int], ...] = ()
    """Rejected windows by reason since the analysis began, sorted by reason."""
    claims: tuple[Claim, ...] = ()
    """What fabrics claim about links and routes, by our names of clusters."""
