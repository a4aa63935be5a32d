"""Ways through SSH that stay open: the bus brought to hosts that cannot reach it themselves."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from netprobe.bus.encryption import expect_encrypted
from netprobe.discovery.ssh.connection import open_host
from netprobe.discovery.ssh.errors import HostKeyError, SshError
from netprobe.echo import echo
from netprobe.errors import InputError

if TYPE_CHECKING:
    from netprobe.model.ssh import SshAccess

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


def hold_tunnels(hosts: dict[str, SshAccess], *, bus: str) -> None:
    """Bring *bus* to the loopback of every host until told to stop; `InputError` where none wants it."""
    if not hosts:
        raise InputError("no host sets bus_port, so no tunnel is needed", where="--inventory")
    expect_encrypted(bus, where="--bus")
    host, port = _end_of(bus)
    asyncio.run(_hold_all(hosts, host, port))


def _end_of(bus: str) -> tuple[str, int]:
    try:
        parts = urlsplit(bus)
        if parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise InputError(f"{bus!r} is not a bus address such as tls://host:4222", where="--bus")


async def _hold_all(hosts: dict[str, SshAccess], host: str, port: int) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with asyncio.TaskGroup() as group:
        holders = [group.create_task(_hold(name, way, host, port)) for name, way in hosts.items()]
        await stopping.wait()
        for holder in holders:
            holder.cancel()


async def _hold(name: str, access: SshAccess, host: str, port: int) -> None:
    """One host, again and again; a changed host key ends it, because a person has to check it."""
    assert access.bus_port is not None
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            async with (
                open_host(access) as far,
                far.forward_to_here(access.bus_port, host=host, target_port=port),
            ):
                pause_s = _FIRST_PAUSE_S
                _say(name, f"the bus is at its loopback port {access.bus_port}")
                await far.wait_closed()
                _say(name, "the connection was lost")
        except HostKeyError as error:
            _say(name, str(error))
            return
        except SshError as error:
            _say(name, str(error))
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _say(name: str, what: str) -> None:
    echo(f"{name}: {what}", err=True)
