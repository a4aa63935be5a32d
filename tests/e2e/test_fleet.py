"""``netprobe install`` on real nodes: pods with real tokens report to a collector in a pod, day and night."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from netprobe.lab.fault_drill import describe_unhealthy
from netprobe.model.finding import Cause, Finding
from netprobe.model.snapshot import Snapshot
from tests.e2e.cluster.client import Clusters
from tests.e2e.cluster.figures import tell
from tests.e2e.cluster.node_images import AGENT, COLLECTOR, archive_of
from tests.e2e.installed_fleet import InstalledFleet, install_fleet
from tests.e2e.test_clusters import PROD, STAGING
from tests.e2e.test_visit import FORWARD, broken, closed_ports, drop, stale_proxy, without_dns
from tests.patience import wait_until

pytestmark = pytest.mark.timeout(1800)
DRAIN = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=180s")


@pytest.fixture(scope="module")
def fleet(
    nodes: Clusters, agent_image: str, collector_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InstalledFleet]:
    folder = tmp_path_factory.mktemp("operator")
    with install_fleet(nodes, (agent_image, collector_image), folder, collector=("--flat",)) as installed:
        yield installed


def parts(found: tuple[Finding, ...]) -> set[str]:
    return {str(part) for one in found for part in one.components}


@pytest.fixture
def node_port(fleet: InstalledFleet) -> Iterator[int]:
    """A port of every node of PROD that leads to agents, and may be asked."""
    port = {"port": 9771, "protocol": "TCP", "appProtocol": "http"}
    selector = {"app.kubernetes.io/name": "netprobe-agent", "netprobe.io/plane": "pod"}
    meta = {"name": "shop", "namespace": "netprobe", "labels": {"netprobe.io/ask": "true"}}
    spec = {"type": "NodePort", "selector": selector, "ports": [port]}
    fleet.clusters.apply(PROD, {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
    told = fleet.clusters.kubectl(PROD, "-n", "netprobe", "get", "service", "shop", "-o", "json")
    fleet.until(lambda now: f"{PROD}/netprobe/shop-at-prod-1" in {check.target.name for check in now.checks})
    yield json.loads(told)["spec"]["ports"][0]["nodePort"]
    fleet.clusters.kubectl(PROD, "-n", "netprobe", "delete", "service", "shop")


def test_pods_reach_pods_across_the_clusters(fleet: InstalledFleet) -> None:
    snapshot = fleet.until_healthy()
    pods = {str(agent) for agent in snapshot.inventory.iter_agents() if agent.plane == "pod"}
    across = {
        (str(check.source), check.target.name)
        for check in snapshot.checks
        if check.source.cluster != check.target.name.partition("/")[0] and check.target.name in pods
    }
    assert (f"{PROD}/prod-1/pod", f"{STAGING}/staging-1/pod") in across
    assert (f"{STAGING}/staging-1/pod", f"{PROD}/prod-2/pod") in across


def test_images_are_small_and_their_start_is_told(fleet: InstalledFleet) -> None:
    images: dict[str, int] = {}

    def are_listed() -> bool:
        """Kubelets list an image some time after its import."""
        images.update(entry for node in items(fleet, "node") for entry in sizes(node))
        return {AGENT.name, COLLECTOR.name} <= images.keys()

    wait_until("the nodes list both images", are_listed, every_s=1)
    for image in (AGENT, COLLECTOR):
        pods = [
            pod
            for pod in items(fleet, "pod", "-n", "netprobe")
            if pod["spec"]["containers"][0]["image"] == image.name and is_running(pod)
        ]
        assert pods
        tell(
            f"{image.name}: {archive_of(image).stat().st_size / 2**20:.0f} MiB as an archive, "
            f"{images[image.name] / 2**20:.0f} MiB on a node; from scheduled to started "
            f"{longest(pods, since_scheduled)} s, to ready {longest(pods, until_ready)} s, at most"
        )
    assert images[AGENT.name] < images[COLLECTOR.name] < 2**29


def items(fleet: InstalledFleet, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(fleet.clusters.kubectl(PROD, "get", *words, "-o", "json"))[
        "items"
    ]
    return found


def sizes(node: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Images that a node has, by each of their names."""
    for image in node["status"]["images"]:
        yield from ((name, image["sizeBytes"]) for name in image["names"])


def longest(pods: list[dict[str, Any]], took: Callable[[dict[str, Any]], float]) -> float:
    return max(map(took, pods))


def since_scheduled(pod: dict[str, Any]) -> float:
    """Seconds until the container's program was started."""
    return moment(running(pod)["startedAt"]) - moment(condition(pod, "PodScheduled"))


def until_ready(pod: dict[str, Any]) -> float:
    """Seconds until the pod was ready."""
    return moment(condition(pod, "Ready")) - moment(condition(pod, "PodScheduled"))


def is_running(pod: dict[str, Any]) -> bool:
    """Whether its container runs; one that a rollout replaces may be listed still."""
    return any("running" in status["state"] for status in pod["status"].get("containerStatuses", ()))


def running(pod: dict[str, Any]) -> dict[str, str]:
    state: dict[str, str] = pod["status"]["containerStatuses"][0]["state"]["running"]
    return state


def condition(pod: dict[str, Any], name: str) -> str:
    (found,) = (one for one in pod["status"]["conditions"] if one["type"] == name)
    return str(found["lastTransitionTime"])


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def outside_the_bus(*pairs: tuple[str, str]) -> str:
    """Rules of the router that drop what goes from one segment to another, but for the bus.

    It has a way of its own, as agents do that reach it over the internet.
    """
    keep = "; ".join(
        f"add rule inet broken forward tcp {end} 30000-32767 accept" for end in ("dport", "sport")
    )
    return f"{FORWARD}; {keep}; {drop(*pairs)}"


def test_a_cut_link_is_found_and_its_end_is_seen(fleet: InstalledFleet) -> None:
    rules = outside_the_bus(("lan1", "lan2"), ("lan2", "lan1"))
    found = fleet.finds(Cause.TUNNEL_DOWN, broken(fleet.clusters, "router", rules))
    assert [str(one.cause) for one in found] == ["tunnel-down"]


def test_a_direction_that_is_blocked_is_found_and_its_end_is_seen(fleet: InstalledFleet) -> None:
    rules = outside_the_bus(("lan1", "lan2"))
    found = fleet.finds(Cause.RETURN_PATH_DROPPED, broken(fleet.clusters, "router", rules))
    assert parts(found) == {f"tunnel({PROD}→{STAGING})"}


def test_a_stale_service_proxy_is_found_and_its_end_is_seen(fleet: InstalledFleet) -> None:
    found = fleet.finds(Cause.SERVICE_PROXY_STALE, stale_proxy(fleet.clusters, "prod-2"))
    assert parts(found) <= {f"service-proxy({PROD}/prod-2)", f"service-proxy({PROD}/prod-2 dns)"}


def test_agents_that_start_where_the_proxy_is_stale_are_missed(fleet: InstalledFleet) -> None:
    """No agent measures from there any more: what is found names the node and claims no more than that."""
    fleet.until_healthy()
    began_ns = time.time_ns()
    with stale_proxy(fleet.clusters, "prod-2"):
        on_it = ("--field-selector=spec.nodeName=prod-2", "-l", "app.kubernetes.io/name=netprobe-agent")
        fleet.clusters.kubectl(PROD, "-n", "netprobe", "delete", "pod", *on_it, "--grace-period=1")
        snapshot = fleet.until(lambda now: any(one.cause is Cause.AGENT_CUT_OFF for one in now.findings))
    (finding,) = (one for one in snapshot.findings if one.cause is Cause.AGENT_CUT_OFF)
    tell(f"{finding.summary}: found {(finding.first_seen_ns - began_ns) / 1e9:.0f} s after the break")
    assert parts((finding,)) == {f"bus-way({PROD}/prod-2)"}
    assert "have never come to the bus, while other agents of its cluster do" in str(finding.summary)
    told = [str(evidence.text) for evidence in finding.evidence_for]
    assert any("are answered: node and pod are reachable" in text for text in told), told
    assert any("fail their readiness probe" in text for text in told), told
    fleet.until_healthy()


def test_a_node_port_that_is_dropped_is_found_and_its_end_is_seen(
    fleet: InstalledFleet, node_port: int
) -> None:
    rules = closed_ports(str(node_port), address="10.250.1.11")
    found = fleet.finds(Cause.POLICY_DROP, broken(fleet.clusters, "prod-1", rules))
    assert parts(found) == {f"firewall-rule({PROD}/prod-1 tcp/{node_port})"}


def test_a_cluster_without_dns_is_found_and_its_end_is_seen(fleet: InstalledFleet) -> None:
    found = fleet.finds(Cause.DNS_DOWN, without_dns(fleet.clusters))
    assert f"dns({PROD})" in parts(found)


def test_a_rolling_restart_is_no_fault(fleet: InstalledFleet) -> None:
    fleet.until_healthy()
    restart = ("-n", "netprobe", "rollout", "restart", "daemonset/netprobe-agent-pod")
    fleet.clusters.kubectl(PROD, *restart)
    status = ("-n", "netprobe", "rollout", "status", "daemonset/netprobe-agent-pod", "--timeout=300s")
    fleet.clusters.kubectl(PROD, *status)
    fleet.until_healthy(never="tunnel|overlay|node|policy|service|dns|path")


def test_an_api_server_that_restarts_is_no_fault(fleet: InstalledFleet) -> None:
    fleet.until_healthy()
    fleet.clusters.stop_api(STAGING)
    fleet.until(lambda snapshot: any(cluster.away for cluster in snapshot.inventory.clusters), never=".")
    fleet.clusters.start_api(STAGING)
    fleet.until_healthy(never=".")


def test_a_node_that_is_drained_is_no_fault(fleet: InstalledFleet) -> None:
    before = fleet.until_healthy()
    fleet.clusters.kubectl(PROD, "drain", "prod-2", *DRAIN)
    try:
        later = before.taken_ns + 5 * before.interval_ns
        fleet.until(
            lambda snapshot: snapshot.taken_ns > later and not describe_unhealthy(snapshot), never="."
        )
    finally:
        fleet.clusters.kubectl(PROD, "uncordon", "prod-2")


def test_the_paths_of_a_deleted_node_disappear_without_a_finding(fleet: InstalledFleet) -> None:
    assert f"{PROD}/prod-2" in ends(fleet.until_healthy())
    fleet.clusters.kubectl(PROD, "drain", "prod-2", *DRAIN)
    fleet.clusters.kubectl(PROD, "delete", "node", "prod-2")
    try:
        fleet.until(lambda snapshot: f"{PROD}/prod-2" not in ends(snapshot), never=".")
        fleet.clusters.stop_node("prod-2")
        fleet.until_healthy(never=".")
    finally:
        fleet.clusters.start_node("prod-2")
    fleet.until(
        lambda snapshot: f"{PROD}/prod-2" in ends(snapshot) and not describe_unhealthy(snapshot), never="."
    )


def ends(snapshot: Snapshot) -> set[str]:
    """Nodes that are known, that ask or are asked, and those of the agents."""
    known = {str(cluster.node_id(node)) for cluster in snapshot.inventory.clusters for node in cluster.nodes}
    asked = {check.target.name.rpartition("/")[0] for check in snapshot.checks}
    asking = {str(check.source.node_id) for check in snapshot.checks}
    return known | asked | asking | {str(status.agent.node_id) for status in snapshot.agents}
