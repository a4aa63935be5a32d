"""netprobe installed in both clusters by ``netprobe install``, and what its collector answers."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from netprobe.cli.options.source import Source
from netprobe.errors import SystemRefusedError
from netprobe.lab.fault_drill import describe_unhealthy
from netprobe.model.finding import Cause, Finding
from netprobe.model.snapshot import Snapshot
from tests.e2e.cluster.client import Clusters
from tests.e2e.cluster.figures import tell
from tests.e2e.cluster.node_images import AGENT, COLLECTOR
from tests.e2e.test_clusters import PROD, STAGING, run

PATIENCE_S = 400
BOTH = ("--context", PROD, "--context", STAGING)


@dataclass(frozen=True, slots=True)
class InstalledFleet:
    """Two clusters with netprobe in them, and where its collector is asked."""

    clusters: Clusters
    source: Source

    def until(self, wanted: Callable[[Snapshot], bool], *, never: str = "") -> Snapshot:
        """Ask until the snapshot is as wanted; a finding of a cause that matches *never* fails at once."""
        until, last = time.monotonic() + PATIENCE_S, "no answer"
        while time.monotonic() < until:
            try:
                snapshot = self.source.load()
            except SystemRefusedError as error:
                last = str(error)
            else:
                causes = [str(found.cause) for found in snapshot.findings]
                assert not never or not re.search(never, " ".join(causes)), snapshot.findings
                if wanted(snapshot):
                    return snapshot
                last = f"{describe_unhealthy(snapshot)}; {causes}"
            time.sleep(1)
        raise AssertionError(f"not so within {PATIENCE_S} s: {last}")

    def finds(self, cause: Cause, fault: AbstractContextManager[None]) -> tuple[Finding, ...]:
        """Break a healthy fleet, return what is found once *cause* is among it, mend it until all is well."""
        self.until_healthy()
        began_ns = time.time_ns()
        with fault:
            snapshot = self.until(lambda now: any(one.cause is cause for one in now.findings))
        (first, *_) = (one for one in snapshot.findings if one.cause is cause)
        late = (first.first_seen_ns - began_ns) / snapshot.interval_ns
        tell(f"{cause}: found {late:.1f} intervals of {snapshot.interval_ns / 1e9:g} s after the break")
        self.until_healthy()
        return snapshot.findings

    def until_healthy(self, *, never: str = "") -> Snapshot:
        """Ask until every agent is alive, every path is up and nothing is found."""
        return self.until(lambda snapshot: not describe_unhealthy(snapshot), never=never)


@contextmanager
def install_fleet(
    clusters: Clusters, images: Iterable[str], folder: Path, *, words: Sequence[str] = (),
    collector: Sequence[str] = (),
) -> Iterator[InstalledFleet]:  # fmt: skip
    """netprobe in both clusters, with the archives of its *images* on every node.

    *words* are more options of ``netprobe install``, *collector* more arguments of the collector. *folder* is
    for the key that may ask it. Afterwards netprobe is uninstalled.
    """
    for archive in images:
        clusters.tell("import", archive)
    env = {"KUBECONFIG": clusters.environment}
    names = ("--agent-image", AGENT.name, "--collector-image", COLLECTOR.name)
    inner = ("--expose", "NodePort", "--api-server", f"{STAGING}=https://10.250.2.1:6443")
    result = run("install", *BOTH, "--hub", PROD, *names, *inner, *words, "--no-wait", env=env)
    assert result.exit_code == 0, (result.output, result.exception)
    add = "/spec/template/spec/containers/0/args/-"
    more: list[dict[str, object]] = [
        {"op": "add", "path": add, "value": word} for word in (*collector, "--interval=4")
    ]
    # Tests drain and break the other node.
    home = {"kubernetes.io/hostname": "prod-1"}
    more.append({"op": "add", "path": "/spec/template/spec/nodeSelector", "value": home})
    deployment = "deployment/netprobe-collector"
    clusters.kubectl(PROD, "-n", "netprobe", "patch", deployment, "--type=json", "-p", json.dumps(more))
    clusters.kubectl(PROD, "-n", "netprobe", "rollout", "status", deployment, "--timeout=300s")
    with forwarded(clusters) as url:
        seed, authority = operator(clusters, folder)
        yield InstalledFleet(clusters, Source(url=url, seed=seed, ca=authority))
    assert run("uninstall", *BOTH, env=env).exit_code == 0


@contextmanager
def forwarded(clusters: Clusters) -> Iterator[str]:
    """The bus of the hub, at a port of this machine.

    kubectl ends a forward at the first connection that fails, so it is made again; how often the collector
    was started again is shown at the end.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = f"--kubeconfig={clusters.kubeconfigs[PROD]}"
    forward = f"kubectl {config} -n netprobe port-forward service/netprobe-bus {port}:4222"
    process = subprocess.Popen(
        ["sh", "-c", f"while :; do {forward}; sleep 1; done"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield f"tls://127.0.0.1:{port}"
        again = "{.items[*].status.containerStatuses[*].restartCount}"
        named = ("-l", "app.kubernetes.io/name=netprobe-collector", "-o", f"jsonpath={again}")
        told = clusters.kubectl(PROD, "-n", "netprobe", "get", "pods", *named)
        tell(f"the collector was started again {told} times")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def operator(clusters: Clusters, at: Path) -> tuple[Path, Path]:
    """The key that may ask and who signed the bus's certificate, as the install made them."""
    told = clusters.kubectl(PROD, "-n", "netprobe", "get", "secret", "netprobe-operators", "-o", "json")
    for name in ("seed", "ca.crt"):
        (at / name).write_bytes(base64.b64decode(json.loads(told)["data"][name]))
    (at / "seed").chmod(0o600)
    return at / "seed", at / "ca.crt"
