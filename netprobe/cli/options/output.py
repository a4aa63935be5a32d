"""How a command prints: ``-o``, and ``--write`` for reports."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from netprobe.render.reports.formats import REPORT_FORMATS, format_for_suffix

C = TypeVar("C", bound=Callable[..., object])
R = TypeVar("R")


def form_option(command: C) -> C:
    """Give a command ``-o table|json|yaml``; it receives it as *form*."""
    return click.option("-o", "--output", "form", type=click.Choice(("table", "json", "yaml")),
                        default="table", show_default=True, help="What to print.")(command)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReportOutput:
    """Where a report goes: printed in *form*, and into *files*, each in the form beside it."""

    form: str
    files: dict[Path, str]


def report_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command ``-o FORM`` and ``--write FILE``; it receives a :class:`ReportOutput` as *output*."""

    @functools.wraps(command)
    def with_output(*args: object, form: str, write: tuple[Path, ...], **rest: object) -> R:
        files = {
            path: format_for_suffix(path) for path in write
        }  # an unknown suffix is an error before anything is asked
        return command(*args, output=ReportOutput(form, files), **rest)

    suffixes = " ".join(form.suffix for form in REPORT_FORMATS.values())
    options = (
        click.option("-o", "--output", "form", type=click.Choice(tuple(REPORT_FORMATS)), default="table",
                     show_default=True, help="What to print."),
        click.option("--write", type=click.Path(path_type=Path), multiple=True, metavar="FILE",
                     help=f"Also write FILE; its suffix is the form ({suffixes}). Repeat it for several."),
    )  # fmt: skip
    for option in reversed(options):
        with_output = option(with_output)
    return with_output
