"""What a host is: its verified key, uptime, kernel, Python and tools. Output is hostile; readers are pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.connection import CommandOutput, SshHost
from netprobe.discovery.ssh.errors import HostOutputError
from netprobe.discovery.ssh.platform import Platform

TOOLS = ("ping", "nc", "traceroute", "curl", "ip", "wg", "nft", "swanctl", "openvpn")
_UPTIME = re.compile(rb"(\d{1,12})\.\d+ \d+\.\d+\n?")
_PYTHON = re.compile(rb"Python (\d{1,3})\.(\d{1,3})[.\w+]*\n?")
_MACHINE = re.compile(r"[a-z0-9_]{1,20}")
_OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class HostStatus:
    """What a host told of itself."""

    host_key: str
    """Fingerprint of its verified key, ``SHA256:…``."""
    uptime_s: int
    kernel: str
    python: tuple[int, int] | None
    """None where there is none."""
    tools: tuple[str, ...]
    """Those of `TOOLS` that are installed."""

    @property
    def runs_agents(self) -> bool:
        """Whether its Python is recent enough for our agent."""
        return self.python is not None and self.python >= _OLDEST_PYTHON


async def ask_status(host: SshHost) -> HostStatus:
    """Ask a host what it is; raises `SshError`, and `HostOutputError` for nonsense."""
    answers = [await host.run(Command(name)) for name in ("uptime", "kernel", "python", "tools")]
    return read_status(host.host_key, *answers)


def read_platform(python: CommandOutput, kernel: CommandOutput) -> Platform | None:
    """What libraries the host's Python loads; None where it has none that runs our agent. Pure."""
    version = _PYTHON.fullmatch(python.output)
    machine = kernel.output.decode(errors="replace").split()[-1:]
    if version is None or not machine or not _MACHINE.fullmatch(machine[0]):
        return None
    found = Platform((int(version[1]), int(version[2])), machine[0])
    return found if found.python >= _OLDEST_PYTHON else None


def read_status(
    host_key: str, uptime: CommandOutput, kernel: CommandOutput, python: CommandOutput, tools: CommandOutput
) -> HostStatus:
    """What four answers say; pure."""
    seconds = _UPTIME.fullmatch(uptime.output)
    if seconds is None:
        raise HostOutputError("/proc/uptime: not two numbers")
    version = _PYTHON.fullmatch(python.output)
    found = {line.rpartition("/")[2] for line in tools.output.decode(errors="replace").splitlines()}
    words = kernel.output.decode(errors="replace").strip()[:80]
    return HostStatus(
        host_key=host_key,
        uptime_s=int(seconds[1]),
        kernel="".join(letter if letter.isprintable() else "?" for letter in words),
        python=(int(version[1]), int(version[2])) if version else None,
        tools=tuple(tool for tool in TOOLS if tool in found),
    )
