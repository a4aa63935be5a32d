"""``--evidence``: findings weighed by what the gateways report about themselves."""

from __future__ import annotations

from netprobe.cli.options.source import Source
from netprobe.echo import echo
from netprobe.model.snapshot import Snapshot


def load_snapshot(source: Source, *, evidence: bool) -> Snapshot:
    """The snapshot; with *evidence*, gateways that could not be read are named on stderr."""
    snapshot = source.load()
    if not evidence:
        return snapshot
    from netprobe.workflows.gateway_evidence import with_evidence  # noqa: PLC0415 - only --evidence pays for SSH

    weighed, silent = with_evidence(snapshot)
    for line in silent:
        echo(f"netprobe: no evidence from {line}", err=True)
    return weighed
