"""The process that holds the clusters: ``python -m tests.e2e.cluster.node_namespace PROGRAMS``.

Rule: first thing, it leaves the namespaces of the machine, as ``netprobe.lab.supervisor`` does. It is the
first process of its PID namespace and all it writes lies in memory of its mount namespace, so that when it
ends, however it ends, the kernel removes every process, interface, mount and file of the clusters; control
groups, which no namespace takes away, are removed by its parent. Its network has no way out; only the API
servers can be reached, through sockets opened before.

It says one line of JSON when the control planes stand, then obeys one JSON list of words a line on stdin,
each answered by one line:

- ``["start-nodes", ARCHIVE…]``: start every node with these images, and wait until all are ready;
- ``["import", ARCHIVE]``: give an image to every node;
- ``["stop-api", CLUSTER]``, ``["start-api", CLUSTER]``; ``["stop-node", NODE]``, ``["start-node", NODE]``;
- ``["signal", NODE, PROGRAM, STOP|CONT|KILL]``: to a node's containerd, kubelet or kube-proxy;
- ``["at", NODE|router, PROGRAM, WORD…]``: run a program in the network of a node, or between the clusters;
- ``["start-program", NODE, NAME, LOG, PROGRAM, WORD…]``, ``["stop-program", NAME]``: one that stays, with the
  network and the host name of a node; the second is answered with its exit code.

It ends when its stdin does.
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
from pathlib import Path

from netprobe.lab import kernel
from netprobe.lab.relay import relay
from tests.e2e.cluster.cgroups import remove_cgroups, remove_orphans
from tests.e2e.cluster.control_plane import ControlPlane
from tests.e2e.cluster.network import Layout, make_router
from tests.e2e.cluster.nodes import Nodes
from tests.e2e.cluster.programs import Programs

LAYOUTS = (
    Layout("prod-us-west1-1", 1, ("prod-1", "prod-2")),
    Layout("staging-eu-central1-1", 2, ("staging-1",)),
)
_STATE = Path("/run/netprobe-e2e")
_PATIENCE_S = 240.0
_PR_SET_PDEATHSIG = 1


def main() -> None:
    programs, outer = Path(sys.argv[1]), os.getpid()
    remove_orphans()
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
        code = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) & 0xFF
        remove_cgroups(outer)
        os._exit(code)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.mount_tmpfs(Path("/run"))
    kernel.mount_proc()
    make_router(LAYOUTS)
    asyncio.run(Holder(programs, f"netprobe-e2e.{outer}").hold(doors))
    os._exit(0)


class Holder:
    """Starts everything and obeys."""

    def __init__(self, programs: Path, cgroup: str) -> None:
        self._planes = {
            layout.name: ControlPlane(layout, programs, _STATE / layout.name) for layout in LAYOUTS
        }
        self._nodes = Nodes(self._planes, programs, _STATE / "nodes", cgroup)
        self._programs = Programs()

    async def hold(self, doors: dict[str, socket.socket]) -> None:
        for plane in self._planes.values():
            await asyncio.to_thread(plane.start)
        relays = [
            asyncio.ensure_future(relay(doors[name], host=plane.layout.address, port=6443))
            for name, plane in self._planes.items()
        ]
        await asyncio.to_thread(self._wait)
        _say({"kubeconfigs": {name: _admin(plane, doors[name]) for name, plane in self._planes.items()}})
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                _say({"done": await asyncio.to_thread(self._obey, *json.loads(line))})
            except (OSError, LookupError, TimeoutError, subprocess.CalledProcessError) as error:
                told = getattr(error, "stderr", "")
                _say({"error": f"{line.strip()}: {error} {told}"})
        for task in relays:
            task.cancel()

    def _obey(self, verb: str, *words: str) -> str:
        match verb:
            case "start-nodes":
                self._nodes.start(words)
            case "stop-node":
                self._nodes.stop(words[0])
            case "start-node":
                self._nodes.start_again(words[0])
            case "signal":
                self._nodes.send_signal(*words)
            case "import":
                self._nodes.import_image(words[0])
            case "stop-api":
                self._planes[words[0]].stop_api()
            case "start-api":
                self._planes[words[0]].start_api()
            case "at" | "start-program" | "stop-program":
                return self._obey_at(verb, *words)
            case _:
                raise LookupError(f"unknown verb {verb}")
        return ""

    def _obey_at(self, verb: str, *words: str) -> str:
        """What concerns a program in the network of one place."""
        match verb, *words:
            case "start-program", node, name, log, *command:
                entered = ["nsenter", f"--target={self._nodes.first_process(node)}", "--net", "--uts"]
                self._programs.start(name, Path(log), [*entered, *command])
            case "stop-program", name:
                return str(self._programs.stop(name))
            case _, place, *command:
                where = [] if place == "router" else ["nsenter", f"--net=/run/netns/{place}"]
                return subprocess.run([*where, *command], capture_output=True, text=True, check=True).stdout
        return ""

    def _wait(self) -> None:
        """Wait until every API server is ready and has made what it makes by itself."""
        until = time.monotonic() + _PATIENCE_S
        for plane in self._planes.values():
            wanted = (
                ["--raw=/readyz"], ["clusterrole", "system:kube-controller-manager"],
                ["service", "kubernetes"], ["namespace", "kube-system"],
            )  # fmt: skip
            for what in wanted:
                _until_told(plane, what, until)
            plane.start_controllers()
        for plane in self._planes.values():
            _until_told(plane, ["serviceaccount", "default"], until)


def _until_told(plane: ControlPlane, what: list[str], until: float) -> None:
    while plane.try_kubectl("get", *what).returncode:
        ended = plane.find_ended()
        if ended or time.monotonic() > until:
            _say({"error": "; ".join(ended) or f"{plane.layout.name}: {what} is not there in time"})
            os._exit(1)
        time.sleep(0.2)


def _admin(plane: ControlPlane, door: socket.socket) -> str:
    server = f"https://127.0.0.1:{door.getsockname()[1]}"
    return plane.authority.kubeconfig(plane.layout.name, server, "admin", "system:masters")


def _say(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
