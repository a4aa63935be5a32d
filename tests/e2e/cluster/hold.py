"""The process that holds the clusters: ``python -m tests.e2e.cluster.hold PROGRAMS``; the tests start it.

Rule: first thing, it leaves the namespaces of the machine, as ``netprobe.lab.supervisor`` does. It is the
first process of its PID namespace and all it writes lies in memory of its mount namespace, so that when it
ends, however it ends, the kernel removes every process, interface, mount and file of the clusters.
Its network has no way out; only the API servers can be reached, through sockets opened before.

It says one line of JSON when the clusters stand, then obeys one command a line on stdin (``stop-api NAME``,
``start-api NAME``), each answered by one line. It ends when its stdin does.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from netprobe.lab import kernel
from netprobe.lab.relay import relay
from tests.e2e.cluster.control_plane import ControlPlane, Layout

LAYOUTS = (Layout("prod-us-west1-1", 1), Layout("staging-eu-central1-1", 2))
_STATE = Path("/run/netprobe-e2e")
_PATIENCE_S = 90.0
_PR_SET_PDEATHSIG = 1


def main() -> None:
    programs = Path(sys.argv[1])
    doors = {layout.name: socket.create_server(("127.0.0.1", 0)) for layout in LAYOUTS}
    kernel.unshare(
        kernel.CLONE_NEWNS
        | kernel.CLONE_NEWPID
        | kernel.CLONE_NEWNET
        | kernel.CLONE_NEWUTS
        | kernel.CLONE_NEWIPC
    )
    kernel.make_mounts_private()
    first = os.fork()
    if first:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os.kill(first, signal.SIGKILL))
        os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) & 0xFF)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.mount_tmpfs(Path("/run"))
    kernel.mount_proc()
    _make_network()
    asyncio.run(_hold(programs, doors))
    os._exit(0)


def _make_network() -> None:
    """One bridge that joins everything, with the addresses of the API servers on it; no route leads out."""
    commands = ["link set lo up", "link add wan type bridge", "link set wan up"]
    commands += [f"addr add {layout.address}/16 dev wan" for layout in LAYOUTS]
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


async def _hold(programs: Path, doors: dict[str, socket.socket]) -> None:
    planes = {layout.name: ControlPlane(layout, programs, _STATE / layout.name) for layout in LAYOUTS}
    for plane in planes.values():
        await asyncio.to_thread(plane.start)
    relays = [
        asyncio.ensure_future(relay(doors[name], host=plane.layout.address, port=6443))
        for name, plane in planes.items()
    ]
    await asyncio.to_thread(_wait, planes)
    _say({"kubeconfigs": {name: _admin(plane, doors[name]) for name, plane in planes.items()}})
    while line := await asyncio.to_thread(sys.stdin.readline):
        verb, _, name = line.strip().partition(" ")
        act: dict[str, Callable[[], None]] = {
            "stop-api": planes[name].stop_api,
            "start-api": planes[name].start_api,
        }
        await asyncio.to_thread(act[verb])
        _say({"done": line.strip()})
    for task in relays:
        task.cancel()


def _admin(plane: ControlPlane, door: socket.socket) -> str:
    server = f"https://127.0.0.1:{door.getsockname()[1]}"
    return plane.authority.kubeconfig(plane.layout.name, server, "admin", "system:masters")


def _wait(planes: dict[str, ControlPlane]) -> None:
    """Wait until every API server is ready and has made what it makes by itself."""
    until = time.monotonic() + _PATIENCE_S
    for plane in planes.values():
        config = _STATE / plane.layout.name / "admin.conf"
        config.write_text(
            plane.authority.kubeconfig(
                "admin", f"https://{plane.layout.address}:6443", "admin", "system:masters"
            )
        )
        ask = ["kubectl", f"--kubeconfig={config}", "--cache-dir=/run/kubectl", "get"]
        for what in (["--raw=/readyz"], ["service", "kubernetes"], ["namespace", "kube-system"],
                     ["serviceaccount", "default"]):  # fmt: skip
            while subprocess.run([*ask, *what], capture_output=True, check=False).returncode:
                ended = plane.find_ended()
                if ended or time.monotonic() > until:
                    _say({"error": "; ".join(ended) or f"{plane.layout.name}: {what} is not there in time"})
                    os._exit(1)
                time.sleep(0.2)


def _say(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
