"""``netprobe uninstall``: removes netprobe from several clusters at once; nothing stays behind.

Exit codes: 0 all are clean, 1 some are not (each is named with the reason), 2 nothing was changed.
"""

from __future__ import annotations

import click

from netprobe.cli.options.clusters import ContextSelection, context_options, hub_option


@click.command()
@context_options
@hub_option
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=1), default=120.0, show_default=True,
              metavar="SECONDS", help="How long one cluster may take.")  # fmt: skip
@click.pass_context
def uninstall(
    context: click.Context, *, selection: ContextSelection, hub: str | None, timeout_s: float
) -> None:
    """Remove agents and collector from clusters; with --hub, also unregister the clusters there."""
    from netprobe.cli.actions.uninstall import run_uninstall

    context.exit(run_uninstall(selection, hub, timeout_s=timeout_s))
