"""``netprobe report``: prints a report, or writes one form to a file or several to a directory."""

from __future__ import annotations

from pathlib import Path

from netprobe.cli.actions.output import print_report, write_files
from netprobe.cli.options.source import Source
from netprobe.echo import echo
from netprobe.errors import InputError
from netprobe.render.labels import is_broken
from netprobe.render.reports.formats import REPORT_FORMATS, format_for_suffix
from netprobe.render.reports.snapshot import SnapshotReport, build_report_files

DIRECTORY_FORMS = ("html", "markdown", "json", "junit", "tap", "sarif")
"""What a directory gets if no form is given."""
_SUFFIXES = frozenset(form.suffix for form in REPORT_FORMATS.values())


def run_report(source: Source, output: Path | None, form: str | None) -> int:
    """Print or write the report; 0 nothing broken, 1 something is."""
    is_file = output is not None and not output.is_dir() and output.suffix in _SUFFIXES
    if form == "all" and (output is None or is_file):
        raise InputError("--format all needs a directory", where=str(output or "--output"))
    moment = SnapshotReport(source.load())
    if output is None:
        print_report(moment, form or "table")
    else:
        echo(moment.title)
        for path in write_files(_files(moment, output, form, is_file=is_file)):
            echo(f"  {path}")
    return 1 if is_broken(moment.snapshot) else 0


def _files(moment: SnapshotReport, output: Path, form: str | None, *, is_file: bool) -> dict[Path, bytes]:
    if is_file:
        return {output: REPORT_FORMATS[form or format_for_suffix(output)].write(moment).encode()}
    forms = DIRECTORY_FORMS if form in {None, "all"} else (str(form),)
    return {output / name: raw for name, raw in build_report_files(moment.snapshot, forms).items()}
