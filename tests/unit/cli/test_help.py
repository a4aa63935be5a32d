"""What ``--help`` says of every command: whole, within 80 columns, and the same words for the same things."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from netprobe.cli.main import cli


def walk(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, *path, name)


EVERY = [pytest.param(path, command, id=" ".join(path) or "netprobe") for path, command in walk(cli)]
every_command = pytest.mark.parametrize(("path", "command"), EVERY)


@every_command
def test_help_is_whole_and_fits_a_terminal(path: tuple[str, ...], command: click.Command) -> None:
    told = CliRunner().invoke(cli, [*path, "--help"], terminal_width=80, prog_name="netprobe")
    assert told.exit_code == 0
    assert command.help
    lines = told.output.splitlines()
    too_wide = [line for line in lines if len(line) > 80 and "|" not in line]  # choices are one word
    assert not too_wide
    if isinstance(command, click.Group):
        listed = told.output.partition("\nCommands:\n")[2]
        assert listed
        assert "..." not in listed, "a sentence is cut off"


@every_command
def test_every_option_is_explained_and_says_what_it_takes(
    path: tuple[str, ...], command: click.Command
) -> None:
    context = click.Context(command)
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, param.opts
            shown = "" if param.flag_value is not None else param.make_metavar(context)
            assert shown not in {"TEXT", "PATH", "INTEGER", "FLOAT", "FLOAT RANGE", "INTEGER RANGE"}, (
                param.opts
            )


@every_command
def test_what_prints_a_table_prints_documents_too(path: tuple[str, ...], command: click.Command) -> None:
    for param in command.params:
        if isinstance(param.type, click.Choice) and "table" in param.type.choices and path[:1] != ("intent",):
            assert {"json", "yaml"} <= set(param.type.choices)
