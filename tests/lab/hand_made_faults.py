"""Faults made by hand in a full lab: commands on a host, and the one finding that they must lead to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from netprobe.lab.fault_script import HostScript, begin_scripts, end_scripts
from netprobe.model.finding import Cause, Finding
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from tests.lab.conftest import FullLab
from tests.lab.test_agents import wait_for_snapshot


def is_calm(snapshot: Snapshot) -> bool:
    return not snapshot.findings and {path.state for path in snapshot.paths} == {PathState.UP}


def _named(snapshot: Snapshot) -> list[Finding]:
    return [finding for finding in snapshot.findings if finding.cause is not Cause.UNEXPLAINED]


@contextmanager
def broken(
    lab: FullLab, host: str, begin: str, end: str, *, then: Sequence[tuple[str, str]] = ()
) -> Iterator[Finding]:
    """The only finding while *begin* was run on *host*, and then each command of *then* on its host.

    What is lost by chance may be called unexplained for some intervals before it is named.
    """
    scripts = (HostScript(host, begin, end), *(HostScript(place, script) for place, script in then))
    try:
        begin_scripts(lab.client, scripts)
        snapshot = wait_for_snapshot(lab, lambda now: bool(_named(now)))
        (finding,) = _named(snapshot)
        yield finding
        wait_for_snapshot(lab, lambda now: [one.id for one in now.findings] == [finding.id])
    finally:
        end_scripts(lab.client, scripts)
        wait_for_snapshot(lab, is_calm)


def conditions(finding: Finding) -> set[str]:
    return {f"{one.attribute}={one.value}" for one in finding.traffic if one.is_equal}
