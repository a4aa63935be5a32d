"""Ask hosts over SSH from a namespace: ``ask_ssh.py COMMAND [SECONDS [CONFIG]]``, accesses as JSON on stdin.

Prints one JSON line per host: its name, and what it said or the error.
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from pathlib import Path

import msgspec

from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.connection import SshTimeouts, open_host
from netprobe.discovery.ssh.fan_out import ask_many
from netprobe.model.ssh import SshAccess


async def ask(access: SshAccess, *, command: str, seconds: float, config: str) -> list[str]:
    wait = SshTimeouts(connect_s=seconds, command_s=seconds)
    async with open_host(access, wait=wait, config=Path(config)) as host:
        answer = await host.run(Command(command))
        return [host.host_key, answer.output.decode(), answer.complaint]


async def main(command: str, seconds: str = "5", config: str = "/nonexistent") -> None:
    accesses = msgspec.json.decode(sys.stdin.read(), type=dict[str, SshAccess])
    told = await ask_many(
        accesses,
        partial(ask, command=command, seconds=float(seconds), config=config),
        timeout_s=2 * float(seconds),
        done=lambda name: print(f"done {name}", file=sys.stderr),
    )
    for name, what in told.items():
        print(json.dumps([name, str(what) if isinstance(what, Exception) else what]))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
