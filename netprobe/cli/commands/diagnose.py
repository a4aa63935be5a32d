"""``netprobe diagnose``: what is broken, how sure that is, whom it hits, and what was broken before.

Exit codes: 0 nothing broken, 1 something is, 2 the question could not be asked.
"""

from __future__ import annotations

import click

from netprobe.cli.options.evidence import evidence_option, weigh_by_gateways
from netprobe.cli.options.output import form_option, print_view
from netprobe.cli.options.source import Source, source_options
from netprobe.render.documents.snapshot import diagnosis_document
from netprobe.render.labels import is_broken
from netprobe.render.terminal.diagnosis import diagnosis_table


@click.command()
@source_options
@form_option
@evidence_option
@click.pass_context
def diagnose(context: click.Context, *, source: Source, form: str, evidence: bool) -> None:
    """Say what is broken, most certain first, with evidence, blast radius and next step; then incidents.

    Live from a lab or a collector, or from a saved evidence bundle. Exit code 1 if something is broken.
    """
    snapshot = weigh_by_gateways(source.load()) if evidence else source.load()
    print_view(form, table=lambda: diagnosis_table(snapshot), document=lambda: diagnosis_document(snapshot))
    context.exit(1 if is_broken(snapshot) else 0)
