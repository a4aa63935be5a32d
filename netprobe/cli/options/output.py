"""What a command prints and writes: a view as a table or a document, a report in any form."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import click
import msgspec
from rich.console import Console, RenderableType

from netprobe.errors import SystemRefusedError
from netprobe.render.documents.snapshot import Document
from netprobe.render.reports.formats import REPORT_FORMATS, format_for_suffix
from netprobe.render.reports.formats.subject import ReportSubject
from netprobe.wire.documents import write_document

C = TypeVar("C", bound=Callable[..., object])
R = TypeVar("R")


def form_option(command: C) -> C:
    """Give a command ``-o table|json|yaml``; it receives it as *form*."""
    return click.option("-o", "--output", "form", type=click.Choice(("table", "json", "yaml")),
                        default="table", show_default=True, help="What to print.")(command)  # fmt: skip


def print_view(form: str, *, table: Callable[[], RenderableType], document: Callable[[], Document]) -> None:
    """Print the one of both that *form* asks for; only that one is built."""
    if form == "table":
        Console().print(table())
    elif form == "yaml":
        click.echo(write_document(document()), nl=False)
    else:
        click.echo(msgspec.json.format(msgspec.json.encode(document()), indent=2).decode())


# --- reports -----------------------------------------------------------------------------------


def report_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command ``-o FORM`` and ``--write FILE``; it receives them as *tell*, called with a subject."""

    @functools.wraps(command)
    def with_forms(*args: object, form: str, write: tuple[Path, ...], **rest: object) -> R:
        wanted = [
            (path, format_for_suffix(path)) for path in write
        ]  # a wrong name is said before anything is asked

        def tell(subject: ReportSubject) -> None:
            write_files({path: REPORT_FORMATS[name].write(subject).encode() for path, name in wanted})
            print_report(subject, form)

        return command(*args, tell=tell, **rest)

    suffixes = " ".join(form.suffix for form in REPORT_FORMATS.values())
    options = (
        click.option("-o", "--output", "form", type=click.Choice(tuple(REPORT_FORMATS)), default="table",
                     show_default=True, help="What to print."),
        click.option("--write", type=click.Path(path_type=Path), multiple=True, metavar="FILE",
                     help=f"Also write FILE, in the form of its suffix ({suffixes}); may be repeated."),
    )  # fmt: skip
    for option in reversed(options):
        with_forms = option(with_forms)
    return with_forms


def print_report(subject: ReportSubject, form: str) -> None:
    """Print *subject* in a form of the registry; the table knows the terminal's width and colours."""
    if form == "table":
        Console().print(subject.table())
    else:
        click.echo(REPORT_FORMATS[form].write(subject), nl=False)


def write_files(files: Mapping[Path, bytes]) -> Iterable[Path]:
    """Write *files*, with the directories they need; a place that cannot be written is named."""
    for path, raw in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        except OSError as error:
            raise SystemRefusedError(f"{path}: cannot be written: {error.strerror or error}") from error
    return files
