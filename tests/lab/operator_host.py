"""The host on which the operator of sites works in a test: its inventory, its keys, and netprobe itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netprobe.bus.keys import new_user, write_seed
from netprobe.discovery.inventory.file import dump_inventory
from netprobe.model.inventory import Inventory
from tests.lab.namespaces import Host
from tests.lab.sshd import Keys, Server
from tests.unit.authority import Authority

HUB = "tls://10.1.0.1:4222"
"""On the operator's own host."""
HUB_ADDRESS = "10.1.0.1"


@dataclass
class OperatorHost:
    """netprobe on the host *ops*, with an inventory; what it writes lies in *folder*."""

    ops: Host
    keys: Keys
    inventory: Inventory
    folder: Path

    def __post_init__(self) -> None:
        seed, public = new_user()
        write_seed(self.seed, seed)
        self.bus_keys.write_text(json.dumps({"agents": {}, "operators": [public]}))
        self.authority = Authority(self.folder)
        self.certificate, self.key = self.authority.sign("bus", host=HUB_ADDRESS)

    @property
    def path(self) -> Path:
        """Of the inventory, as it is now."""
        path = self.folder / "inventory.yaml"
        path.write_text(dump_inventory(self.inventory))
        return path

    @property
    def bus_keys(self) -> Path:
        return self.folder / "keys.json"

    @property
    def seed(self) -> Path:
        return self.folder / "operator.seed"

    @property
    def on_bus(self) -> list[str]:
        """How a command speaks with the collector."""
        return ["--bus", HUB, "--ca", str(self.authority.file), "--seed", str(self.seed)]

    def command(self, *words: str) -> list[str]:
        return self.ops.command(
            "env", "HOME=/nonexistent", "COLUMNS=80", sys.executable, "-m", "netprobe", *words
        )

    def netprobe(self, *words: str) -> tuple[int, str, str]:
        """Run a command to its end: exit code, stdout, stderr."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=600, check=False)
        return done.returncode, done.stdout, done.stderr

    def deploy(self, *names: str) -> list[str]:
        """The words of a deployment."""
        path, keys = str(self.path), str(self.bus_keys)
        bus = ["--bus", HUB, "--ca", str(self.authority.file)]
        return ["sites", "deploy", *names, "--inventory", path, *bus, "--keys", keys]

    def collector(self) -> list[str]:
        """The words of a collector with an interval of one second."""
        data, keys = str(self.folder / "data"), str(self.bus_keys)
        listen = HUB.removeprefix("tls://")
        tls = ["--tls-certificate", str(self.certificate), "--tls-key", str(self.key)]
        words = ["--inventory", str(self.path), "--data", data, "--listen", listen, "--keys", keys]
        return ["collector", *words, *tls, "--interval", "1"]

    @contextmanager
    def running(self, *words: str, log: str) -> Iterator[Path]:
        """A command of ours in the background; the path of what it says."""
        path = self.folder / log
        with path.open("w") as file:
            process = subprocess.Popen(self.command(*words), stdout=file, stderr=file)
            try:
                yield path
            finally:
                process.terminate()
                process.wait()

    @contextmanager
    def deploying(self, *names: str) -> Iterator[subprocess.Popen[str]]:
        """A deployment under way."""
        argv = self.command(*self.deploy(*names))
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def snapshot(self) -> dict[str, Any]:
        code, told, complaint = self.netprobe("show", "agents", *self.on_bus, "-o", "json")
        return dict(json.loads(told)) if code in (0, 1) else {"error": complaint}

    def speaking(self) -> set[str]:
        """The agents that report."""
        return {
            one["agent"] for one in self.snapshot().get("agents", []) if one["state"] in ("alive", "sick")
        }


def leftovers(server: Server) -> list[str]:
    """The files of ours on a host."""
    told = server.on("ls -d /var/lib/netprobe* /var/lib/private/netprobe* /run/netprobe* 2>/dev/null || :")
    return [Path(path).name for path in told.split()]


def is_arriving(server: Server) -> bool:
    """An archive is on its way to the host."""
    return "agent.pyz" in server.on("ls /run/netprobe-agent.* 2>&1 || :")


@contextmanager
def slowed(host: Host, device: str, *, rate: str) -> Iterator[None]:
    """What *host* sends there goes at that rate, so that an archive is long on its way."""
    shape = ["tbf", "rate", rate, "burst", "64kb", "latency", "300ms"]
    host.run("tc", "qdisc", "add", "dev", device, "root", *shape)
    try:
        yield
    finally:
        host.run("tc", "qdisc", "del", "dev", device, "root")
