"""A group of commands whose help tells what each of them does, in a whole sentence."""

from __future__ import annotations

import click

_WHOLE = 1_000
"""More characters than any first sentence has."""


class HelpGroup(click.Group):
    """Click cuts a command's sentence off at the end of the line; here it goes on in the next."""

    group_class = type
    """Groups within this one are of the same kind."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names of the commands and what each does."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        told = [(name, command.get_short_help_str(_WHOLE)) for name, command in found if command]
        if told:
            with formatter.section("Commands"):
                formatter.write_dl(told)
