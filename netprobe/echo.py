"""Lines for a person, on standard output or standard error.

Rule: the command line and its workflows print through this and through the console for tables; so text from
outside is cleaned in one place.
"""

from __future__ import annotations

import click

from netprobe.model.clean_text import clean


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print *text*, cleaned of what a terminal would obey; a leading carriage return of our own stays."""
    begin = "\r" if text.startswith("\r") else ""
    click.echo(begin + clean(text.removeprefix("\r")), err=err, nl=nl)
