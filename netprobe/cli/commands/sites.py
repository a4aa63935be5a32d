"""``netprobe sites``: plain hosts, gateways and bastions over SSH.

Exit codes: 0 every host answers (has its agent, has none any more), 1 one does not, 2 nothing could be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from netprobe.cli.options.help_group import HelpGroup
from netprobe.cli.options.output import form_option, print_view
from netprobe.discovery.inventory.file import load_inventory
from netprobe.discovery.ssh.fan_out import MOST_AT_ONCE
from netprobe.render.terminal.sites import (
    HostRow,
    deploy_document,
    deploy_table,
    sites_document,
    sites_table,
)
from netprobe.workflows.host_deploy import (
    DeployOptions,
    Told,
    deploy_agents,
    find_agents,
    remove_agents,
)
from netprobe.workflows.ssh_hosts import (
    HostReading,
    ask_hosts,
    find_hosts,
    pair_of,
)
from netprobe.workflows.ssh_tunnels import hold_tunnels

C = TypeVar("C", bound=Callable[..., Any])


@click.group(cls=HelpGroup)
def sites() -> None:
    """Plain hosts, gateways and bastions over SSH."""


def _host_options(command: C) -> C:
    """Give a command NAMES, ``--inventory``, ``--at-once`` and ``--output``."""
    options = (
        click.argument("names", metavar="[SITE|SITE/HOST]...", nargs=-1),
        click.option("--inventory", "path", type=click.Path(path_type=Path), required=True, metavar="FILE",
                     help="The inventory that says how each host is reached."),
        click.option("--at-once", type=click.IntRange(1, 1000), default=MOST_AT_ONCE, show_default=True,
                     metavar="N", help="Hosts asked at the same time."),
        form_option,
        click.pass_context,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@sites.command()
@_host_options
@click.option("--to", "target", metavar="ADDRESS", help="Also tell where each host routes this address.")
def status(
    context: click.Context, *, names: tuple[str, ...], path: Path, target: str | None, at_once: int, form: str
) -> None:
    """Say which hosts answer, with their verified key, uptime, Python, tools, and what they know themselves.

    Read-only: a fixed list of commands runs on each host, nothing is installed or changed.
    """
    hosts = find_hosts(load_inventory(path), names)
    told = ask_hosts(hosts, at_once=at_once, pair=pair_of(target))
    rows = tuple(
        HostRow(name, str(hosts[name].target), tuple(str(jump) for jump in hosts[name].jumps),
                what.status if isinstance(what, HostReading) else None,
                what.reading if isinstance(what, HostReading) else None,
                None if isinstance(what, HostReading) else str(what),
                what.agent if isinstance(what, HostReading) else None)
        for name, what in told.items()
    )  # fmt: skip
    print_view(form, table=lambda: sites_table(rows), document=lambda: sites_document(rows))
    context.exit(0 if all(row.error is None for row in rows) else 1)


@sites.command()
@_host_options
@click.option("--bus", metavar="URL", envvar="NETPROBE_BUS", show_envvar=True, required=True,
              help="Where agents find the collector's bus.")  # fmt: skip
@click.option("--keys", type=click.Path(path_type=Path), required=True, metavar="FILE",
              help="The collector's keys file; each agent's new public key is added to it.")  # fmt: skip
def deploy(
    context: click.Context,
    *,
    names: tuple[str, ...],
    path: Path,
    at_once: int,
    form: str,
    bus: str,
    keys: Path,
) -> None:
    """Install our agent on hosts, or replace it: unprivileged, with NET_RAW alone.

    One file goes over SSH and is checked there; the agent runs as a systemd unit where there is systemd, else
    until the host reboots. A host that fails half-way keeps what it had before.
    """
    inventory = load_inventory(path)
    hosts = find_hosts(inventory, names)
    agents = find_agents(inventory, hosts)
    told = deploy_agents(hosts, agents, DeployOptions(bus, keys, inventory.agent_port), at_once=at_once)
    _tell(context, told, form, done="deployed")


@sites.command()
@_host_options
def remove(context: click.Context, *, names: tuple[str, ...], path: Path, at_once: int, form: str) -> None:
    """Stop our agent on hosts and remove everything that was installed."""
    hosts = find_hosts(load_inventory(path), names)
    _tell(context, remove_agents(hosts, at_once=at_once), form, done="removed")


def _tell(context: click.Context, told: dict[str, Told], form: str, *, done: str) -> None:
    print_view(form, table=lambda: deploy_table(told, done=done), document=lambda: deploy_document(told))
    context.exit(1 if any(isinstance(what, Exception) for what in told.values()) else 0)


@sites.command()
@_host_options
@click.option(
    "--bus",
    metavar="URL",
    envvar="NETPROBE_BUS",
    show_envvar=True,
    required=True,
    help="The collector's bus as we reach it.",
)
def tunnel(
    context: click.Context, *, names: tuple[str, ...], path: Path, at_once: int, form: str, bus: str
) -> None:
    """Hold the bus open to hosts that have no other way to it, until stopped.

    For every host with a bus_port the bus appears at that port of its loopback, through our own SSH
    connection. A connection that is lost is made again.
    """
    del at_once, form, context
    hosts = {name: way for name, way in find_hosts(load_inventory(path), names).items() if way.bus_port}
    hold_tunnels(hosts, bus=bus)
