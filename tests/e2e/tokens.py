"""Real ServiceAccount tokens: real accounts, nodes and pods in a real API server, and its TokenRequest."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.e2e.cluster.client import Clusters
from tests.e2e.test_clusters import node

NAMESPACE = "netprobe"


@dataclass(frozen=True, slots=True)
class MadePod:
    """A pod that exists in the API only."""

    context: str
    name: str
    uid: str
    account: str
    namespace: str = NAMESPACE


def make_namespace(clusters: Clusters, context: str, namespace: str = NAMESPACE) -> None:
    """The namespace with the accounts of both planes; there may be one, or one that is just ending."""
    found = clusters.kubectl(context, "get", "namespace", namespace, "--ignore-not-found", "-o", "json")
    if found and json.loads(found)["status"]["phase"] == "Terminating":
        clusters.end_namespace(context, namespace)
    clusters.apply(context, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for name in ("netprobe-agent-pod", "netprobe-agent-host", "other"):
        meta = {"name": name, "namespace": namespace}
        clusters.apply(context, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})


def make_pod(
    clusters: Clusters,
    context: str,
    on: str,
    *,
    name: str,
    address: str,
    account: str = "netprobe-agent-pod",
    namespace: str = NAMESPACE,
    running: bool = True,
) -> MadePod:
    """A node and an agent's pod on it, as kubelet and DaemonSet would have made them."""
    clusters.apply(context, node(on, f"10.250.77.{len(on) + ord(on[-1]) % 100}"))
    plane = "host" if account.endswith("host") else "pod"
    clusters.apply(
        context,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/name": "netprobe-agent", "netprobe.io/plane": plane},
            },
            "spec": {
                "nodeName": on,
                "serviceAccountName": account,
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "agent", "image": "netprobe-agent:test"}],
            },
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]} if running else {},
        },
    )
    found = json.loads(clusters.kubectl(context, "get", "pod", name, "-n", namespace, "-o", "json"))
    return MadePod(context, name, found["metadata"]["uid"], account, namespace)


def make_token(
    clusters: Clusters, pod: MadePod, *, audience: str = "netprobe", account: str = "", bound: bool = True
) -> str:
    """What the kubelet would project into *pod*."""
    words = ["create", "token", account or pod.account, "-n", pod.namespace, f"--audience={audience}"]
    if bound:
        words += [
            "--bound-object-kind=Pod",
            f"--bound-object-name={pod.name}",
            f"--bound-object-uid={pod.uid}",
        ]
    return clusters.kubectl(pod.context, *words, "--duration=600s").strip()
