"""Ask one host everything about a pair and read what it says; what it cannot say is named, not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from netprobe.discovery.gateway.interface import AddressPair, GatewayReader
from netprobe.discovery.gateway.registry import READERS
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.errors import HostOutputError, SshError
from netprobe.model.gateway import Fact, Reading

_NOBODY = AddressPair()
_SESSIONS = 4
"""Commands at once on one host; OpenSSH lets a connection open ten sessions (``MaxSessions``)."""


class CommandResult(Protocol):
    """What a command printed and how it ended."""

    @property
    def output(self) -> bytes:
        """Its stdout."""

    @property
    def complaint(self) -> str:
        """The first words of its stderr."""

    @property
    def status(self) -> int | None:
        """Its exit status."""


class Runner(Protocol):
    """A host that runs allowed commands."""

    async def run(self, command: Command, /) -> CommandResult:
        """Run one; raises `SshError`."""


async def gather_evidence(
    host: Runner,
    *,
    node: str,
    taken_ns: int,
    pair: AddressPair = _NOBODY,
    collectors: tuple[GatewayReader, ...] = READERS,
) -> Reading:
    """Run every collector on *host*; *node* is its ``cluster/node`` and *taken_ns* the asker's wall time."""
    commands = {command.name: command for kind in collectors for command in kind.commands(pair)}
    printed = await _run_all(host, commands.values())
    facts: list[Fact] = []
    silent: list[str] = []
    for kind in collectors:
        own = [command.name for command in kind.commands(pair)]
        try:
            found = kind.read(
                {name: printed[name] for name in own if name in printed} | _complaints(own, printed)
            )
        except HostOutputError as error:
            silent.append(f"{kind.name}: {error}")
            continue
        facts.extend(found)
        if not found:
            silent.append(f"{kind.name}: {_reason(own, printed)}")
    return Reading(node, taken_ns, tuple(facts), tuple(silent))


async def _run_all(host: Runner, commands: Iterable[Command]) -> dict[str, bytes]:
    """What each command printed; what it complained of stands under its name and ``!``."""
    turns = asyncio.Semaphore(_SESSIONS)
    printed: dict[str, bytes] = {}

    async def one(command: Command) -> None:
        async with turns:
            try:
                answer = await host.run(command)
            except SshError as error:
                printed[f"{command.name}!"] = str(error).encode()
                return
        # `cat` of several files fails where one of them is missing, and still printed the others.
        if answer.status == 0 or answer.output:
            printed[command.name] = answer.output
        else:
            printed[f"{command.name}!"] = answer.complaint.encode()

    async with asyncio.TaskGroup() as group:
        for command in commands:
            group.create_task(one(command))
    return printed


def _complaints(own: Iterable[str], printed: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}!": printed[f"{name}!"] for name in own if f"{name}!" in printed}


def _reason(own: Iterable[str], printed: dict[str, bytes]) -> str:
    told = (printed[f"{name}!"].decode(errors="replace") for name in own if f"{name}!" in printed)
    return next((text for text in told if text), "nothing there")
