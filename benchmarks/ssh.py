"""Many hosts asked over SSH at once: ``python -m benchmarks ssh [--hosts N] [--at-once N]``.

Each host is a real sshd with a key of its own, on a loopback address of a network namespace made for the run;
each is asked what it is (`discovery.ssh.status`, four commands). Beside it the OpenSSH client runs the same
commands in one session per host, as many clients at once. Everything ends with the run's process namespace.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.connection import SshTimeouts, open_host
from netprobe.discovery.ssh.fan_out import ask_many
from netprobe.discovery.ssh.status import HostStatus, ask_status
from netprobe.errors import SystemRefusedError
from netprobe.model.ssh import SshAccess, SshHop

_SSHD = "/usr/sbin/sshd"
_ENTER = (
    "ip link set lo up && mount -t tmpfs run /run && mkdir /run/sshd && "
    '{ [ ! -e ~/.bashrc ] || mount --bind /dev/null ~/.bashrc; } && exec "$@"'
)
_COMMANDS = ("uptime", "kernel", "python", "tools")
_PATIENT = SshTimeouts(connect_s=120, command_s=120)


def run(arguments: list[str]) -> dict[str, object]:
    """Start the hosts in namespaces of their own, ask them, and return the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ssh")
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=64)
    chosen = parser.parse_args(arguments)
    missing = [tool for tool in (_SSHD, "ssh", "ssh-keygen", "unshare") if shutil.which(tool) is None]
    if missing:
        raise SystemRefusedError(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        inside = [sys.executable, "-m", "benchmarks.ssh", str(chosen.hosts), str(chosen.at_once), folder]
        enter = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _ENTER, "sh"]
        done = subprocess.run([*enter, *inside], stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout)
    assert isinstance(figures, dict)
    return figures


def _make_key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text().strip()


def _start_host(number: int, folder: Path) -> tuple[str, SshAccess]:
    address = f"127.1.{number // 250}.{1 + number % 250}"
    key = folder / f"host{number}"
    public = _make_key(key)
    options = {
        "HostKey": key, "ListenAddress": address, "AuthorizedKeysFile": folder / "client.pub",
        "StrictModes": "no", "UsePAM": "no", "PidFile": "none", "LogLevel": "ERROR",
        "PermitRootLogin": "prohibit-password",
    }  # fmt: skip
    config = folder / f"config{number}"
    config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    subprocess.Popen([_SSHD, "-D", "-f", str(config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    hop = SshHop(address, user="root", key=str(folder / "client"), host_key=public)
    return address, SshAccess(hop, agent=False)


def _wait_for(address: str) -> None:
    for _ in range(600):
        with socket.socket() as tried:
            if tried.connect_ex((address, 22)) == 0:
                return
        time.sleep(0.05)
    raise SystemRefusedError(f"{address}: sshd does not listen")


async def _ask(access: SshAccess) -> HostStatus:
    async with open_host(access, wait=_PATIENT, config=Path("/nonexistent")) as host:
        return await ask_status(host)


def _ask_with_openssh(hosts: dict[str, SshAccess], folder: Path, *, at_once: int) -> int:
    """The same questions by the OpenSSH client; how many hosts answered."""
    known = folder / "known_hosts"
    known.write_text("".join(f"{address} {way.target.host_key}\n" for address, way in hosts.items()))
    client = ["ssh", "-F", "none", "-o", f"UserKnownHostsFile={known}", "-i", str(folder / "client"),
              "-l", "root", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]  # fmt: skip
    script = "; ".join(Command(name).line() for name in _COMMANDS)

    def ask(address: str) -> bool:
        done = subprocess.run(
            [*client, address, script], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        return b"Linux" in done.stdout

    with ThreadPoolExecutor(at_once) as pool:
        return sum(pool.map(ask, hosts))


def _inside(count: int, at_once: int, folder: Path) -> dict[str, object]:
    _make_key(folder / "client")
    hosts = dict(_start_host(number, folder) for number in range(count))
    for address in hosts:
        _wait_for(address)
    began = time.perf_counter()
    told = asyncio.run(ask_many(hosts, _ask, timeout_s=300, at_once=at_once))
    seconds = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    by_openssh = _ask_with_openssh(hosts, folder, at_once=at_once)
    openssh_seconds = time.perf_counter() - began
    return {
        "hosts": count,
        "answered": sum(isinstance(what, HostStatus) for what in told.values()),
        "at_once": at_once,
        "commands_per_host": len(_COMMANDS),
        "seconds": round(seconds, 2),
        "rss_mib": round(usage.ru_maxrss / 1024, 1),
        "openssh_answered": by_openssh,
        "openssh_seconds": round(openssh_seconds, 2),
        "seconds_ratio": round(seconds / openssh_seconds, 2),
    }


if __name__ == "__main__":
    print(json.dumps(_inside(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
