"""Install, inspect and remove our agent on a host: the only module that changes a host.

Rules: one fixed script runs on the host (``agent_host.sh``); its arguments are checked here, and the agent's
secret seed goes through stdin, never through an argument that ``ps`` would show. The script's output is
untrusted.
"""

from __future__ import annotations

import base64
import re
import shlex
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from typing import TYPE_CHECKING

from netprobe.bus.encryption import expect_encrypted, expect_url
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.errors import HostOutputError, SshError
from netprobe.discovery.ssh.status import read_platform
from netprobe.errors import InputError

if TYPE_CHECKING:
    from netprobe.deploy.hosts.archive import Archive
    from netprobe.discovery.ssh.connection import SshHost
    from netprobe.discovery.ssh.platform import Platform
    from netprobe.model.names import AgentId

PATIENCE_S = 300.0
"""For an installation: 22 MB over a slow link."""
_BUS = re.compile(r"(nats|tls|ws|wss)://[A-Za-z0-9\[\]._:%-]+")
MOST_CA_BYTES = 64 * 1024
"""Of an authority's certificates: a few, not a system's whole store."""
_AGENT = re.compile(r"[A-Za-z0-9._/-]+")
_SEED = re.compile(r"SU[A-Z2-7]{56}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FACT = re.compile(r"(placed|sha256|agent|bus|at|port|runs)=([\x21-\x7e]{0,300})")


class RunMode(StrEnum):
    """How an agent runs on a host."""

    SYSTEMD = "systemd"
    PROCESS = "process"
    NO = "no"


@dataclass(frozen=True, slots=True)
class InstalledAgent:
    """The agent that is installed on a host."""

    agent: str
    bus: str
    sha256: str
    runs: RunMode
    at: str = ""
    """``IP:PORT`` where it finds the bus instead; empty where it goes there by name."""


@dataclass(frozen=True, slots=True)
class AgentDeployment:
    """Settings of an agent."""

    agent: AgentId
    bus: str
    port: int
    seed: str = field(repr=False)
    ca: bytes = b""
    """Certificates that may have signed the bus's (PEM); empty for those of the host's system."""
    bus_port: int | None = None
    """Port of the host's loopback where a tunnel ends that leads to the bus; None for no tunnel.

    Any user of the host may listen there while the tunnel is away, so this needs TLS.
    """

    def __post_init__(self) -> None:
        if self.bus_port is None:
            expect_url(self.bus, where="--bus")
        else:
            expect_encrypted(self.bus, where="--bus")
        if not _BUS.fullmatch(self.bus):
            raise InputError(f"{self.bus!r} is not a bus address such as tls://host:4222", where="--bus")
        if len(self.ca) > MOST_CA_BYTES:
            raise InputError(f"holds more than {MOST_CA_BYTES // 1024} KiB", where="--ca")
        if not _AGENT.fullmatch(str(self.agent)) or not _SEED.fullmatch(self.seed):
            raise InputError(f"{self.agent}: its name or seed contains invalid characters")

    @property
    def at(self) -> str:
        """``IP:PORT`` where the agent finds the bus; empty where it goes there by name."""
        return f"127.0.0.1:{self.bus_port}" if self.bus_port else ""


async def find_platform_of(host: SshHost) -> Platform | None:
    """The platform of the host's Python; None if it has none that runs our agent."""
    python, kernel = [await host.run(Command(name)) for name in ("python", "kernel")]
    return read_platform(python, kernel)


async def install_agent(host: SshHost, deployment: AgentDeployment, archive: Archive) -> InstalledAgent:
    """Install or replace the agent; a failure leaves what was there before. Raises `SshError`."""
    told = (str(deployment.agent), deployment.bus, str(deployment.port), deployment.at)
    secrets = f"{deployment.seed}\n{base64.b64encode(deployment.ca).decode()}\n"
    arguments = ("install", archive.sha256, *told)
    placed = await _run(host, arguments, stdin=secrets.encode() + archive.content)
    if placed is None or placed.sha256 != archive.sha256:
        raise HostOutputError("after the installation the host reports another agent")
    return placed


async def remove_agent(host: SshHost) -> None:
    """Stop the agent and remove everything that was installed; if there is none, that is not an error."""
    if await _run(host, ("remove",)) is not None:
        raise SshError("the agent is still there after its removal")


async def find_agent(host: SshHost) -> InstalledAgent | None:
    """The installed agent, or None."""
    return await _run(host, ("state",))


async def _run(host: SshHost, words: tuple[str, ...], *, stdin: bytes = b"") -> InstalledAgent | None:
    line = shlex.join(("sh", "-c", _script(), "netprobe", *words))
    answer = await host.run_script(words[0], line, stdin=stdin, timeout_s=PATIENCE_S)
    return parse_agent_state(answer)


def _script() -> str:
    return resources.files(__package__).joinpath("agent_host.sh").read_text()


def parse_agent_state(output: bytes) -> InstalledAgent | None:
    """Parse the script's output; pure. Raises `HostOutputError`.

    >>> parse_agent_state(b"placed=no")
    """
    facts: dict[str, str] = {}
    for line in output[:4096].decode(errors="replace").splitlines():
        found = _FACT.fullmatch(line)
        if found is None:
            raise HostOutputError("the agent's state: an unexpected line")
        facts[found[1]] = found[2]
    match facts:
        case {"placed": "no"}:
            return None
        case {"placed": "yes", "agent": agent, "bus": bus, "sha256": sha256, "runs": runs}:
            if runs in set(RunMode) and _SHA256.fullmatch(sha256):
                return InstalledAgent(agent, bus, sha256, RunMode(runs), facts.get("at", ""))
    raise HostOutputError("the agent's state: a field is missing or has an unknown value")
