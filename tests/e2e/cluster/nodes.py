"""The nodes of all clusters, from the holder's side: start, wait until they serve, stop one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tests.e2e.cluster.addons import addons
from tests.e2e.cluster.cgroups import make_cgroups
from tests.e2e.cluster.control_plane import ControlPlane
from tests.e2e.cluster.images import PAUSE
from tests.e2e.cluster.network import Layout, NodeLayout, join_node, route_pods
from tests.e2e.cluster.node import CONTAINERD, NodeSpec

_PATIENCE_S = 300.0


class Nodes:
    """Holds the processes of nodes below *folder*."""

    def __init__(self, planes: Mapping[str, ControlPlane], programs: Path, folder: Path, cgroup: str) -> None:
        self._planes = planes
        self._programs = programs
        self._folder = folder
        self._cgroup = cgroup
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._images: list[str] = []

    def start(self, images: Sequence[str]) -> None:
        """Start every node with *images*; return when all are ready, reach each other's pods and have DNS."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._images += images
        for plane in self._planes.values():
            plane.try_kubectl("apply", "-f", "-", given=json.dumps(addons(plane.layout))).check_returncode()
            for node in plane.layout.nodes:
                join_node(plane.layout, node)
                self._launch(plane, node)
        self._join_pods()
        for plane in self._planes.values():
            wait = ("rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=300s")
            plane.try_kubectl(*wait).check_returncode()
        self._wait_served(time.monotonic() + _PATIENCE_S)

    def start_again(self, name: str) -> None:
        """Give a node its power back, with the images that all have; return when it is ready."""
        for plane in self._planes.values():
            for node in plane.layout.nodes:
                if node.name == name:
                    self._launch(plane, node)
        self._join_pods()

    def _join_pods(self) -> None:
        """Wait until all nodes are ready, and lead to the pods of each."""
        until = time.monotonic() + _PATIENCE_S
        cidrs: dict[str, str] = {}
        for plane in self._planes.values():
            cidrs |= self._wait_ready(plane, until)
        route_pods(self._layouts, cidrs)

    def stop(self, name: str) -> None:
        """Cut the power of a node."""
        # It is init of its PID namespace: the kernel ends all others with it.
        os.kill(self.first_process(name), signal.SIGKILL)
        self._running.pop(name).wait()

    def send_signal(self, name: str, program: str, number: str) -> None:
        """Send a signal (``STOP``, ``CONT``, ``KILL``) to one of the programs of a node."""
        for pid in _children(self.first_process(name)):
            if Path(f"/proc/{pid}/comm").read_text().strip() == program:
                os.kill(pid, signal.Signals[f"SIG{number}"])
                return
        raise LookupError(f"{program} does not run on {name}")

    def import_image(self, archive: str) -> None:
        """Let every node have the image in *archive*."""
        self._images.append(archive)
        importing = [
            subprocess.Popen(
                ["nsenter", f"--target={self.first_process(name)}", "--mount", "--net", "--pid", "ctr",
                 f"--address={CONTAINERD}", "--namespace=k8s.io", "images", "import", archive],
                stdout=subprocess.DEVNULL,
            )
            for name in self._running
        ]  # fmt: skip
        for process in importing:
            if process.wait():
                raise OSError(f"{archive} could not be imported")

    def first_process(self, name: str) -> int:
        """The init of a node: it is in all of the node's namespaces."""
        return _children(self._running[name].pid)[0]

    @property
    def _layouts(self) -> tuple[Layout, ...]:
        return tuple(plane.layout for plane in self._planes.values())

    def _launch(self, plane: ControlPlane, node: NodeLayout) -> None:
        server = f"https://{plane.layout.address}:6443"
        authority = plane.authority
        spec = NodeSpec(
            name=node.name,
            address=node.address,
            zone=node.zone,
            cgroup=make_cgroups(self._cgroup, node.name),
            pods=plane.layout.pods,
            dns=plane.layout.dns,
            programs=str(self._programs),
            authority=authority.path.read_text(),
            kubelet=authority.kubeconfig("node", server, f"system:node:{node.name}", "system:nodes"),
            proxy=authority.kubeconfig("proxy", server, "system:kube-proxy"),
            images=tuple(self._images),
            pause=PAUSE,
            log=str(self._folder),
        )
        file = self._folder / f"{node.name}.json"
        file.write_bytes(msgspec.json.encode(spec))
        log = self._folder / f"{node.name}.log"
        with log.open("ab") as written:
            self._running[node.name] = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.cluster.node", str(file)],
                stdin=subprocess.DEVNULL, stdout=written, stderr=written,
            )  # fmt: skip

    def _wait_ready(self, plane: ControlPlane, until: float) -> dict[str, str]:
        """Wait for the nodes of one cluster; return the range of pods that each was given."""
        wanted = set(plane.layout.node_names)
        while True:
            told = plane.try_kubectl("get", "nodes", "-o", "json")
            items = json.loads(told.stdout)["items"] if told.returncode == 0 else []
            cidrs = {
                item["metadata"]["name"]: item["spec"]["podCIDR"]
                for item in items
                if item["spec"].get("podCIDR") and _is_ready(item)
            }
            if wanted <= set(cidrs):
                return {name: cidrs[name] for name in wanted}
            ended = self.find_ended()
            if ended or time.monotonic() > until:
                raise TimeoutError("; ".join(ended) or f"only {sorted(cidrs)} of {sorted(wanted)} are ready")
            time.sleep(0.3)

    def _wait_served(self, until: float) -> None:
        """Wait until DNS answers at every node through its service address.

        A ready pod is not enough: a node's kube-proxy learns of it later and refuses the service until then.
        """
        for layout in self._layouts:
            for name in layout.node_names:
                ask = ("busybox", "nslookup", "kubernetes.default.svc.cluster.local", layout.dns)
                while (answer := _run_at(name, *ask)).returncode:
                    if time.monotonic() > until:
                        raise TimeoutError(f"DNS does not answer at {name}: {answer.stdout}{answer.stderr}")
                    time.sleep(0.3)

    def find_ended(self) -> list[str]:
        """Nodes that have ended although they should run, with the end of their logs."""
        return [
            f"node {name} ended with {process.returncode}: {self._tail(name)}"
            for name, process in self._running.items()
            if process.poll() is not None
        ]

    def _tail(self, name: str) -> str:
        logs = sorted(self._folder.glob(f"{name}*.log"))
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-800:]}" for log in logs)


def _run_at(node: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["nsenter", f"--net=/run/netns/{node}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_ready(item: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    conditions = item["status"].get("conditions", [])
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)
