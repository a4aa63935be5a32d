"""``netprobe sites``: plain hosts, gateways and bastions over SSH.

Exit codes: 0 every host answers (has its agent, has none any more), 1 one does not, 2 the options are wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from netprobe.cli.options.help_group import HelpGroup
from netprobe.cli.options.output import form_option
from netprobe.cli.options.registry import RegistryOption

C = TypeVar("C", bound=Callable[..., Any])


def _most_at_once() -> int:
    from netprobe.discovery.ssh.fan_out import MOST_AT_ONCE

    return MOST_AT_ONCE


@click.group(cls=HelpGroup)
def sites() -> None:
    """Plain hosts, gateways and bastions over SSH."""


def _host_options(command: C) -> C:
    """Give a command NAMES, ``--inventory``, ``--at-once`` and ``--output``."""
    options = (
        click.argument("names", metavar="[SITE|SITE/HOST]...", nargs=-1),
        click.option("--inventory", "path", type=click.Path(path_type=Path), required=True, metavar="FILE",
                     help="The inventory that says how each host is reached."),
        click.option("--at-once", type=click.IntRange(1, 1000), default=_most_at_once, cls=RegistryOption,
                     show_default=True, metavar="N", help="Hosts to connect to at the same time."),
        form_option,
        click.pass_context,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@sites.command()
@_host_options
@click.option("--to", "target", metavar="ADDRESS", help="Also show how each host routes this address.")
def status(
    context: click.Context, *, names: tuple[str, ...], path: Path, target: str | None, at_once: int, form: str
) -> None:
    """Show which hosts answer: verified key, uptime, Python, tools, and their own view of the network.

    Read-only: a fixed list of commands runs on each host, nothing is installed or changed.
    """
    from netprobe.cli.actions.sites import run_status

    context.exit(run_status(names, path, target=target, at_once=at_once, form=form))


@sites.command()
@_host_options
@click.option("--bus", metavar="URL", envvar="NETPROBE_BUS", show_envvar=True, required=True,
              help="The collector's bus as the agents reach it.")  # fmt: skip
@click.option("--ca", type=click.Path(path_type=Path), metavar="FILE", envvar="NETPROBE_CA", show_envvar=True,
              help="CA certificates that may have signed the bus's; each agent gets them. "
                   "Default: those of each host's system.")  # fmt: skip
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
    ca: Path | None,
    keys: Path,
) -> None:
    """Install our agent on hosts, or replace it: unprivileged, with NET_RAW only.

    One file is copied over SSH and verified there; the agent runs as a systemd unit where systemd exists,
    else until the host reboots. A host on which this fails keeps what it had before.
    """
    from netprobe.cli.actions.sites import run_deploy

    context.exit(run_deploy(names, path, bus=bus, ca=ca, keys=keys, at_once=at_once, form=form))


@sites.command()
@_host_options
def remove(context: click.Context, *, names: tuple[str, ...], path: Path, at_once: int, form: str) -> None:
    """Stop our agent on hosts and remove everything that was installed."""
    from netprobe.cli.actions.sites import run_remove

    context.exit(run_remove(names, path, at_once=at_once, form=form))


@sites.command()
@_host_options
@click.option("--bus", metavar="URL", envvar="NETPROBE_BUS", show_envvar=True, required=True,
              help="The collector's bus as this machine reaches it.")  # fmt: skip
def tunnel(
    context: click.Context, *, names: tuple[str, ...], path: Path, at_once: int, form: str, bus: str
) -> None:
    """Keep the bus reachable for hosts that have no other path to it, until stopped.

    For every host with a bus_port the bus appears at that port of its loopback, through an SSH connection
    from here. A lost connection is opened again.
    """
    del at_once, form, context
    from netprobe.cli.actions.sites import run_tunnel

    run_tunnel(names, path, bus=bus)
