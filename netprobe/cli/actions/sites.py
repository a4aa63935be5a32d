"""``netprobe sites``: reads hosts over SSH, and deploys, removes and tunnels for their agents."""

from __future__ import annotations

from pathlib import Path

from netprobe.bus.login import ServerTrust
from netprobe.cli.actions.output import print_view
from netprobe.discovery.inventory.file import load_inventory
from netprobe.render.terminal.sites import (
    HostRow,
    deploy_document,
    deploy_table,
    sites_document,
    sites_table,
)
from netprobe.workflows.host_deployment import (
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


def run_status(names: tuple[str, ...], path: Path, *, target: str | None, at_once: int, form: str) -> int:
    """Print what each host reports; 0 every host answers, 1 one does not."""
    hosts = find_hosts(load_inventory(path), names)
    readings = ask_hosts(hosts, at_once=at_once, pair=pair_of(target))
    rows = tuple(
        HostRow(name, str(hosts[name].target), tuple(str(jump) for jump in hosts[name].jumps),
                what.status if isinstance(what, HostReading) else None,
                what.reading if isinstance(what, HostReading) else None,
                None if isinstance(what, HostReading) else str(what),
                what.agent if isinstance(what, HostReading) else None)
        for name, what in readings.items()
    )  # fmt: skip
    print_view(form, table=lambda: sites_table(rows), document=lambda: sites_document(rows))
    return 0 if all(row.error is None for row in rows) else 1


def run_deploy(
    names: tuple[str, ...], path: Path, *, bus: str, ca: Path | None, keys: Path, at_once: int, form: str
) -> int:
    """Install or replace the agent of each host; 0 all have it, 1 one has not."""
    inventory = load_inventory(path)
    hosts = find_hosts(inventory, names)
    agents = find_agents(inventory, hosts)
    options = DeployOptions(bus, keys, inventory.agent_port, read_authority(ca))
    results = deploy_agents(hosts, agents, options, at_once=at_once)
    return _print_results(results, form, done="deployed")


def read_authority(ca: Path | None) -> bytes:
    """The certificates in *ca*, which must be usable as such; empty without a file."""
    if ca is None:
        return b""
    ServerTrust(ca).context()
    return ca.read_bytes()


def run_remove(names: tuple[str, ...], path: Path, *, at_once: int, form: str) -> int:
    """Remove the agent of each host; 0 none has one any more, 1 one still has."""
    hosts = find_hosts(load_inventory(path), names)
    return _print_results(remove_agents(hosts, at_once=at_once), form, done="removed")


def run_tunnel(names: tuple[str, ...], path: Path, *, bus: str) -> None:
    """Keep the bus reachable on the loopback of hosts that have a bus_port, until stopped."""
    hosts = {name: way for name, way in find_hosts(load_inventory(path), names).items() if way.bus_port}
    hold_tunnels(hosts, bus=bus)


def _print_results(results: dict[str, Told], form: str, *, done: str) -> int:
    print_view(
        form, table=lambda: deploy_table(results, done=done), document=lambda: deploy_document(results)
    )
    return 1 if any(isinstance(what, Exception) for what in results.values()) else 0
