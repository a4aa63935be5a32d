"""``netprobe verify --context``: agents visit two real clusters, see what is broken, and leave nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.cluster.client import Clusters
from tests.e2e.test_clusters import PROD, STAGING
from tests.e2e.visits import BOTH, PATIENCE_S, interrupt, namespaces, start

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def staffed(nodes: Clusters, agent_image: str) -> Clusters:
    """Clusters whose nodes have the agents' image."""
    nodes.tell("import", agent_image)
    return nodes


def visit(clusters: Clusters, *words: str) -> tuple[int, dict[str, object], str]:
    """Visit both clusters; the exit code, the report, and what was said meanwhile."""
    process = start(clusters, *BOTH, "-o", "json", *words)
    told, said = process.communicate(timeout=PATIENCE_S)
    print(said)
    return process.returncode, json.loads(told) if told else {}, said


def causes(report: dict[str, object]) -> list[str]:
    return [found["cause"] for found in report["findings"]]  # type: ignore[attr-defined]


def parts(report: dict[str, object]) -> list[str]:
    return [part for found in report["findings"] for part in found["components"]]  # type: ignore[attr-defined]


@contextmanager
def broken(clusters: Clusters, where: str, rules: str) -> Iterator[None]:
    """The network of a node or of the router with these nftables rules in a table of their own."""
    clusters.at(where, "nft", f"add table inet broken; {rules}")
    try:
        yield
    finally:
        clusters.at(where, "nft", "delete table inet broken")


FORWARD = "add chain inet broken forward { type filter hook forward priority 0; }"


def drop(*pairs: tuple[str, str]) -> str:
    return "; ".join(f"add rule inet broken forward iifname {near} oifname {far} drop" for near, far in pairs)


def test_healthy_clusters_are_told_healthy_and_nothing_is_left(staffed: Clusters) -> None:
    code, report, said = visit(staffed)
    assert (code, causes(report)) == (0, []), said
    assert namespaces(staffed) == []


def test_a_cut_link_between_the_clusters_is_named(staffed: Clusters) -> None:
    with broken(staffed, "router", f"{FORWARD}; {drop(('lan1', 'lan2'), ('lan2', 'lan1'))}"):
        code, report, said = visit(staffed)
    assert (code, causes(report)) == (1, ["tunnel-down"]), said
    assert namespaces(staffed) == []


def test_one_blocked_direction_is_named(staffed: Clusters) -> None:
    with broken(staffed, "router", f"{FORWARD}; {drop(('lan1', 'lan2'))}"):
        code, report, said = visit(staffed)
    assert (code, causes(report)) == (1, ["return-path-dropped"]), said
    assert parts(report) == [f"tunnel({PROD}→{STAGING})"]


@contextmanager
def stale_proxy(clusters: Clusters, node: str) -> Iterator[None]:
    """A kube-proxy of PROD that stands still, and whose rules are gone."""
    clusters.tell("signal", node, "kube-proxy", "STOP")
    clusters.at(node, "nft", "delete table ip kube-proxy")
    try:
        yield
    finally:
        clusters.tell("signal", node, "kube-proxy", "CONT")
        # It finds its rules gone when it next has to change them, and makes all of them again.
        nudge = ("service", "nodeport", "nudge", "--tcp=80")
        clusters.kubectl(PROD, "create", *nudge)
        clusters.kubectl(PROD, "delete", "service", "nudge")


@contextmanager
def without_dns(clusters: Clusters) -> Iterator[None]:
    """PROD without a DNS server that answers."""
    clusters.kubectl(PROD, "scale", "-n", "kube-system", "deployment/coredns", "--replicas=0")
    try:
        yield
    finally:
        clusters.kubectl(PROD, "scale", "-n", "kube-system", "deployment/coredns", "--replicas=1")
        wait = ("rollout", "status", "-n", "kube-system", "deployment/coredns", "--timeout=300s")
        clusters.kubectl(PROD, *wait)


def closed_ports(ports: str, *, address: str) -> str:
    """Rules of a node with *address* that drops what is for *ports*, also what it sends itself."""
    return (
        "add chain inet broken early { type filter hook prerouting priority -150; }; "
        "add chain inet broken local { type filter hook output priority -150; }; "
        f"add rule inet broken early ip daddr {address} tcp dport {ports} drop; "
        f"add rule inet broken local ip daddr {address} tcp dport {ports} drop"
    )


def test_a_dropped_node_port_is_named_with_its_node(staffed: Clusters) -> None:
    with broken(staffed, "prod-1", closed_ports("30000-32767", address="10.250.1.11")):
        code, report, said = visit(staffed)
    assert (code, causes(report)) == (1, ["policy-drop"]), said
    assert [part.partition("tcp/")[0] for part in parts(report)] == [f"firewall-rule({PROD}/prod-1 "]


def test_a_cluster_without_dns_is_named(staffed: Clusters) -> None:
    with without_dns(staffed):
        code, report, said = visit(staffed)
    assert (code, causes(report)) == (1, ["dns-down"]), said
    assert parts(report) == [f"dns({PROD})"]


def test_a_stale_service_proxy_is_named_with_its_node(staffed: Clusters) -> None:
    with stale_proxy(staffed, "prod-2"):
        code, report, said = visit(staffed)
    # What it does for names may be told apart from what it does for services; both are its own.
    assert (code, set(causes(report))) == (1, {"service-proxy-stale"}), said
    assert f"service-proxy({PROD}/prod-2)" in parts(report)
    assert {part.rstrip(")").removesuffix(" dns") for part in parts(report)} == {
        f"service-proxy({PROD}/prod-2"
    }


def test_what_is_interrupted_leaves_nothing(staffed: Clusters) -> None:
    code, said = interrupt(staffed, "--rounds", "1000")
    assert code != 0, said
    assert namespaces(staffed) == []


def test_an_image_that_cannot_be_pulled_is_one_clear_line(staffed: Clusters) -> None:
    process = start(staffed, "--context", STAGING, "--image", "netprobe.test/nowhere:1", "--patience", "60")
    told, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, told) == (2, "")
    last = said.splitlines()[-1]
    assert "no agent started" in last, said
    assert "netprobe.test/nowhere:1" in last
    assert namespaces(staffed) == []
