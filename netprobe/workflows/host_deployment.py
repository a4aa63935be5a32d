"""Our agent on many hosts at once: put there, taken away; each agent with a key of its own."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netprobe.bus.encryption import expect_encrypted, expect_url
from netprobe.bus.keys import new_user
from netprobe.bus.keys_file import read_keys
from netprobe.deploy.hosts.agent import (
    PATIENCE_S,
    AgentDeployment,
    InstalledAgent,
    find_platform_of,
    install_agent,
    remove_agent,
)
from netprobe.deploy.hosts.archive import Archive, build_archive
from netprobe.discovery.ssh.connection import SshHost, open_host
from netprobe.discovery.ssh.errors import HostOutputError, SshError
from netprobe.discovery.ssh.fan_out import ask_many
from netprobe.discovery.ssh.platform import Platform
from netprobe.errors import InputError
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, NodeId, Plane
from netprobe.store.private_file import replace_file
from netprobe.workflows.ssh_hosts import HOST_S, show_progress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from netprobe.model.ssh import SshAccess

Told = InstalledAgent | None | SshError | HostOutputError
"""The agent that a host has now; None where there is none; or why nothing could be done."""


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """What is wanted of every host."""

    bus: str
    """Where agents find the bus that have their own way to it."""
    keys: Path
    """The collector's keys file; each new agent's public key is added to it."""
    port: int
    ca: bytes = b""
    """Certificates that may have signed the bus's (PEM), handed to every host; empty for its system's."""


def find_agents(inventory: Inventory, hosts: dict[str, SshAccess]) -> dict[str, AgentId]:
    """The agent of each host; `InputError` for a host whose agent could not be reached."""
    meant = set(inventory.iter_agents())
    found = {}
    for name in hosts:
        node = NodeId.parse(name)
        agent = AgentId(node.cluster, node.node, Plane.HOST)
        cluster = inventory.find_cluster(node.cluster)
        if cluster is not None and not cluster.is_site:
            raise InputError(f"{name} is a node of a Kubernetes cluster: its agents are a DaemonSet")
        if agent not in meant:
            raise InputError(f"{name} has no host_addresses: no peer could probe its agent")
        found[name] = agent
    return found


def deploy_agents(
    hosts: dict[str, SshAccess], agents: dict[str, AgentId], orders: DeployOptions, *, at_once: int
) -> dict[str, Told]:
    """Install an agent on every host; a host that fails keeps its old agent and does not delay others."""
    archives = _Archives()
    expect_private(orders.bus, hosts)
    add_key(orders.keys, {})  # a keys file that cannot be read or written is known before anything is changed

    async def deploy(host: SshHost, name: str, access: SshAccess) -> InstalledAgent:
        fits = await find_platform_of(host)
        if fits is None:
            raise SshError("no Python 3.11 or newer: it can only be asked with its own tools, more coarsely")
        seed, public = new_user()
        told = AgentDeployment(agents[name], orders.bus, orders.port, seed, orders.ca, access.bus_port)
        placed = await install_agent(host, told, await archives.find(fits))
        add_key(orders.keys, {str(told.agent): public})
        return placed

    return _on_each(hosts, deploy, at_once=at_once)


def expect_private(bus: str, hosts: dict[str, SshAccess]) -> None:
    """Raise `InputError` where agents would speak with *bus* in plain text; through a tunnel, too."""
    expect_url(bus, where="--bus")
    if any(access.bus_port for access in hosts.values()):
        expect_encrypted(bus, where="--bus")


def remove_agents(hosts: dict[str, SshAccess], *, at_once: int) -> dict[str, Told]:
    """Remove the agent of every host."""

    async def remove(host: SshHost, _name: str, _access: SshAccess) -> None:
        await remove_agent(host)

    return _on_each(hosts, remove, at_once=at_once)


def _on_each(
    hosts: dict[str, SshAccess],
    act: Callable[[SshHost, str, SshAccess], Awaitable[InstalledAgent | None]],
    *,
    at_once: int,
) -> dict[str, Told]:
    async def one(item: tuple[str, SshAccess]) -> InstalledAgent | None:
        name, access = item
        async with open_host(access) as host:
            return await act(host, name, access)

    named = {name: (name, access) for name, access in hosts.items()}
    patience_s = HOST_S + 2 * PATIENCE_S
    return asyncio.run(
        ask_many(named, one, timeout_s=patience_s, at_once=at_once, done=show_progress(len(hosts)))
    )


class _Archives:
    """Builds the archive of each platform once, on first use."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def find(self, fits: Platform) -> Archive:
        async with self._turn:
            return await asyncio.to_thread(build_archive, fits)


def add_key(path: Path, public_keys: dict[str, str]) -> None:
    """Add agents' public keys to a collector's keys file; a missing file is begun."""
    known = read_keys(path) if path.exists() else None
    agents = {str(agent): public for agent, public in (known.agents if known else {}).items()}
    operators = list(known.operators) if known else []
    told = {"agents": agents | public_keys, "operators": operators}
    replace_file(path, json.dumps(told, indent=1))
