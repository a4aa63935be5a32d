"""Discovery on real API servers."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from netprobe.cli.main import cli
from tests.e2e.cluster.client import Clusters, why_not
from tests.e2e.cluster.leftovers import find_left_on_machine, pid_space_of_child

PROD, STAGING = "prod-us-west1-1", "staging-eu-central1-1"
AGENT = {"app.kubernetes.io/name": "netprobe-agent", "netprobe.io/plane": "pod"}


def run(*words: str | Path, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], env={"COLUMNS": "80", **(env or {})})


def node(
    name: str, address: str, *, ready: bool = True, extra: dict[str, str] | None = None
) -> dict[str, object]:
    """A made-up node, as a kubelet would register it."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "a", **(extra or {})},
        },
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def pod(name: str, on: str, address: str, labels: dict[str, str]) -> dict[str, object]:
    """A made-up pod that runs."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "netprobe", "labels": labels},
        "spec": {
            "nodeName": on,
            "automountServiceAccountToken": False,
            "containers": [{"name": "agent", "image": "netprobe-agent:test"}],
        },
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    }


@pytest.fixture(scope="module")
def fleet(clusters: Clusters, contexts: tuple[str, ...]) -> Iterator[Clusters]:
    """Two nodes, a virtual one, an agent, a labelled service and a policy in one cluster."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop", "namespace": "netprobe", "labels": {"netprobe.io/ask": "true"}},
        "spec": {"clusterIP": "10.91.0.77", "ports": [{"port": 80, "targetPort": 8080, "name": "http"}]},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "shop-1",
            "namespace": "netprobe",
            "labels": {"kubernetes.io/service-name": "shop"},
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["10.41.0.9"], "conditions": {"ready": True}},
            {"addresses": ["10.41.1.9"], "conditions": {"ready": False}},
        ],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed", "namespace": "netprobe"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    clusters.kubectl(PROD, "create", "namespace", "netprobe")
    clusters.apply(
        PROD,
        node("w1", "10.250.1.11"),
        node("w2", "10.250.1.12", ready=False),
        node("liqo-far", "10.250.1.99", extra={"liqo.io/type": "virtual-node"}),
        pod("agent-w1", "w1", "10.41.0.5", AGENT),
        pod("other-w1", "w1", "10.41.0.6", {"app": "other"}),
        service,
        endpoints,
        policy,
    )
    yield clusters
    clusters.end_namespace(PROD)
    clusters.kubectl(PROD, "delete", "node", "w1", "w2", "liqo-far")


def ask(clusters: Clusters, *words: str) -> dict[str, dict[str, object]]:
    told = run("clusters", *words, "-o", "json", env={"KUBECONFIG": clusters.environment})
    return {found["name"]: found for found in json.loads(told.output)["clusters"]}


def test_every_context_is_read(contexts: tuple[str, ...]) -> None:
    words = [word for name in contexts for word in ("--context", name)]
    result = run("clusters", *words, "-o", "json")
    found = json.loads(result.output)["clusters"]
    assert result.exit_code == 0
    assert [entry["context"] for entry in found] == list(contexts)
    assert all(entry["identity"] and entry["kubernetes"].startswith("v1.") for entry in found)
    assert len({entry["identity"] for entry in found}) == len(contexts)


def test_nodes_agents_services_and_policies_are_seen(fleet: Clusters) -> None:
    found = ask(fleet, "--context", PROD)[PROD]
    nodes = {entry["name"]: entry for entry in found["nodes"]}  # type: ignore[attr-defined]
    assert (sorted(set(nodes) & {"w1", "w2", "liqo-far"}), found["virtual_nodes"]) == (["w1", "w2"], 1)
    assert (nodes["w1"]["host_addresses"], nodes["w1"]["pod_addresses"]) == (["10.250.1.11"], ["10.41.0.5"])
    assert (nodes["w1"]["ready"], nodes["w1"]["zone"]) == (True, "a")
    assert found["agents"] == [f"{PROD}/w1/pod"]
    assert found["network_policies"] == ["netprobe/closed"]
    assert found["service_cidrs"] == ["10.91.0.0/16"]
    shop = {"name": "netprobe/shop", "addresses": ["10.91.0.77"], "port": 80, "endpoints": ["10.41.0.9"]}
    assert shop in found["services"]  # type: ignore[operator]


def resource(group: str, kind: dict[str, str], *, version: str, scope: str) -> dict[str, object]:
    """A definition of a kind that keeps whatever it is given."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [{"name": version, "served": True, "storage": True, "schema": schema}]
    annotations = {"api-approved.kubernetes.io": "unapproved, for a test"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind['plural']}.{group}", "annotations": annotations},
        "spec": {"group": group, "names": kind, "scope": scope, "versions": versions},
    }


@contextmanager
def served(clusters: Clusters, where: str, definition: dict[str, object]) -> Iterator[None]:
    """Let a cluster know a kind for as long as this lasts."""
    name = f"crd/{definition['metadata']['name']}"  # type: ignore[index]
    clusters.apply(where, definition)
    try:
        clusters.kubectl(where, "wait", "--for=condition=Established", name, "--timeout=30s")
        yield
    finally:
        clusters.kubectl(where, "delete", name)


def test_the_identity_that_a_cluster_was_given_stands_before_its_uid(clusters: Clusters) -> None:
    """ClusterProperty of the About API (KEP-2149); without it, the UID of ``kube-system``."""
    by_itself = ask(clusters, "--context", PROD)[PROD]["identity"]
    uid = clusters.kubectl(PROD, "get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    kind = {"plural": "clusterproperties", "singular": "clusterproperty", "kind": "ClusterProperty"}
    given = {
        "apiVersion": "about.k8s.io/v1beta1",
        "kind": "ClusterProperty",
        "metadata": {"name": "cluster.clusterset.k8s.io"},
        "spec": {"value": "prod-of-the-set"},
    }
    with served(clusters, PROD, resource("about.k8s.io", kind, version="v1beta1", scope="Cluster")):
        without_property = ask(clusters, "--context", PROD)[PROD]["identity"]
        clusters.apply(PROD, given)
        named = ask(clusters, "--context", PROD)[PROD]["identity"]
    assert (by_itself, without_property, named) == (uid, uid, "prod-of-the-set")


def test_a_fabric_is_seen_by_its_api_group(fleet: Clusters) -> None:
    kind = {"plural": "gateways", "singular": "gateway", "kind": "Gateway"}
    definition = resource("submariner.io", kind, version="v1", scope="Namespaced")
    with served(fleet, STAGING, definition):
        found = ask(fleet, "--all-contexts")
    assert (found[STAGING]["fabrics"], found[PROD]["fabrics"]) == (["Submariner"], [])


def _with_token(clusters: Clusters, at: Path, token: str) -> Path:
    config = json.loads(clusters.kubeconfigs[STAGING].read_text())
    config["users"][0]["user"] = {"token": token}
    at.write_text(json.dumps(config))
    return at


def test_a_token_that_is_not_accepted_is_one_clear_line(clusters: Clusters, tmp_path: Path) -> None:
    path = _with_token(clusters, tmp_path / "config", "expired")
    entry = json.loads(run("clusters", "--kubeconfig", path, "-o", "json").output)["clusters"][0]
    told = "the server does not accept the credentials (expired or revoked?): sign in again"
    assert entry["error"] == f"context '{STAGING}' of {path}: {told}"


def test_what_may_not_be_listed_is_named_and_the_rest_is_shown(clusters: Clusters, tmp_path: Path) -> None:
    clusters.kubectl(STAGING, "create", "clusterrole", "few", "--verb=list", "--resource=nodes,namespaces")
    clusters.kubectl(STAGING, "create", "clusterrolebinding", "few", "--clusterrole=few",
                     "--serviceaccount=default:default")  # fmt: skip
    token = clusters.kubectl(STAGING, "create", "token", "default").strip()
    path = _with_token(clusters, tmp_path / "config", token)
    result = run("clusters", "--kubeconfig", path, "-o", "json")
    clusters.kubectl(STAGING, "delete", "clusterrolebinding,clusterrole", "few")
    entry = json.loads(result.output)["clusters"][0]
    assert result.exit_code == 0
    assert entry["unread"] == ["pods", "services", "endpointslices", "networkpolicies", "servicecidrs"]
    assert entry["identity"]


def test_nothing_remains_when_who_asked_is_killed(tmp_path: Path) -> None:
    """Holder and all its children share a PID namespace; the kernel ends them with it."""
    if reason := why_not():
        pytest.skip(reason)
    script = (
        "import sys, time; from pathlib import Path; "
        "from tests.e2e.cluster.client import Clusters; found = Clusters(Path(sys.argv[1]));"
        "print(found.pid, flush=True); time.sleep(600)"
    )
    asker = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert asker.stdout is not None
    holder = int(asker.stdout.readline())
    watched = os.pidfd_open(holder)
    space = pid_space_of_child(holder)
    asker.send_signal(signal.SIGKILL)
    asker.wait()
    asker.stdout.close()
    assert _ended(watched)
    os.close(watched)
    assert find_left_on_machine(holder, space) == []


def _ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], 30)[0])
