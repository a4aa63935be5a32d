"""A snapshot as it is written, on the bus and in bundles: the model's, with agents under their written names.

Rule: the fields are the model's, in the same order; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from netprobe.model.check import Check, Legs
from netprobe.model.fabric import Claim
from netprobe.model.finding import Finding
from netprobe.model.fleet import Coverage
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.model.snapshot import Counters, Snapshot
from netprobe.model.status import AgentState, AgentStatus, PathStatus


class AgentStatusDocument(msgspec.Struct, frozen=True):
    """`AgentStatus`, its agent written ``cluster/node/plane``."""

    agent: str
    state: AgentState
    last_report_ns: int = 0
    reason: str = ""
    checks: int = 0
    loop_lag_ns: int = 0
    windows_spooled: int = 0
    windows_dropped: int = 0
    version: str = ""
    capabilities: tuple[str, ...] = ()
    disk_refuses: bool = False
    clock_offset_ns: int = 0


class SnapshotDocument(msgspec.Struct, frozen=True):
    """`Snapshot`, its agents as documents."""

    taken_ns: int
    interval_ns: int
    inventory: Inventory
    checks: tuple[Check, ...] = ()
    legs: tuple[Legs, ...] = ()
    coverage: Coverage = msgspec.field(default_factory=Coverage)
    paths: tuple[PathStatus, ...] = ()
    agents: tuple[AgentStatusDocument, ...] = ()
    findings: tuple[Finding, ...] = ()
    past_findings: tuple[Finding, ...] = ()
    counters: Counters = Counters()
    rejected: tuple[tuple[str, int], ...] = ()
    claims: tuple[Claim, ...] = ()


def write_statuses(statuses: Iterable[AgentStatus]) -> tuple[AgentStatusDocument, ...]:
    """The documents of agents' states."""
    names = AgentStatusDocument.__struct_fields__[1:]
    return tuple(
        AgentStatusDocument(str(one.agent), *(getattr(one, name) for name in names)) for one in statuses
    )


def read_statuses(documents: Iterable[AgentStatusDocument]) -> tuple[AgentStatus, ...]:
    """The states of agents; :class:`InputError` where a name is not that of an agent."""
    names = AgentStatusDocument.__struct_fields__[1:]
    return tuple(
        AgentStatus(AgentId.parse(one.agent), *(getattr(one, name) for name in names)) for one in documents
    )


def write_snapshot(snapshot: Snapshot) -> SnapshotDocument:
    """The document of a snapshot."""
    fields = {name: getattr(snapshot, name) for name in SnapshotDocument.__struct_fields__}
    return SnapshotDocument(**fields | {"agents": write_statuses(snapshot.agents)})


def read_snapshot(document: SnapshotDocument) -> Snapshot:
    """The snapshot of a document; :class:`InputError` where a name is not that of an agent."""
    fields = {name: getattr(document, name) for name in SnapshotDocument.__struct_fields__}
    return Snapshot(**fields | {"agents": read_statuses(document.agents)})
