"""``netprobe report``: the snapshot written down for people who were not there.

Exit codes: 0 nothing broken, 1 something is, 2 the question could not be asked.
"""

from __future__ import annotations

from pathlib import Path

import click

from netprobe.cli.commands.report_diff import diff, save
from netprobe.cli.options.help_group import HelpGroup
from netprobe.cli.options.output import print_report, write_files
from netprobe.cli.options.source import Source, source_options
from netprobe.errors import InputError
from netprobe.render.labels import is_broken
from netprobe.render.reports.formats import REPORT_FORMATS, format_for_suffix
from netprobe.render.reports.snapshot import SnapshotReport, build_report_files

DIRECTORY_FORMS = ("html", "markdown", "json", "junit", "tap", "sarif")
"""What a directory gets where no form is named."""
_SUFFIXES = frozenset(form.suffix for form in REPORT_FORMATS.values())


@click.group(cls=HelpGroup, invoke_without_command=True)
@source_options
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR|FILE",
              help="A directory gets reports, pictures and graph; a file only the report.")  # fmt: skip
@click.option("-o", "--format", "form", type=click.Choice((*REPORT_FORMATS, "all")), default=None,
              help="By default the table, what the file's name says, and for a directory all.")  # fmt: skip
@click.pass_context
def report(context: click.Context, *, source: Source, output: Path | None, form: str | None) -> None:
    """Write a report: verdict, findings with their evidence, map, matrix, agents, coverage.

    Live from a lab or a collector, or from a saved evidence bundle; without --output it is printed. Exit
    code 1 if something is broken. `netprobe report diff` compares two moments.
    """
    if context.invoked_subcommand is not None:
        return
    is_file = output is not None and not output.is_dir() and output.suffix in _SUFFIXES
    if form == "all" and (output is None or is_file):
        raise InputError("--format all needs a directory", where=str(output or "--output"))
    moment = SnapshotReport(source.load())
    if output is None:
        print_report(moment, form or "table")
    else:
        click.echo(moment.title)
        for path in write_files(_files(moment, output, form, is_file=is_file)):
            click.echo(f"  {path}")
    context.exit(1 if is_broken(moment.snapshot) else 0)


report.add_command(diff)
report.add_command(save)


def _files(moment: SnapshotReport, output: Path, form: str | None, *, is_file: bool) -> dict[Path, bytes]:
    if is_file:
        return {output: REPORT_FORMATS[form or format_for_suffix(output)].write(moment).encode()}
    forms = DIRECTORY_FORMS if form in {None, "all"} else (str(form),)
    return {output / name: raw for name, raw in build_report_files(moment.snapshot, forms).items()}
