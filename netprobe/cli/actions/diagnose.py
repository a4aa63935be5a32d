"""``netprobe diagnose``: findings with evidence and next step, then incidents."""

from __future__ import annotations

from netprobe.cli.actions.evidence import load_snapshot
from netprobe.cli.actions.output import print_view
from netprobe.cli.options.evidence import EvidenceChoice
from netprobe.cli.options.source import Source
from netprobe.render.documents.snapshot import diagnosis_document
from netprobe.render.labels import is_broken
from netprobe.render.terminal.diagnosis import diagnosis_table


def run_diagnose(source: Source, *, form: str, evidence: EvidenceChoice) -> int:
    """Print the diagnosis; 0 nothing broken, 1 something is."""
    snapshot = load_snapshot(source, evidence=evidence)
    print_view(form, table=lambda: diagnosis_table(snapshot), document=lambda: diagnosis_document(snapshot))
    return 1 if is_broken(snapshot) else 0
