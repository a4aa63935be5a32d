"""The ``netprobe`` command; each subcommand is one file of this folder and one line here."""

from __future__ import annotations

import sys

import click

from netprobe import __version__
from netprobe.errors import NetprobeError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="netprobe")
def cli() -> None:
    """Who can reach whom across your clusters right now, and where exactly it is broken."""


def main() -> None:
    """Run the command line; a known error is one line on stderr and exit code 2."""
    try:
        cli(standalone_mode=True)
    except NetprobeError as error:
        click.echo(f"netprobe: {error}", err=True)
        sys.exit(2)
