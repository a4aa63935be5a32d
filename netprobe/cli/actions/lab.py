"""``netprobe lab``: starts, shows and breaks a lab through its control socket."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from rich.console import Group, RenderableType

from netprobe.cli.actions.output import print_view
from netprobe.echo import echo
from netprobe.errors import InputError
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.lab.faults import KINDS
from netprobe.lab.protocol import FaultStatus, LabStatus
from netprobe.lab.state_folder import list_labs
from netprobe.render.documents.snapshot import Document
from netprobe.render.terminal.console import Text
from netprobe.render.terminal.tables import new_table


def run_up(name: str, topology: Path | None, *, interval_ns: int, with_agents: bool, bound: bool) -> None:
    """Bring the lab up; *bound* to the calling process, it ends with it."""
    start = Start(
        name=name,
        topology=topology,
        interval_ns=interval_ns,
        with_agents=with_agents,
        end_with_pid=os.getppid() if bound else None,
    )
    state = start_lab(start, notify=lambda notice: echo(f"note: {notice}", err=True))
    status = LabClient(name).status()
    echo(f"lab {name!r} is up: {len(status.hosts)} hosts, {len(status.processes)} processes, in {state.root}")


def run_down(name: str) -> None:
    """Take the lab down; :class:`InputError` where there is none of that name."""
    if not take_down(name):
        known = ", ".join(list_labs()) or "none"
        raise InputError(f"no lab named {name!r}; there is {known}", where="--name")
    echo(f"lab {name!r} is down")


def run_status(name: str, *, form: str) -> None:
    """Print hosts, processes and faults."""
    found = LabClient(name).status()
    print_view(form, table=lambda: _status_table(found), document=lambda: _document(found))


def run_exec(name: str, host: str, command: tuple[str, ...]) -> int:
    """Run *command* inside *host*; its exit code."""
    argv = command[1:] if command[0] == "--" else command
    if not argv:
        raise InputError("needs a command", where="exec")
    return LabClient(name).execute(host, argv)


def run_fault_list(name: str, *, form: str) -> None:
    """Print the kinds of faults, and the active ones where the lab is up."""
    active = LabClient(name).status().faults if name in list_labs() else []
    print_view(
        form,
        table=lambda: Group(_kinds_table(), "", _faults_table(active)),
        document=lambda: {"kinds": _kinds_document(), "active": [_document(one) for one in active]},
    )


def run_fault_add(name: str, kind: str, parameters: tuple[str, ...], *, form: str) -> None:
    """Inject a fault and print what it must be called."""
    added = LabClient(name).add_fault(kind, _read_parameters(parameters))
    print_view(
        form,
        table=lambda: Text(f"{added.id}: {added.cause}, {', '.join(added.components)}"),
        document=lambda: _document(added),
    )


def run_fault_remove(name: str, fault_id: str) -> None:
    """Remove one fault or all."""
    removed = LabClient(name).remove_fault(fault_id)
    echo(f"removed {', '.join(removed)}" if removed else "no fault was active")


def _read_parameters(texts: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise InputError(f"{text!r} is not KEY=VALUE")
        if key in found:
            raise InputError(f"{key!r} is given twice")
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


def _status_table(status: LabStatus) -> RenderableType:
    how = "rootless" if status.rootless else "as root, isolated"
    processes_of: dict[str, list[Text]] = {}
    for process in status.processes:
        short = process.name.rpartition("/")[2]
        state = process.state if process.exit_code is None else f"{process.state} ({process.exit_code})"
        style = {"running": "green", "stopped": "yellow"}.get(process.state, "red")
        processes_of.setdefault(process.host, []).append(Text(f"{short} ").append(state, style))
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
        _faults_table(status.faults),
    )


def _kinds_table() -> RenderableType:
    table = new_table("kind", "effect and parameters", grow="effect and parameters")
    for kind in KINDS.values():
        words = [
            f"{one.name}={one.what}" + (f" ({one.default})" if one.default else "") for one in kind.parameters
        ]
        table.add_row(kind.name, Text.assemble(kind.summary, "\n", ("  ".join(words), "bright_black")))
    return Group(Text("Kinds of faults", style="bold"), "", table)


def _faults_table(faults: list[FaultStatus]) -> RenderableType:
    if not faults:
        return Text("No fault is active.")
    table = new_table("id", "expected cause", "components", grow="components")
    for one in faults:
        table.add_row(one.id, one.cause, "\n".join(one.components))
    return Group(Text("Active faults", style="bold"), "", table)
