"""``netprobe report``: the snapshot written down for people who were not there.

Exit codes: 0 nothing broken, 1 something is, 2 the snapshot could not be loaded or the report not written.
"""

from __future__ import annotations

from pathlib import Path

import click

from netprobe.cli.commands.report_diff import diff, save
from netprobe.cli.options.help_group import HelpGroup
from netprobe.cli.options.source import Source, source_options
from netprobe.render.reports.formats import REPORT_FORMATS


@click.group(cls=HelpGroup, invoke_without_command=True)
@source_options
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR|FILE",
              help="A directory gets reports, pictures and the graph; a file only the report.")  # fmt: skip
@click.option("-o", "--format", "form", type=click.Choice((*REPORT_FORMATS, "all")), default=None,
              help="Default: the table, the form of a file's suffix, all for a directory.")  # fmt: skip
@click.pass_context
def report(context: click.Context, *, source: Source, output: Path | None, form: str | None) -> None:
    """Write a report: verdict, findings with their evidence, map, matrix, agents, coverage.

    Live from a lab or a collector, or from a saved evidence bundle; without --output it is printed. Exit
    code 1 if something is broken. `netprobe report diff` compares two moments.
    """
    if context.invoked_subcommand is not None:
        return
    from netprobe.cli.actions.report import run_report

    context.exit(run_report(source, output, form))


report.add_command(diff)
report.add_command(save)
