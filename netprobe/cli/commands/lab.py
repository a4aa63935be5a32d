"""``netprobe lab``: several clusters, tunnels and faults inside this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from netprobe.cli.options import help_group
from netprobe.cli.options.output import form_option, print_view
from netprobe.errors import InputError
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.lab.faults import KINDS
from netprobe.lab.protocol import FaultStatus, LabStatus
from netprobe.lab.state_folder import DEFAULT_NAME, list_labs
from netprobe.render.documents.snapshot import Document
from netprobe.render.terminal.tables import new_table

_name = click.option("--name", metavar="NAME", default=DEFAULT_NAME, show_default=True, help="Which lab.")


@click.group(cls=help_group.HelpGroup)
def lab() -> None:
    """Several clusters, tunnels and faults inside this machine."""


@lab.command()
@click.option("--topology", type=click.Path(path_type=Path), metavar="FILE",
              help="What to build (YAML); by default three clusters.")  # fmt: skip
@_name
@click.option("--interval", type=click.FloatRange(0.2, 3600), metavar="SECONDS", default=1.0,
              show_default=True, help="One round of all checks.")  # fmt: skip
@click.option("--no-agents", is_flag=True, help="Only the network: no agents, no collector.")
@click.option("--die-with-parent", is_flag=True, help="Take the lab down when the calling process ends.")
def up(topology: Path | None, name: str, interval: float, no_agents: bool, die_with_parent: bool) -> None:
    """Bring a lab up: the network, the agents and the collector."""
    start = Start(
        name=name,
        topology=topology,
        interval_ns=round(interval * 1e9),
        with_agents=not no_agents,
        end_with_pid=os.getppid() if die_with_parent else None,
    )
    state = start_lab(start, say=lambda notice: click.echo(f"note: {notice}", err=True))
    status = LabClient(name).status()
    click.echo(
        f"lab {name!r} is up: {len(status.hosts)} hosts, {len(status.processes)} processes, in {state.root}"
    )


@lab.command()
@_name
def down(name: str) -> None:
    """Take a lab down; also removes what a dead one left."""
    if not take_down(name):
        known = ", ".join(list_labs()) or "none"
        raise InputError(f"no lab named {name!r}; there is {known}", where="--name")
    click.echo(f"lab {name!r} is down")


@lab.command()
@_name
@form_option
def status(name: str, form: str) -> None:
    """Show hosts, processes and faults."""
    found = LabClient(name).status()
    print_view(form, table=lambda: _tell_status(found), document=lambda: _document(found))


@lab.command(name="exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_name
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(name: str, host: str, command: tuple[str, ...]) -> None:
    """Run a command inside a host: its network, its names; our terminal and exit code."""
    argv = command[1:] if command[0] == "--" else command
    if not argv:
        raise InputError("needs a command", where="exec")
    sys.exit(LabClient(name).execute(host, argv))


@lab.group()
def fault() -> None:
    """Break things, and mend them."""


@fault.command(name="list")
@_name
@form_option
def list_faults(name: str, form: str) -> None:
    """Show what can be broken, and what is broken now."""
    active = LabClient(name).status().faults if name in list_labs() else []
    print_view(
        form,
        table=lambda: Group(_tell_kinds(), "", _tell_faults(active)),
        document=lambda: {"kinds": _kinds_document(), "active": [_document(one) for one in active]},
    )


@fault.command(name="add")
@_name
@form_option
@click.argument("kind")
@click.argument("parameters", nargs=-1, metavar="[KEY=VALUE]...")
def add_fault(name: str, form: str, kind: str, parameters: tuple[str, ...]) -> None:
    """Break something: KIND and its parameters."""
    added = LabClient(name).add_fault(kind, _read_parameters(parameters))
    print_view(
        form,
        table=lambda: Text(f"{added.id}: {added.cause}, {', '.join(added.components)}"),
        document=lambda: _document(added),
    )


@fault.command(name="remove")
@_name
@click.argument("fault_id", metavar="ID|all")
def remove_fault(name: str, fault_id: str) -> None:
    """Mend the fault of that id, or all."""
    removed = LabClient(name).remove_fault(fault_id)
    click.echo(f"removed {', '.join(removed)}" if removed else "nothing was broken")


def _read_parameters(texts: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise InputError(f"{text!r} is not key=value")
        if key in found:
            raise InputError(f"{key!r} stands twice")
        found[key] = value
    return found


def _document(told: msgspec.Struct) -> Document:
    found: Document = msgspec.to_builtins(told)
    return found


def _kinds_document() -> list[Document]:
    return [
        {
            "kind": kind.name,
            "summary": kind.summary,
            "parameters": {one.name: {"what": one.what, "default": one.default} for one in kind.parameters},
        }
        for kind in KINDS.values()
    ]


def _tell_status(status: LabStatus) -> RenderableType:
    how = "rootless" if status.rootless else "as root, isolated"
    processes_of: dict[str, list[Text]] = {}
    for process in status.processes:
        short = process.name.rpartition("/")[2]
        state = process.state if process.exit_code is None else f"{process.state} ({process.exit_code})"
        style = {"running": "green", "stopped": "yellow"}.get(process.state, "red")
        processes_of.setdefault(process.host, []).append(Text.assemble(f"{short} ", (state, style)))
    table = new_table("host", "addresses", "processes", grow="processes")
    for host in status.hosts:
        told = Text("\n").join(processes_of.get(host.name, []))
        table.add_row(host.name, "\n".join(host.addresses[:2]), told)
    return Group(
        Text(f"lab {status.name!r} ({how}), tunnels by {status.mechanism}, bus {status.bus_url}"),
        Text(f"folder {status.folder}", overflow="fold"),
        *(Text(f"note: {notice}") for notice in status.notices),
        "",
        table,
        "",
        _tell_faults(status.faults),
    )


def _tell_kinds() -> RenderableType:
    table = new_table("kind", "what happens, and with which words", grow="what happens, and with which words")
    for kind in KINDS.values():
        words = [
            f"{one.name}={one.what}" + (f" ({one.default})" if one.default else "") for one in kind.parameters
        ]
        table.add_row(kind.name, Text.assemble(kind.summary, "\n", ("  ".join(words), "bright_black")))
    return Group(Text("What can be broken", style="bold"), "", table)


def _tell_faults(faults: list[FaultStatus]) -> RenderableType:
    if not faults:
        return Text("Nothing is broken on purpose.")
    table = new_table("id", "must be called", "components", grow="components")
    for one in faults:
        table.add_row(one.id, one.cause, "\n".join(one.components))
    return Group(Text("Broken now", style="bold"), "", table)
