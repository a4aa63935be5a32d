"""``netprobe why``: whether one end reaches another, layer by layer, and one sentence that says why.

Exit codes: 0 it does, 1 it does not or only in part, or nobody knows, 2 the question could not be asked.
"""

from __future__ import annotations

import click

from netprobe.analysis.ends import find_end
from netprobe.analysis.why import explain_pair
from netprobe.cli.output import form_option, print_view
from netprobe.cli.source import Source, source_options
from netprobe.model.state import PathState
from netprobe.render.health import read_health
from netprobe.render.why import why_document, why_table


@click.command()
@click.argument("origin", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@source_options
@form_option
@click.pass_context
def why(context: click.Context, *, origin: str, target: str, source: Source, form: str) -> None:
    """Say why SOURCE reaches TARGET, or why not, layer by layer.

    SOURCE and TARGET are clusters, nodes (cluster/node) or agents (cluster/node/plane); TARGET may also be
    a service (cluster/namespace/name). A cluster may be written by its first words.
    """
    snapshot = source.load()
    ends = find_end(snapshot.inventory, origin), find_end(snapshot.inventory, target)
    answer = explain_pair(snapshot, *ends, feels=read_health(snapshot).of)
    print_view(
        form, table=lambda: why_table(snapshot, answer), document=lambda: why_document(snapshot, answer)
    )
    context.exit(0 if answer.state is PathState.UP else 1)
