"""Real nodes: kubelets that run pods, whose network joins both clusters."""

from __future__ import annotations

import json

from tests.e2e.cluster.client import Clusters
from tests.e2e.test_clusters import PROD, STAGING, ask

NODES = {PROD: ["prod-1", "prod-2"], STAGING: ["staging-1"]}


def test_every_node_is_ready_and_seen_with_its_range_of_pods(nodes: Clusters) -> None:
    found = ask(nodes, "--all-contexts")
    for context, names in NODES.items():
        real = [entry for entry in found[context]["nodes"] if entry["name"] in names]  # type: ignore[attr-defined]
        assert [entry["name"] for entry in real] == names
        assert all(entry["ready"] and entry["pod_cidrs"] for entry in real)


def test_dns_of_each_cluster_answers_its_nodes(nodes: Clusters) -> None:
    """A real answer of CoreDNS through the service address that kube-proxy makes."""
    for context, first in ((PROD, "prod-1"), (STAGING, "staging-1")):
        service = json.loads(
            nodes.kubectl(context, "get", "service", "kubernetes", "-n", "default", "-o", "json")
        )
        dns = json.loads(
            nodes.kubectl(context, "get", "service", "kube-dns", "-n", "kube-system", "-o", "json")
        )
        told = nodes.at(
            first, "busybox", "nslookup", "kubernetes.default.svc.cluster.local", dns["spec"]["clusterIP"]
        )
        assert service["spec"]["clusterIP"] in told
