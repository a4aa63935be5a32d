"""What the collector of a lab finds now, and found before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from netprobe.bus.operator import ask_snapshot
from netprobe.lab.access import find_access
from netprobe.model.finding import Cause, Finding
from netprobe.model.snapshot import Snapshot
from tests.patience import wait_until


def state_of(name: str) -> Snapshot:
    return asyncio.run(ask_snapshot(find_access(name)))


def find_cause(snapshot: Snapshot, cause: Cause) -> Finding | None:
    return next((finding for finding in snapshot.findings if finding.cause is cause), None)


def find_past(snapshot: Snapshot, wanted: Finding) -> Finding | None:
    same = (wanted.id, wanted.first_seen_ns)
    return next((one for one in snapshot.past_findings if (one.id, one.first_seen_ns) == same), None)


def wait_for_finding(name: str, find: Callable[[Snapshot], Finding | None]) -> Finding:
    """The first finding that *find* chooses."""
    found = wait_until("it is found", lambda: find(state_of(name)), every_s=0.5)
    assert found is not None
    return found
