"""The ``netprobe`` command: each subcommand is one file in ``commands`` and one line in ``COMMANDS``.

Rule: ``commands/X.py`` declares arguments, options and help, imports only click and ``cli.options``, and
hands over to ``cli.actions.X``, which it imports in the body of the command. So help and completion load
nothing that only a running command needs. Names from a registry (probe kinds, faults, planes) are read when
help, completion or a value needs them: ``cli.options.registry``.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from netprobe import __version__, logs
from netprobe.cli.options.help_group import HelpGroup
from netprobe.echo import echo
from netprobe.errors import NetprobeError

COMMANDS = {
    "check": "netprobe.cli.commands.check:check",
    "clusters": "netprobe.cli.commands.clusters:clusters",
    "collector": "netprobe.cli.commands.collector:collector",
    "demo": "netprobe.cli.commands.demo:demo",
    "diagnose": "netprobe.cli.commands.diagnose:diagnose",
    "gather": "netprobe.cli.commands.gather:gather",
    "impact": "netprobe.cli.commands.impact:impact",
    "install": "netprobe.cli.commands.install:install",
    "intent": "netprobe.cli.commands.intent:intent",
    "lab": "netprobe.cli.commands.lab:lab",
    "report": "netprobe.cli.commands.report:report",
    "show": "netprobe.cli.commands.show:show",
    "simulate": "netprobe.cli.commands.simulate:simulate",
    "sites": "netprobe.cli.commands.sites:sites",
    "status": "netprobe.cli.commands.status:status",
    "uninstall": "netprobe.cli.commands.uninstall:uninstall",
    "verify": "netprobe.cli.commands.verify:verify",
    "why": "netprobe.cli.commands.why:why",
}
"""Imported when listed or called."""


class LazyGroup(HelpGroup):
    """A group whose subcommands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or None if there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found = getattr(importlib.import_module(module), attribute)
        return found if isinstance(found, click.Command) else None


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="netprobe")
@click.option("-v", "--verbose", "verbosity", count=True,
              help="Log to stderr: -v what happens, -vv every step; see also NETPROBE_LOG.")  # fmt: skip
@click.pass_context
def cli(context: click.Context, verbosity: int) -> None:
    """Who can reach whom across your clusters right now, and where exactly it is broken."""
    default = "info" if context.invoked_subcommand == "collector" else "warning"
    logs.set_up(logs.choose_settings(os.environ, verbosity=verbosity, default=default))


def main() -> None:
    """Run the command line; a known error is one line on stderr and exit code 2."""
    try:
        cli(standalone_mode=True)
    except NetprobeError as error:
        echo(f"netprobe: {error}", err=True)
        sys.exit(2)
