"""``netprobe intent from-networkpolicies --context`` on a real API server, with the defaults it fills in.

shop/web 10.41.0.11      ops/report 10.41.0.21      edge/gate 10.41.7.5
shop/db  10.41.0.12      ops/idle   10.41.0.22
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster.client import Clusters
from tests.e2e.test_clusters import PROD, STAGING, node, run

pytestmark = pytest.mark.timeout(400)
SPACES = {"shop": {}, "ops": {"team": "ops"}, "edge": {}}
PODS = {
    "shop/web": ("10.41.0.11", {"http": 8080}),
    "shop/db": ("10.41.0.12", {"pg": 5432, "metrics": 9187}),
    "ops/report": ("10.41.0.21", {}),
    "ops/idle": ("10.41.0.22", {}),
    "edge/gate": ("10.41.7.5", {}),
}
EXPECTED = """\
allow  ops/idle, ops/report, shop/db, shop/web → edge/gate: tcp/8080 tcp/8090
       no policy applies
deny   edge/gate → ops/idle: tcp/8080 tcp/8090
       egress by edge/quiet
allow  ops/report, shop/db, shop/web → ops/idle: tcp/8080 tcp/8090
       no policy applies
deny   edge/gate → ops/report: tcp/8080 tcp/8090
       egress by edge/quiet
allow  ops/idle, shop/db, shop/web → ops/report: tcp/8080 tcp/8090
       no policy applies
deny   edge/gate → shop/db: tcp/5432 tcp/8080 tcp/8090 tcp/9187
       egress by edge/quiet
deny   ops/idle → shop/db: tcp/5432 tcp/8080 tcp/8090 tcp/9187
       ingress by shop/db-ports
deny   ops/report → shop/db: tcp/5432 tcp/8080 tcp/8090
       ingress by shop/db-ports
allow  ops/report → shop/db: tcp/9187
       ingress by shop/db-ports
allow  shop/web → shop/db: tcp/5432
       ingress by shop/db-ports
deny   shop/web → shop/db: tcp/8080 tcp/8090 tcp/9187
       ingress by shop/db-ports
deny   edge/gate → shop/web: tcp/8080 tcp/8090
       egress by edge/quiet
deny   ops/idle, ops/report → shop/web: tcp/8080 tcp/8090
       ingress by shop/web-block
allow  shop/db → shop/web: tcp/8080 tcp/8090
       ingress by shop/web-block
"""
"""By the policies below, worked out by hand. A range is asked at both ends, a named port by its number."""


def selector(**labels: str) -> dict[str, object]:
    return {"matchLabels": labels}


def policy(qualified: str, **spec: object) -> dict[str, object]:
    namespace, _, name = qualified.partition("/")
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


POLICIES = (
    # Named ports, and one peer of both selectors: a team's pods of one kind, not every pod of that kind.
    policy(
        "shop/db-ports",
        podSelector=selector(app="db"),
        ingress=[
            {"from": [{"podSelector": selector(app="web")}], "ports": [{"port": "pg"}]},
            {
                "from": [{"namespaceSelector": selector(team="ops"), "podSelector": selector(app="report")}],
                "ports": [{"port": "metrics"}],
            },
        ],
    ),
    # A block with a hole, in which the team stands; a range of ports.
    policy(
        "shop/web-block",
        podSelector=selector(app="web"),
        ingress=[
            {
                "from": [{"ipBlock": {"cidr": "10.41.0.0/16", "except": ["10.41.0.16/28"]}}],
                "ports": [{"port": 8080, "endPort": 8090}],
            }
        ],
    ),
    # Nothing leaves: a rule of egress that is not there.
    policy("edge/quiet", podSelector={}, policyTypes=["Egress"]),
)


def pod(qualified: str) -> dict[str, object]:
    """A made-up pod that runs."""
    namespace, _, name = qualified.partition("/")
    address, ports = PODS[qualified]
    container = {
        "name": "main", "image": "netprobe.test/nothing:1",
        "ports": [{"name": label, "containerPort": port} for label, port in ports.items()],
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"nodeName": "w1", "automountServiceAccountToken": False, "containers": [container]},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    }


def space(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": SPACES[name]}}


@pytest.fixture(scope="module")
def shop(clusters: Clusters) -> Iterator[Clusters]:
    clusters.apply(PROD, node("w1", "10.250.1.11"), *map(space, SPACES))
    try:
        clusters.apply(PROD, *map(pod, PODS), *POLICIES)
        yield clusters
    finally:
        for name in SPACES:
            clusters.end_namespace(PROD, name)
        clusters.kubectl(PROD, "delete", "node", "w1")


def derive(clusters: Clusters, *words: str | Path) -> tuple[int, str]:
    told = run("intent", "from-networkpolicies", *words, env={"KUBECONFIG": clusters.environment})
    assert told.exception is None, told.exception
    return told.exit_code, told.stdout


def test_the_verdicts_are_those_of_the_policies(shop: Clusters) -> None:
    assert derive(shop, "--context", PROD, "-o", "table") == (0, EXPECTED)


def test_the_intent_says_the_same_and_is_one_that_verify_reads(shop: Clusters, tmp_path: Path) -> None:
    _, written = derive(shop, "--context", PROD)
    path = tmp_path / "intent.yaml"
    path.write_text(written)
    checked = run("intent", "check", path)
    assert checked.exit_code == 0, checked.exception
    rules = [line for line in checked.output.splitlines() if not line.startswith(" ")]
    assert rules == [line for line in EXPECTED.splitlines() if not line.startswith(" ")]


def test_a_cluster_says_what_its_manifests_say(shop: Clusters, tmp_path: Path) -> None:
    kinds = "pods,namespaces,networkpolicies"
    path = tmp_path / "all.yaml"
    path.write_text(shop.kubectl(PROD, "get", kinds, "-A", "-o", "yaml"))
    assert derive(shop, "-f", path, "-o", "table") == (0, EXPECTED)


def test_another_cluster_has_none_of_them(shop: Clusters) -> None:
    told = run("intent", "from-networkpolicies", "--context", STAGING, env={"KUBECONFIG": shop.environment})
    assert str(told.exception).startswith(f"{STAGING}: no two pods with an IPv4 address and a port to ask")
