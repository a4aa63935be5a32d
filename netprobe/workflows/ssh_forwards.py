"""Services behind SSH that the inventory declares: reached on demand, closed when the command ends.

The connections live in a thread with a loop of its own, because a command runs several loops one after the
other and each must find the way open.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import click

from netprobe.discovery.inventory.file import load_inventory
from netprobe.errors import InputError

if TYPE_CHECKING:
    from netprobe.model.ssh import SshForward

_OPENED = "netprobe.forwards"


class Forwards:
    """What an inventory declares, each opened when it is first asked for."""

    def __init__(self, declared: tuple[SshForward, ...]) -> None:
        self._declared = declared
        self._ports: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def find(self, host: str, port: int) -> str | None:
        """``127.0.0.1:PORT`` that leads to *host*:*port*; None where nothing is declared for it.

        *host* may also be the forward's name. Raises `SshError` where the way cannot be opened.
        """
        for one in self._declared:
            if port == one.port and host in (one.host, one.name):
                if one.name not in self._ports:
                    opening = asyncio.run_coroutine_threadsafe(self._open(one), self._loop)
                    self._ports[one.name] = opening.result()
                return f"127.0.0.1:{self._ports[one.name]}"
        return None

    async def _open(self, one: SshForward) -> int:
        from netprobe.discovery.ssh.connection import open_host  # noqa: PLC0415 - only those who ask pay for SSH

        host = await self._stack.enter_async_context(open_host(one.through))
        return await self._stack.enter_async_context(host.forward_from_here(one.host, one.port))


def open_forwards(path: Path | None) -> Forwards:
    """The forwards of the inventory *path*, closed with the command that runs; none without a file."""
    context = click.get_current_context()
    opened = context.meta.setdefault(_OPENED, {})
    if path not in opened:
        opened[path] = context.with_resource(Forwards(load_inventory(path).forwards if path else ()))
    return opened[path]  # type: ignore[no-any-return]


def lead_bus(url: str, path: Path) -> str:
    """``IP:PORT`` of the forward that leads to the bus of *url*; `InputError` where none does.

    What listens there has to prove that it is the bus: what is verified is still the name in *url*.
    """
    parts = urlsplit(url)
    try:
        way = open_forwards(path).find(parts.hostname or "", parts.port or 0)
    except ValueError as error:
        raise InputError(f"{url!r}: {error}", where="--bus") from error
    if way is None:
        raise InputError(f"no forward leads to {parts.netloc}", where=str(path))
    return way
