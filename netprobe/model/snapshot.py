"""Everything at one moment: what every table, picture, page, export and report is drawn from.

A live snapshot comes from the collector, a saved one from an evidence bundle; nothing that draws can tell
the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.check import Check, Legs
from netprobe.model.component import Component
from netprobe.model.finding import Finding
from netprobe.model.inventory import Inventory
from netprobe.model.state import AgentStatus, PathStatus


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a plan can and cannot see."""

    components: int
    covered: int
    identifiable: int
    """Components whose single failure no other component's failure looks like."""
    uncovered: tuple[Component, ...] = ()
    classes: tuple[tuple[Component, ...], ...] = ()
    """Groups of two or more covered components that the checks cannot tell apart."""
    checks: int = 0


@dataclass(frozen=True, slots=True)
class Counters:
    """What the collector counted about itself since it started with this store."""

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
    coverage: Coverage = Coverage(components=0, covered=0, identifiable=0)
    paths: tuple[PathStatus, ...] = ()
    agents: tuple[AgentStatus, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Open findings, most certain first."""
    past_findings: tuple[Finding, ...] = ()
    counters: Counters = Counters()
