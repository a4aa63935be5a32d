"""``netprobe diagnose``: what is broken, how sure that is, what it affects, and what was broken before.

Exit codes: 0 nothing broken, 1 something is, 2 the snapshot could not be loaded.
"""

from __future__ import annotations

import click

from netprobe.cli.options.evidence import EvidenceChoice, evidence_option
from netprobe.cli.options.output import form_option
from netprobe.cli.options.source import Source, source_options


@click.command()
@source_options
@form_option
@evidence_option
@click.pass_context
def diagnose(context: click.Context, *, source: Source, form: str, evidence: EvidenceChoice) -> None:
    """Show what is broken, most certain first: evidence, blast radius, next step; then past incidents.

    Live from a lab or a collector, or from a saved evidence bundle. Exit code 1 if something is broken.
    """
    from netprobe.cli.actions.diagnose import run_diagnose

    context.exit(run_diagnose(source, form=form, evidence=evidence))
