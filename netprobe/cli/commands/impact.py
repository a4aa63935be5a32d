"""``netprobe impact``: what would be cut off if a node, gateway, tunnel or any other component failed.

Exit codes: 0 the answer was printed, 2 the component is unknown or the snapshot could not be loaded.
"""

from __future__ import annotations

import click

from netprobe.cli.options.output import form_option
from netprobe.cli.options.source import Source, source_options


@click.command()
@click.argument("words", metavar="PART", nargs=-1, required=True)
@source_options
@form_option
def impact(*, words: tuple[str, ...], source: Source, form: str) -> None:
    """Show what would be cut off if PART failed, and which alternative path would remain.

    PART is a node (cluster/node), the two clusters that a tunnel or link connects, or a component as findings
    write it, such as 'dns(prod-us-west-1)'.
    """
    from netprobe.cli.actions.impact import run_impact

    run_impact(source, words, form=form)
