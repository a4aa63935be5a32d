"""A collector as a program, simulated agents, and what is seen of them from outside.

Rule: what was stored is read from the histories' files, and what was sent from the agents; never from what
the collector says of itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.simulated_agent import SimulatedAgent
from netprobe.bus.keys import new_user
from netprobe.bus.operator import Access, ask_health, ask_snapshot
from netprobe.errors import NetprobeError
from netprobe.model.names import AgentId
from netprobe.model.status import PathState
from netprobe.model.units import SECOND_NS

PATIENCE_S = 60.0
"""Nothing that heals by itself takes longer; what does was not healed."""
COLLECTOR = ("benchmarks.chaos.collector_with_clock",)
LOOK_S = 0.05
_STALE_S = 5.0
"""Two and a half intervals, the longest time-out, and two seconds for a busy machine."""
_INVENTORY = """\
clusters:
  - name: prod
    nodes:
      - {name: gw, role: gateway, host_addresses: [192.0.2.1], pod_addresses: [198.51.100.1]}
      - {name: w1, host_addresses: [192.0.2.2], pod_addresses: [198.51.100.2]}
"""
AGENTS = tuple(AgentId.parse(f"prod/{node}/{plane}") for node in ("gw", "w1") for plane in ("pod", "host"))
Name = tuple[str, str, int]
"""Agent, boot and number of a report."""


@dataclass(slots=True)
class ChaosWorld:
    """Everything that runs in one experiment."""

    folder: Path
    interval_s: float
    seeds: dict[AgentId, str]
    operator: str
    stack: AsyncExitStack
    agents: list[SimulatedAgent] = field(default_factory=list)
    url: str = "nats://127.0.0.1:0"
    http: str = "127.0.0.1:0"
    stored_before: set[Name] = field(default_factory=set)
    """Reports that were in histories before they were spoilt."""
    program: tuple[str, ...] = COLLECTOR
    """The module that is run as the collector, and its first arguments."""
    patience_s: float = PATIENCE_S
    """After so long, what has not healed or was not seen counts as such; a start may take longer."""
    blind_since_s: float | None = None
    """Since when nothing can be stored, by the experiment's own doing."""
    destroyed: set[Name] = field(default_factory=set)
    """Reports whose only copy was in a file that was spoilt."""
    green: int = 0
    _process: asyncio.subprocess.Process | None = None

    @property
    def data(self) -> Path:
        """The collector's folder."""
        return self.folder / "data"

    @property
    def history(self) -> Path:
        """The collector's history."""
        return self.data / "history.db"

    def set_clock(self, by_s: float) -> None:
        """Set the collector's wall clock off by *by_s*."""
        with (self.folder / "clock").open("r+b") as file:
            file.write(struct.pack("q", round(by_s * SECOND_NS)))

    async def start_collector(self) -> bool:
        """Start it, again and again as a kubelet does; whether it serves in time."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            with suppress(OSError):
                (self.data / "ready").unlink()
            with (self.folder / "log").open("ab") as log:
                process = self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", *self.program, self.folder / "clock",
                    "collector", "--inventory", self.folder / "inventory.yaml", "--data", self.data,
                    "--keys", self.folder / "keys.json", "--interval", str(self.interval_s), "--epoch", "0",
                    "--listen", self.url.removeprefix("nats://"), "--http", self.http,
                    stdout=log, stderr=log,
                )  # fmt: skip
            while process.returncode is None and time.monotonic() < deadline_s:
                with suppress(OSError, ValueError):
                    told = json.loads((self.data / "ready").read_text())
                    if told["pid"] != process.pid:
                        raise ValueError("of an earlier run")
                    self.url, self.http = told["url"], told["http"].removeprefix("http://")
                    return True
                await asyncio.sleep(LOOK_S)
        return False

    async def kill_collector(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it; the kernel ends its bus server."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(how)
            await self._process.wait()
        for _ in range(200):  # its server has lost its parent and ends a moment later
            if not await asyncio.to_thread(_is_open, self.url):
                return
            await asyncio.sleep(LOOK_S / 5)

    async def is_seen(self, *metrics: str) -> bool:
        """Whether ``/readyz`` says that something is wrong, or a line of ``/metrics`` begins as told."""
        if await asyncio.to_thread(_status, f"http://{self.http}/readyz") != 200:
            return True
        if not metrics:
            return False
        text = await asyncio.to_thread(_read, f"http://{self.http}/metrics")
        return any(line.startswith(metrics) and float(line.split()[-1]) for line in text.splitlines())

    async def seconds_until_seen(self, *metrics: str, since_s: float) -> float:
        """How long after *since_s* it is shown."""
        while time.monotonic() - since_s < self.patience_s:
            if await self.is_seen(*metrics):
                return time.monotonic() - since_s
            await asyncio.sleep(LOOK_S)
        return float("inf")

    async def health(self) -> dict[str, object]:
        """What the collector says of itself."""
        return await ask_health(Access(self.url, self.operator))

    async def settle(self) -> bool:
        """Let the agents send what waits; whether everything that they still have was taken and is stored."""
        for agent in self.agents:
            agent.pause()
        deadline_s = time.monotonic() + self.patience_s
        while any(agent.waiting for agent in self.agents):
            if time.monotonic() > deadline_s:
                return False
            await asyncio.sleep(LOOK_S)
        sent = self.names_sent()
        quiet_s = time.monotonic()
        stored = len(self.names_stored())
        while time.monotonic() - quiet_s < max(3.0, 3 * self.interval_s):
            await asyncio.sleep(LOOK_S * 4)
            now = len(self.names_stored())
            if now >= len(sent):
                return True
            if now != stored or await self.is_seen():
                quiet_s = quiet_s if time.monotonic() > deadline_s else time.monotonic()
                stored = now
        return not await self.is_seen()

    def names_sent(self) -> set[Name]:
        """Every report that an agent made."""
        return {name for agent in self.agents for name in agent.sent}

    def names_stored(self) -> set[Name]:
        """Every report that is, or was, in a history."""
        return self.stored_before | read_names(self.history)

    async def watch_paths(self) -> None:
        """Count paths that are shown up although nothing was stored for too long."""
        while True:
            await asyncio.sleep(self.interval_s / 2)
            with suppress(NetprobeError, OSError):
                asked_s = time.monotonic()
                snapshot = await ask_snapshot(Access(self.url, self.operator), timeout_s=2.0)
                source_of = {check.id: check.source for check in snapshot.checks}
                blind = self.blind_since_s
                last_s = {
                    agent.name: agent.acknowledged_s if blind is None else min(agent.acknowledged_s, blind)
                    for agent in self.agents
                }
                self.green += sum(
                    path.state is PathState.UP and asked_s - last_s[source_of[path.check]] > _STALE_S
                    for path in snapshot.paths
                )


@asynccontextmanager
async def chaos_world(
    folder: Path, *, interval_s: float, size: str = "40m", program: tuple[str, ...] = COLLECTOR,
    patience_s: float = PATIENCE_S,
) -> AsyncIterator[ChaosWorld]:  # fmt: skip
    """A collector that serves, and four agents that report."""
    pairs = {agent: new_user() for agent in AGENTS}
    operator, operator_public = new_user()
    keys = {"agents": {str(agent): public for agent, (_, public) in pairs.items()}}
    (folder / "inventory.yaml").write_text(_INVENTORY)
    (folder / "keys.json").write_text(json.dumps(keys | {"operators": [operator_public]}))
    (folder / "clock").write_bytes(bytes(8))
    for name in ("data", "spool"):
        _mount(folder / name, size)
    async with AsyncExitStack() as stack:
        seeds = {agent: seed for agent, (seed, _) in pairs.items()}
        world = ChaosWorld(folder, interval_s, seeds, operator, stack, program=program, patience_s=patience_s)
        stack.callback(_unmount, folder / "data", folder / "spool")
        stack.push_async_callback(world.kill_collector)
        if not await world.start_collector():
            raise SystemError(f"the collector does not start: {(folder / 'log').read_text()[-2000:]}")
        for named, seed in seeds.items():
            spool = folder / "spool" / str(named)
            agent = SimulatedAgent(named, seed, world.url, spool, interval_s=interval_s)
            await stack.enter_async_context(agent.running())
            world.agents.append(agent)
        watching = asyncio.create_task(world.watch_paths())
        stack.callback(watching.cancel)
        await _until_up(world)
        yield world


def _mount(folder: Path, size: str) -> None:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "chaos", folder], check=True)


def _unmount(*folders: Path) -> None:
    subprocess.run(["umount", "--lazy", *folders], check=False)


async def _until_up(world: ChaosWorld) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        with suppress(NetprobeError):
            snapshot = await ask_snapshot(Access(world.url, world.operator))
            if snapshot.paths and all(path.state is PathState.UP for path in snapshot.paths):
                return
        await asyncio.sleep(world.interval_s / 2)
    raise SystemError("the paths do not come up")


def read_names(history: Path, *, boot: str = "") -> set[Name]:
    """The reports in a SQLite history, or those of one *boot*; none where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True, timeout=1.0)) as connection:
            wanted = "select agent, boot, sequence from reports"
            if boot:
                return set(connection.execute(f"{wanted} where boot = ?", (boot,)))
            return set(connection.execute(wanted))
    except sqlite3.Error:
        return set()


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)
    except OSError:
        return 0


def _read(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _is_open(url: str) -> bool:
    host, _, port = url.removeprefix("nats://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=0.2):
            return True
    except OSError:
        return False


def size_left(folder: Path) -> int:
    """Bytes left on the volume of *folder*."""
    told = os.statvfs(folder)
    return told.f_bavail * told.f_frsize
