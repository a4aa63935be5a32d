"""Ask the hosts of an inventory over SSH, from the command line."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netprobe.deploy.hosts.agent import InstalledAgent, find_agent
from netprobe.discovery.gateway.interface import AddressPair
from netprobe.discovery.gateway.readings import gather_evidence
from netprobe.discovery.ssh.connection import open_host
from netprobe.discovery.ssh.errors import HostOutputError, SshError
from netprobe.discovery.ssh.fan_out import ask_many
from netprobe.discovery.ssh.status import HostStatus, ask_status
from netprobe.echo import echo
from netprobe.errors import InputError
from netprobe.model.inventory import Inventory

if TYPE_CHECKING:
    from collections.abc import Callable

    from netprobe.model.gateway import Reading
    from netprobe.model.ssh import SshAccess

HOST_S = 30.0
"""What one host may take in all."""


@dataclass(frozen=True, slots=True)
class HostReading:
    """What one host said."""

    status: HostStatus
    reading: Reading
    agent: InstalledAgent | None = None
    """Our agent, where one was deployed."""


def find_hosts(inventory: Inventory, names: tuple[str, ...] = ()) -> dict[str, SshAccess]:
    """The nodes that are reached over SSH, by ``cluster/node``; *names* are sites or nodes, none means all.

    Raises `InputError` for a name that nothing has, and where nothing is reached over SSH.
    """
    hosts = {
        str(cluster.node_id(node)): node.ssh
        for cluster in inventory.clusters
        for node in cluster.nodes
        if node.ssh is not None
    }
    for name in names:
        if not any(_is_of(host, name) for host in hosts):
            raise InputError(f"no host that is reached over SSH is called {name!r}")
    found = {
        host: way for host, way in hosts.items() if not names or any(_is_of(host, name) for name in names)
    }
    if not found:
        raise InputError("the inventory says of no node how it is reached over SSH (field ssh)")
    return found


def _is_of(host: str, name: str) -> bool:
    return name in (host, host.partition("/")[0])


def ask_hosts(
    hosts: dict[str, SshAccess], *, at_once: int, pair: AddressPair
) -> dict[str, HostReading | SshError | HostOutputError]:
    """Ask every host what it is and what it knows; progress goes to stderr where that is a terminal."""

    async def ask(item: tuple[str, SshAccess]) -> HostReading:
        node, access = item
        async with open_host(access) as host:
            status = await ask_status(host)
            agent = await find_agent(host)
            reading = await gather_evidence(host, node=node, taken_ns=time.time_ns(), pair=pair)
        return HostReading(status, reading, agent)

    named = {name: (name, access) for name, access in hosts.items()}
    return asyncio.run(
        ask_many(named, ask, timeout_s=HOST_S, at_once=at_once, done=show_progress(len(hosts)))
    )


def show_progress(total: int) -> Callable[[object], None]:
    """What tells a person at a terminal how many of *total* hosts are through."""
    through = 0

    def done(name: object) -> None:
        nonlocal through
        through += 1
        if sys.stderr.isatty():
            end = "\n" if through == total else ""
            echo(f"\r{through} of {total} hosts asked, last {name!s:<40.40}", err=True, nl=bool(end))

    return done


def pair_of(target: str | None) -> AddressPair:
    """The pair that routes are asked for; raises `InputError` if *target* is not an address."""
    try:
        return AddressPair(ipaddress.ip_address(target) if target else None)
    except ValueError as error:
        raise InputError(f"{target!r} is not an IP address", where="--to") from error
