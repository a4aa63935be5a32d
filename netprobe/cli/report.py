"""``netprobe report``: the snapshot written down for people who were not there.

Exit codes: 0 nothing broken, 1 something is, 2 the question could not be asked.
"""

from __future__ import annotations

from pathlib import Path

import click

from netprobe.cli.source import Source, source_options
from netprobe.errors import InputError, SurroundingsError
from netprobe.model.snapshot import Snapshot
from netprobe.render.report import FORMATS, build_report_files
from netprobe.render.words import is_broken, verdict

_SUFFIXES = {form.suffix: name for name, form in FORMATS.items()}


@click.command()
@source_options
@click.option("--output", type=click.Path(path_type=Path), required=True, metavar="DIR|FILE",
              help="A directory gets reports, pictures and graph; a file only the report.")  # fmt: skip
@click.option("--format", "form", type=click.Choice((*FORMATS, "all")), default=None,
              help="By default what the file's name says, and for a directory all.")  # fmt: skip
@click.pass_context
def report(context: click.Context, *, source: Source, output: Path, form: str | None) -> None:
    """Write a report: verdict, findings with their evidence, map, matrix, agents, coverage.

    Live from a lab or a collector, or from a saved evidence bundle. Exit code 1 if something is broken.
    """
    is_file = not output.is_dir() and output.suffix in _SUFFIXES
    if is_file and form == "all":
        raise InputError("--format all needs a directory", where=str(output))
    form = form or (_SUFFIXES[output.suffix] if is_file else "all")
    snapshot = source.load()
    if is_file:
        files = {output: FORMATS[form].write(snapshot).encode()}
    else:
        files = {output / name: raw for name, raw in _directory(snapshot, form).items()}
    _write(files)
    click.echo(verdict(snapshot))
    for path in files:
        click.echo(f"  {path}")
    context.exit(1 if is_broken(snapshot) else 0)


def _directory(snapshot: Snapshot, form: str) -> dict[str, bytes]:
    return build_report_files(snapshot, FORMATS if form == "all" else (form,))


def _write(files: dict[Path, bytes]) -> None:
    for path, raw in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        except OSError as error:
            raise SurroundingsError(f"{path}: cannot be written: {error.strerror or error}") from error
