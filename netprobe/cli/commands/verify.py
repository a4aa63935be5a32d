"""``netprobe verify``: is the network as intended, checked now, cell by cell.

Exit codes: 0 nothing broken and no leak, 1 something is, 2 the options are wrong or nothing could be checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from netprobe.cli.options.output import ReportOutput, report_options
from netprobe.cli.options.registry import RegistryChoice
from netprobe.cli.options.source import Source, source_options
from netprobe.cli.options.verify_compat import expect_compatible
from netprobe.cli.options.visit import VisitOptions, visit_options

MAX_CELLS = 50_000
"""A larger intent is sampled unless ``--exhaustive`` is given."""


def _drops_to_locate() -> Iterable[str]:
    from netprobe.model.intent import LocateDrops

    return LocateDrops


@click.command()
@click.option(
    "-f", "--file", "path", type=click.Path(path_type=Path), metavar="FILE", help="The intent file."
)
@source_options
@visit_options
@report_options
@click.option("--sample", "size", type=click.IntRange(min=1), default=MAX_CELLS, show_default=True,
              metavar="CELLS", help="Check at most this many cells, chosen at random.")  # fmt: skip
@click.option("--exhaustive", is_flag=True, help="Check every cell, however many there are.")
@click.option("--locate", type=RegistryChoice(_drops_to_locate), default="differing", show_default=True,
              help="Which drops to trace to the hop that drops them.")  # fmt: skip
@click.option("--watch", "every_s", type=click.FloatRange(min=1), metavar="SECONDS",
              help="Repeat until Ctrl-C; print what opens and closes.")  # fmt: skip
@click.option("--incidents", type=click.Path(path_type=Path), metavar="FILE",
              help="With --watch: append each incident that opens or closes, as JSON lines.")  # fmt: skip
@click.option("--pcap", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write what the agents sent and heard as pcapng.")  # fmt: skip
@click.pass_context
def verify(  # noqa: PLR0913 - one parameter per option
    context: click.Context, *, path: Path | None, source: Source, visiting: VisitOptions,
    output: ReportOutput, size: int, exhaustive: bool, locate: str, every_s: float | None,
    incidents: Path | None, pcap: Path | None,
) -> None:  # fmt: skip
    """Compare what is reachable now with what the intent FILE says, or visit the clusters of --context.

    A visit needs only a kubeconfig: it starts agents in a namespace of their own, lets them check each other
    within and across the clusters, on both planes, and removes everything again, on Ctrl-C too. With both,
    the agents of the visit check the intent.

    Exit code 0 if nothing is broken and nothing leaks, 1 if something is, 2 if nothing could be checked or
    nothing at all could be proven.
    """
    expect_compatible(context, has_intent=path is not None, is_visit=visiting.is_asked)
    if path is None:
        from netprobe.cli.actions.verify_visit import run_visit

        context.exit(run_visit(visiting, output))
    from netprobe.cli.actions.verify import read_request, run_verify, run_watch

    request = read_request(path, size=None if exhaustive else size, locate=locate, pcap=pcap)
    if every_s is not None:
        context.exit(run_watch(source, request, every_s=every_s, incidents=incidents))
    context.exit(run_verify(source, visiting, request, output))
