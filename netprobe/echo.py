"""Lines for a person, on standard output or standard error.

Rule: the command line and its workflows print through this and through the console for tables; so text from
outside is cleaned in one place.
"""

from __future__ import annotations

import click

from netprobe.model.clean_text import clean


class Styled(str):
    """Text that is clean, in a colour or weight of our own."""

    __slots__ = ()


def styled(text: str, *, bold: bool | None = None, colour: str | None = None) -> Styled:
    """*text*, cleaned and then styled, as a part for `echo`."""
    return Styled(click.style(clean(text), bold=bold, fg=colour))


def echo(*parts: str, err: bool = False, nl: bool = True) -> None:
    """Print *parts* as one text, cleaned of what a terminal would obey; a carriage return of ours stays."""
    begin = "\r" if parts and parts[0].startswith("\r") else ""
    shown = (part if isinstance(part, Styled) else clean(part.removeprefix("\r")) for part in parts)
    click.echo(begin + "".join(shown), err=err, nl=nl)
