"""``netprobe install`` on real nodes: pods with real tokens report to a collector in a pod, day and night."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from netprobe.cli.rehearsal import describe_unhealthy
from netprobe.cli.source import Source
from netprobe.errors import SurroundingsError
from netprobe.model.snapshot import Snapshot
from tests.e2e.cluster.bake import AGENT, COLLECTOR
from tests.e2e.cluster.client import Clusters
from tests.e2e.test_clusters import PROD, STAGING, run
from tests.e2e.test_visit import FORWARD, broken

PATIENCE_S = 400
pytestmark = pytest.mark.timeout(1800)
BOTH = ("--context", PROD, "--context", STAGING)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Two clusters with netprobe in them, and where its collector is asked."""

    clusters: Clusters
    source: Source

    def until(self, wanted: Callable[[Snapshot], bool], *, never: str = "") -> Snapshot:
        """Ask until the snapshot is as wanted; a finding of a cause that matches *never* fails at once."""
        until, last = time.monotonic() + PATIENCE_S, "nobody answered"
        while time.monotonic() < until:
            try:
                snapshot = self.source.load()
            except SurroundingsError as error:
                last = str(error)
            else:
                causes = [str(found.cause) for found in snapshot.findings]
                assert not never or not re.search(never, " ".join(causes)), snapshot.findings
                if wanted(snapshot):
                    return snapshot
                last = f"{describe_unhealthy(snapshot)}; {causes}"
            time.sleep(1)
        raise AssertionError(f"not so within {PATIENCE_S} s: {last}")

    def until_healthy(self, *, never: str = "") -> Snapshot:
        """Ask until every agent is alive, every path is up and nothing is found."""
        return self.until(lambda snapshot: not describe_unhealthy(snapshot), never=never)


@contextmanager
def forwarded(clusters: Clusters) -> Iterator[str]:
    """The bus of the hub, at a port of this machine."""
    process = subprocess.Popen(
        ["kubectl", f"--kubeconfig={clusters.kubeconfigs[PROD]}", "-n", "netprobe", "port-forward",
         "service/netprobe-bus", ":4222"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        told = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert told is not None
        yield f"tls://127.0.0.1:{told[1]}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def operator(clusters: Clusters, at: Path) -> tuple[Path, Path]:
    """The key that may ask and who signed the bus's certificate, as the install made them."""
    told = clusters.kubectl(PROD, "-n", "netprobe", "get", "secret", "netprobe-operators", "-o", "json")
    for name in ("seed", "ca.crt"):
        (at / name).write_bytes(base64.b64decode(json.loads(told)["data"][name]))
    return at / "seed", at / "ca.crt"


@pytest.fixture(scope="module")
def fleet(
    nodes: Clusters, agent_image: str, collector_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    nodes.tell("import", agent_image)
    nodes.tell("import", collector_image)
    env = {"KUBECONFIG": nodes.environment}
    images = ("--agent-image", AGENT.name, "--collector-image", COLLECTOR.name)
    inner = ("--expose", "NodePort", "--api-server", f"{STAGING}=https://10.250.2.1:6443")
    result = run("install", *BOTH, "--hub", PROD, *images, *inner, "--no-wait", env=env)
    assert result.exit_code == 0, (result.output, result.exception)
    more = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": word}
            for word in ("--flat", "--interval=4")]  # fmt: skip
    deployment = "deployment/netprobe-collector"
    nodes.kubectl(PROD, "-n", "netprobe", "patch", deployment, "--type=json", "-p", json.dumps(more))
    nodes.kubectl(PROD, "-n", "netprobe", "rollout", "status", deployment, "--timeout=300s")
    with forwarded(nodes) as url:
        seed, authority = operator(nodes, tmp_path_factory.mktemp("operator"))
        yield Fleet(nodes, Source(url=url, seed=seed, ca=authority))
    assert run("uninstall", *BOTH, env=env).exit_code == 0


def test_pods_reach_pods_across_the_clusters(fleet: Fleet) -> None:
    snapshot = fleet.until_healthy()
    pods = {str(agent) for agent in snapshot.inventory.iter_agents() if agent.plane == "pod"}
    across = {
        (str(check.source), check.target.name)
        for check in snapshot.checks
        if check.source.cluster != check.target.name.partition("/")[0] and check.target.name in pods
    }
    assert (f"{PROD}/prod-1/pod", f"{STAGING}/staging-1/pod") in across
    assert (f"{STAGING}/staging-1/pod", f"{PROD}/prod-2/pod") in across


def test_a_cut_link_is_found_and_its_end_is_seen(fleet: Fleet) -> None:
    """The bus goes on: it has a way of its own, as agents do that reach it over the internet."""
    keep = (
        "add rule inet broken forward tcp dport 30000-32767 accept; "
        "add rule inet broken forward tcp sport 30000-32767 accept"
    )
    cut = "; ".join(
        f"add rule inet broken forward iifname {near} oifname {far} drop"
        for near, far in (("lan1", "lan2"), ("lan2", "lan1"))
    )
    fleet.until_healthy()
    with broken(fleet.clusters, "router", f"{FORWARD}; {keep}; {cut}"):
        found = fleet.until(lambda snapshot: bool(snapshot.findings)).findings
        assert [str(one.cause) for one in found] == ["tunnel-down"]
    fleet.until_healthy()


def test_a_rolling_restart_is_no_fault(fleet: Fleet) -> None:
    fleet.until_healthy()
    restart = ("-n", "netprobe", "rollout", "restart", "daemonset/netprobe-agent-pod")
    fleet.clusters.kubectl(PROD, *restart)
    status = ("-n", "netprobe", "rollout", "status", "daemonset/netprobe-agent-pod", "--timeout=300s")
    fleet.clusters.kubectl(PROD, *status)
    fleet.until_healthy(never="tunnel|overlay|node|policy|service|dns|path")


def test_an_api_server_that_restarts_is_no_fault(fleet: Fleet) -> None:
    fleet.until_healthy()
    fleet.clusters.stop_api(STAGING)
    fleet.until(lambda snapshot: any(cluster.away for cluster in snapshot.inventory.clusters), never=".")
    fleet.clusters.start_api(STAGING)
    fleet.until_healthy(never=".")
