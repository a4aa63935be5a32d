"""What every cluster has besides its control plane: CoreDNS, as kubeadm sets it up."""

from __future__ import annotations

from typing import Any

from tests.e2e.cluster.images import COREDNS
from tests.e2e.cluster.network import Layout

_COREFILE = """.:53 {
    errors
    health {
        lameduck 1s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    cache 5
    loadbalance
}
"""
_LABELS = {"k8s-app": "kube-dns"}


def addons(layout: Layout) -> dict[str, Any]:
    """A list of objects to apply."""
    items = [*_rights(), _config(), _deployment(layout), _service(layout)]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _object(version: str, kind: str, name: str, *, spaced: bool = True, **rest: object) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": _LABELS}
    if spaced:
        metadata["namespace"] = "kube-system"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _rights() -> list[dict[str, Any]]:
    rbac = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"],
         "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]  # fmt: skip
    return [
        _object("v1", "ServiceAccount", "coredns"),
        _object(f"{rbac}/v1", "ClusterRole", "system:coredns", spaced=False, rules=rules),
        _object(
            f"{rbac}/v1", "ClusterRoleBinding", "system:coredns", spaced=False,
            roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": "system:coredns"},
            subjects=[{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}],
        ),
    ]  # fmt: skip


def _config() -> dict[str, Any]:
    return _object("v1", "ConfigMap", "coredns", data={"Corefile": _COREFILE})


def _deployment(layout: Layout) -> dict[str, Any]:
    container = {
        "name": "coredns",
        "image": COREDNS,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
    }
    spec = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        # Always the same one, so that a test that breaks another node knows what it breaks.
        "nodeSelector": {"kubernetes.io/hostname": layout.node_names[0]},
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    template = {"metadata": {"labels": _LABELS}, "spec": spec}
    return _object(
        "apps/v1", "Deployment", "coredns",
        spec={"replicas": 1, "selector": {"matchLabels": _LABELS}, "template": template},
    )  # fmt: skip


def _service(layout: Layout) -> dict[str, Any]:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    return _object(
        "v1", "Service", "kube-dns", spec={"clusterIP": layout.dns, "selector": _LABELS, "ports": ports}
    )
