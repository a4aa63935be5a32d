"""``netprobe status``: what is installed in which cluster, and what blocks it.

Exit codes: 0 all report, 1 some do not or cannot be read, 2 the options are wrong.
"""

from __future__ import annotations

import click

from netprobe.cli.options.clusters import ContextSelection, context_options, hub_option
from netprobe.cli.options.output import form_option


@click.command()
@context_options
@hub_option
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=20.0, show_default=True,
              metavar="SECONDS", help="How long one cluster may take.")  # fmt: skip
@form_option
@click.pass_context
def status(
    context: click.Context, *, selection: ContextSelection, hub: str | None, timeout_s: float, form: str
) -> None:
    """Show what netprobe has in each cluster: agents that report, the collector, what is missing."""
    from netprobe.cli.actions.status import run_status

    context.exit(run_status(selection, hub, timeout_s=timeout_s, form=form))
