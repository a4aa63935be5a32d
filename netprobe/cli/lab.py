"""``netprobe lab``: several clusters, tunnels and faults inside this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from netprobe.errors import InputError
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.lab.faults import KINDS
from netprobe.lab.protocol import FaultStatus, LabStatus
from netprobe.lab.state import DEFAULT_NAME, list_labs

_name = click.option("--name", default=DEFAULT_NAME, show_default=True, help="Which lab.")
_output = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True
)  # fmt: skip


@click.group()
def lab() -> None:
    """Several clusters, tunnels and faults inside this machine."""


@lab.command()
@click.option("--topology", type=click.Path(path_type=Path), help="What to build; default: three clusters.")
@_name
@click.option("--interval", type=click.FloatRange(0.2, 3600), default=1.0, show_default=True, help="Seconds.")
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
@_output
def status(name: str, output: str) -> None:
    """Show hosts, processes and faults."""
    found = LabClient(name).status()
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    _draw_status(found)


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
@_output
def list_faults(name: str, output: str) -> None:
    """Show what can be broken, and what is broken now."""
    active = LabClient(name).status().faults if name in list_labs() else []
    if output == "json":
        kinds = [
            {
                "kind": kind.name,
                "summary": kind.summary,
                "parameters": {
                    one.name: {"what": one.what, "default": one.default} for one in kind.parameters
                },
            }
            for kind in KINDS.values()
        ]
        click.echo(msgspec.json.format(msgspec.json.encode({"kinds": kinds, "active": active})).decode())
        return
    _draw_kinds()
    _draw_faults(active)


@fault.command(name="add")
@_name
@_output
@click.argument("kind")
@click.argument("parameters", nargs=-1)
def add_fault(name: str, output: str, kind: str, parameters: tuple[str, ...]) -> None:
    """Break something: KIND and its parameters as key=value."""
    added = LabClient(name).add_fault(kind, _read_parameters(parameters))
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(added)).decode())
        return
    click.echo(f"{added.id}: {added.cause}, {', '.join(added.components)}")


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


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 80, highlight=False)


def _draw_status(status: LabStatus) -> None:
    console = _console()
    how = "rootless" if status.rootless else "as root, isolated"
    console.print(f"lab [bold]{status.name}[/] ({how}), tunnels by {status.mechanism}, bus {status.bus_url}")
    console.print(f"folder {status.folder}", soft_wrap=True)
    for notice in status.notices:
        console.print(f"note: {notice}")
    processes_of: dict[str, list[str]] = {}
    for process in status.processes:
        short = process.name.rpartition("/")[2]
        state = process.state if process.exit_code is None else f"{process.state} ({process.exit_code})"
        style = {"running": "green", "stopped": "yellow"}.get(process.state, "red")
        processes_of.setdefault(process.host, []).append(f"{short} [{style}]{state}[/]")
    table = Table(box=None, pad_edge=False)
    table.add_column("host", no_wrap=True)
    table.add_column("addresses")
    table.add_column("processes")
    for host in status.hosts:
        told = "\n".join(processes_of.get(host.name, []))
        table.add_row(host.name, "\n".join(host.addresses[:2]), told)
    console.print(table)
    _draw_faults(status.faults)


def _draw_kinds() -> None:
    table = Table(box=None, pad_edge=False, title="What can be broken", title_justify="left")
    table.add_column("kind", no_wrap=True)
    table.add_column("parameters")
    table.add_column("what happens")
    for kind in KINDS.values():
        parameters = "\n".join(
            f"{one.name}={one.what}" + (f" ({one.default})" if one.default else "") for one in kind.parameters
        )
        table.add_row(kind.name, parameters, kind.summary)
    _console().print(table)


def _draw_faults(faults: list[FaultStatus]) -> None:
    console = _console()
    if not faults:
        console.print("\nNothing is broken on purpose.")
        return
    table = Table(box=None, pad_edge=False, title="\nBroken now", title_justify="left")
    table.add_column("id", no_wrap=True)
    table.add_column("must be called")
    table.add_column("components")
    for one in faults:
        table.add_row(one.id, one.cause, "\n".join(one.components))
    console.print(table)
