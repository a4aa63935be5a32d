"""Names that help offers are those of the registries and enumerations that other rooms define."""

from __future__ import annotations

from collections.abc import Iterable

import click
import pytest
from click.testing import CliRunner

from netprobe.analysis.queries.comparison import SLOWER_FACTOR, ChangeKind
from netprobe.cli.actions.show import DOCUMENTS, TABLES
from netprobe.cli.commands.show import VIEWS
from netprobe.cli.main import cli
from netprobe.cli.options.registry import RegistryChoice, RegistryOption
from netprobe.craft.registry import CRAFT_KINDS
from netprobe.deploy.install.objects import EXTRAS
from netprobe.discovery.ssh.fan_out import MOST_AT_ONCE
from netprobe.lab.state_folder import DEFAULT_NAME
from netprobe.model.intent import LocateDrops
from netprobe.model.names import Plane
from netprobe.probes.registry import KINDS
from netprobe.render.reachability import Level
from netprobe.render.reports.formats import REPORT_FORMATS
from netprobe.simulate.faults import KINDS as SIMULATED
from netprobe.simulate.fleet import ClusterJoin


def find_param(path: str, name: str) -> tuple[click.Context, click.Parameter]:
    command: click.Command = cli
    for word in path.split():
        assert isinstance(command, click.Group)
        below = command.get_command(click.Context(command), word)
        assert below is not None
        command = below
    context = click.Context(command, info_name=path)
    return context, next(param for param in command.params if name in param.opts)


@pytest.mark.parametrize(
    ("path", "name", "names"),
    [
        ("show", "view", VIEWS),
        ("show", "--plane", Plane),
        ("show", "--by", Level),
        ("install", "--with", EXTRAS),
        ("verify", "--locate", LocateDrops),
        ("verify", "--output", REPORT_FORMATS),
        ("report", "--format", (*REPORT_FORMATS, "all")),
        ("simulate", "--links", ClusterJoin),
    ],
)
def test_choices_are_those_of_the_registry(path: str, name: str, names: Iterable[str]) -> None:
    _, param = find_param(path, name)
    assert isinstance(param.type, click.Choice)
    assert param.type.choices == tuple(map(str, names))


def test_every_view_has_a_table_and_a_document() -> None:
    assert set(TABLES) == set(DOCUMENTS) == set(VIEWS) - {"matrix"}


@pytest.mark.parametrize(
    ("path", "name", "names"),
    [
        ("check", "--probe", sorted({*KINDS, *CRAFT_KINDS})),
        ("report diff", "--fail-on", [kind.value for kind in ChangeKind if kind.is_worse]),
    ],
)
def test_help_lists_the_names_of_the_registry(path: str, name: str, names: list[str]) -> None:
    context, param = find_param(path, name)
    record = param.get_help_record(context)
    assert record is not None
    assert ", ".join(names) in record[1]
    assert [one.value for one in param.shell_complete(context, "")] == names


def test_the_help_of_simulate_ends_with_the_kinds_of_faults() -> None:
    told = CliRunner().invoke(cli, ["simulate", "--help"]).output
    assert " ".join(told.split()).endswith(f"Kinds of faults: {', '.join(sorted(SIMULATED))}.")


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("sites status", "--at-once", MOST_AT_ONCE),
        ("report diff", "--slower", SLOWER_FACTOR),
        ("lab up", "--name", DEFAULT_NAME),
    ],
)
def test_defaults_are_those_of_the_room_that_uses_them(path: str, name: str, value: object) -> None:
    context, param = find_param(path, name)
    assert param.get_default(context) == value
    assert f"default: {value}" in CliRunner().invoke(cli, [*path.split(), "--help"]).output


def test_a_default_option_of_a_command_is_still_what_it_takes() -> None:
    _, param = find_param("simulate", "--links")
    assert isinstance(param.type, RegistryChoice)
    assert param.type.convert(param.default, param, None) == ClusterJoin.FULL


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    told = CliRunner().invoke(cli, ["show", "--plane", "moon"])
    assert told.exit_code == 2
    assert "'moon' is not one of 'pod', 'host'" in told.output.replace("\n", " ")


def test_the_help_text_is_not_changed_by_showing_it() -> None:
    context, param = find_param("check", "--probe")
    assert isinstance(param, RegistryOption)
    assert param.get_help_record(context) == param.get_help_record(context)
    assert "%s" in (param.help or "")
