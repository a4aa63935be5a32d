"""The clusters from the side of the tests: start them, talk to their API servers, end them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.cluster import cgroups
from tests.e2e.cluster.images import COREDNS, PAUSE, pack_program
from tests.e2e.cluster.kubernetes_build import coredns, folder, is_built
from tests.e2e.cluster.leftovers import LISTED, find_left_on_machine, made_by_people, pid_space_of_child

ROOT = Path(__file__).parents[3]
_PATIENCE_S = 180.0


def why_not() -> str:
    """Why no cluster can be held here; empty where one can."""
    if os.geteuid() != 0:
        return "real clusters need root (or NETPROBE_E2E_CONTEXTS)"
    for program in ("kubectl", "ip", "unshare"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not is_built():
        return f"Kubernetes is not built in {folder()}: run `make e2e` (needs Go 1.26)"
    tried = subprocess.run(["unshare", "-mnpfui", "true"], capture_output=True, text=True, check=False)
    return f"namespaces are refused here: {tried.stderr.strip()}" if tried.returncode else ""


def why_no_nodes() -> str:
    """Why no nodes can be held here; empty where they can. Asked after :func:`why_not`."""
    for program in ("containerd", "runc", "ctr", "nft", "nsenter", "busybox"):
        if shutil.which(program) is None:
            return f"{program} is not installed: run `make e2e` as root"
    if not Path("/usr/lib/cni/ptp").exists():
        return "the CNI plug-ins are not installed: run `make e2e` as root"
    return cgroups.why_not()


class Clusters:
    """Two clusters that stand; *kubeconfigs* has one file per cluster, by its context's name."""

    def __init__(self, at: Path) -> None:
        self._holder = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.cluster.node_namespace", str(folder())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._has_nodes = False
        self._space = ""
        try:
            told = self._read()
        except AssertionError:
            self.close()
            raise
        self.kubeconfigs: dict[str, Path] = {}
        for name, text in told["kubeconfigs"].items():
            self.kubeconfigs[name] = at / f"{name}.json"
            self.kubeconfigs[name].write_text(text)
        self._space = pid_space_of_child(self._holder.pid)
        self._found = {name: self._objects(name) for name in self.kubeconfigs}

    @property
    def pid(self) -> int:
        """The process that holds them."""
        return self._holder.pid

    @property
    def environment(self) -> str:
        """What ``KUBECONFIG`` has to be."""
        return os.pathsep.join(map(str, self.kubeconfigs.values()))

    def stop_api(self, name: str) -> None:
        """Kill the API server of a cluster."""
        self.tell("stop-api", name)

    def start_api(self, name: str) -> None:
        """Start it again."""
        self.tell("start-api", name)

    def start_nodes(self, at: Path) -> None:
        """Start every node of both clusters, with what a pod and a cluster's DNS need; once."""
        if self._has_nodes:
            return
        shell = Path(shutil.which("busybox") or "/bin/busybox")
        pause = pack_program(PAUSE, shell, ("/busybox", "sleep", "2147483647"), at=at / "pause.tar")
        program = at / "coredns"
        shutil.copy(coredns(), program)
        dns = pack_program(COREDNS, program, ("/coredns",), at=at / "coredns.tar")
        before = {name: self._objects(name) for name in self.kubeconfigs}
        self.tell("start-nodes", str(pause), str(dns))
        self._has_nodes = True
        for name, objects in before.items():
            self._found[name] |= self._objects(name) - objects

    def stop_node(self, name: str) -> None:
        """Cut the power of a node."""
        self.tell("stop-node", name)

    def start_node(self, name: str) -> None:
        """Give it back; return when the node is ready."""
        self.tell("start-node", name)

    def expect_as_found(self) -> None:
        """Fail, naming them, where tests left objects or faults of the network behind, or took objects away.

        Namespaces that are just ending may take their time.
        """
        until = time.monotonic() + _PATIENCE_S
        for name in self.kubeconfigs:
            while (now := self._objects(name)) != self._found[name] and time.monotonic() < until:
                time.sleep(1)
            assert sorted(now - self._found[name]) == [], f"{name}: left behind"
            assert sorted(self._found[name] - now) == [], f"{name}: taken away"
        for where in ("router", *(("prod-1", "prod-2", "staging-1") if self._has_nodes else ())):
            assert "broken" not in self.at(where, "nft", "list", "tables"), f"{where}: a fault is left"

    def _objects(self, name: str) -> frozenset[str]:
        return made_by_people(self.kubectl(name, *LISTED))

    def at(self, where: str, *words: str) -> str:
        """Run a program in the network of a node, or of the router between the clusters (``router``)."""
        return self.tell("at", where, *words)

    def start_program(self, node: str, name: str, log: Path, *words: str) -> None:
        """Start a program with the network and the host name of a node; what it says goes to *log*."""
        self.tell("start-program", node, name, str(log), *words)

    def stop_program(self, name: str) -> int:
        """End it; return its exit code, negative for a signal."""
        return int(self.tell("stop-program", name))

    def kubectl(self, name: str, *words: str, given: str = "") -> str:
        """Run kubectl on a cluster; return what it says, fail with what it complains about."""
        ran = subprocess.run(
            ["kubectl", f"--kubeconfig={self.kubeconfigs[name]}", *words],
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def apply(self, name: str, *objects: Mapping[str, object]) -> None:
        """Make objects, with the status that they carry."""
        for found in objects:
            self.kubectl(name, "apply", "-f", "-", given=json.dumps(found))
            if "status" in found:
                apply = ("apply", "--server-side", "--force-conflicts", "--subresource=status", "-f", "-")
                self.kubectl(name, *apply, given=json.dumps(found))

    def end_namespace(self, name: str, namespace: str = "netprobe") -> None:
        """Remove a namespace, if it is there, with pods that no kubelet will ever end."""
        force = ("--force", "--grace-period=0", "--ignore-not-found", "--wait=false")
        self.kubectl(name, "delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
        self.kubectl(name, "-n", namespace, "delete", "pods", "--all", *force)
        self.kubectl(name, "wait", "--for=delete", f"namespace/{namespace}", "--timeout=180s")

    def close(self) -> None:
        """End them and everything of theirs; fail, naming it, where something is left on the machine."""
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.wait(_PATIENCE_S)
        self._holder.stdout.close()
        left = find_left_on_machine(self._holder.pid, self._space)
        assert left == [], left

    def tell(self, *words: str) -> str:
        """Let the holder do something (see there); return what it says."""
        assert self._holder.stdin is not None
        self._holder.stdin.write(json.dumps(words) + "\n")
        self._holder.stdin.flush()
        return str(self._read()["done"])

    def _read(self) -> dict[str, dict[str, str]]:
        assert self._holder.stdout is not None
        line = self._holder.stdout.readline()
        told: dict[str, dict[str, str]] = json.loads(line or '{"error": "the holder ended"}')
        assert "error" not in told, told["error"]
        return told
