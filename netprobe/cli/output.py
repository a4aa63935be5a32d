"""What a view prints: a table for people, or a document for machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click
import msgspec
from rich.console import Console, RenderableType

from netprobe.render.documents import Document
from netprobe.wire.documents import write_document

C = TypeVar("C", bound=Callable[..., object])


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
