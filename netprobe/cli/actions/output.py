"""Prints and writes: a view as a table or a document, a report in any form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import click
import msgspec
from rich.console import RenderableType

from netprobe.cli.options.output import ReportOutput
from netprobe.errors import SystemRefusedError
from netprobe.render.documents.snapshot import Document
from netprobe.render.reports.formats import REPORT_FORMATS
from netprobe.render.reports.formats.subject import ReportSubject
from netprobe.render.terminal.console import TextConsole
from netprobe.wire.documents import write_document


def print_document(text: str) -> None:
    """Print a document for programs as it is: its format escapes what it must."""
    click.echo(text, nl=not text.endswith("\n"))


def print_view(form: str, *, table: Callable[[], RenderableType], document: Callable[[], Document]) -> None:
    """Print the one of both that *form* asks for; only that one is built."""
    if form == "table":
        TextConsole().print(table())
    elif form == "yaml":
        print_document(write_document(msgspec.to_builtins(document())))
    else:
        print_document(msgspec.json.format(msgspec.json.encode(document()), indent=2).decode())


def deliver_report(subject: ReportSubject, output: ReportOutput) -> None:
    """Write the files of *output*, each in its form, then print."""
    write_files({path: REPORT_FORMATS[form].write(subject).encode() for path, form in output.files.items()})
    print_report(subject, output.form)


def print_report(subject: ReportSubject, form: str) -> None:
    """Print *subject* in a form of the registry; the table knows the terminal's width and colours."""
    if form == "table":
        TextConsole().print(subject.table())
    else:
        print_document(REPORT_FORMATS[form].write(subject))


def write_files(files: Mapping[Path, bytes]) -> Iterable[Path]:
    """Write *files*, with the directories they need; a path that cannot be written is named."""
    for path, raw in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        except OSError as error:
            raise SystemRefusedError(f"{path}: cannot be written: {error.strerror or error}") from error
    return files
