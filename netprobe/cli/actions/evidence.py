"""``--evidence``: findings weighed by what the gateways report about themselves."""

from __future__ import annotations

from dataclasses import replace

from netprobe.cli.options.evidence import EvidenceChoice
from netprobe.cli.options.source import Source
from netprobe.echo import echo
from netprobe.model.snapshot import Snapshot


def load_snapshot(source: Source, *, evidence: EvidenceChoice) -> Snapshot:
    """The snapshot; with *evidence*, gateways that could not be read are named on stderr."""
    snapshot = source.load()
    if not evidence.is_wanted:
        return snapshot
    from netprobe.workflows.gateway_evidence import (  # noqa: PLC0415 - only --evidence pays for SSH
        with_evidence,
        with_logins,
    )

    if evidence.inventory is not None:
        snapshot = replace(snapshot, inventory=with_logins(snapshot.inventory, evidence.inventory))
    weighed, silent = with_evidence(snapshot)
    for line in silent:
        echo(f"netprobe: no evidence from {line}", err=True)
    return weighed
