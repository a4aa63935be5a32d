"""What a visit makes in a cluster: one namespace, agents of both planes, and services to ask.

Rules: see ``deploy.visit.lifecycle``. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.discovery.k8s.services import ASK_LABEL
from netprobe.model.names import Plane

CONTAINER = "agent"
LASTS_S = 3_600
"""How long an agent waits for a command before it restarts."""
VISIT_LABEL = "netprobe.io/visit"


def namespace_object(name: str) -> dict[str, Any]:
    """The namespace, marked as that of a visit."""
    labels = {VISIT_LABEL: "true", "pod-security.kubernetes.io/enforce": "privileged"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _labels(plane: Plane) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "netprobe-agent",
        "app.kubernetes.io/part-of": "netprobe",
        "app.kubernetes.io/managed-by": "netprobe-verify",
        "netprobe.io/plane": str(plane),
    }


def daemon_set(plane: Plane, image: str, port: int) -> dict[str, Any]:
    """The agents of one plane."""
    labels = _labels(plane)
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": f"netprobe-{plane}", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"rollingUpdate": {"maxUnavailable": "100%"}},
            "template": {"metadata": {"labels": labels}, "spec": _pod_spec(plane, image, port)},
        },
    }


def _pod_spec(plane: Plane, image: str, port: int) -> dict[str, Any]:
    on_host = plane is Plane.HOST
    capabilities: dict[str, Any] = {"drop": ["ALL"]} | ({"add": ["NET_RAW"]} if on_host else {})
    container = {
        "name": CONTAINER,
        "image": image,
        "args": ["wait", "--seconds", str(LASTS_S)],
        "ports": [{"name": "agent", "containerPort": port, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": capabilities,
        },
    }
    security: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
    if on_host:
        security |= {"runAsUser": 0}
    else:
        security |= {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532}
        security["sysctls"] = [{"name": "net.ipv4.ping_group_range", "value": "0 2147483647"}]
    return {
        "hostNetwork": on_host,
        "dnsPolicy": "ClusterFirstWithHostNet" if on_host else "ClusterFirst",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}],
        "affinity": ON_LINUX_MACHINES,
        "securityContext": security,
        "containers": [container],
    }


ON_LINUX_MACHINES = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {
                    "matchExpressions": [
                        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
                        {"key": "liqo.io/type", "operator": "DoesNotExist"},
                        {"key": "type", "operator": "NotIn", "values": ["virtual-kubelet", "kwok"]},
                        {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]},
                    ]
                }
            ]
        }
    }
}
"""A virtual node runs its pods elsewhere or not at all; Windows runs no agent. The manifests say the same."""

SERVICES: Mapping[str, Mapping[str, Any]] = {
    "probe": {},
    "probe-headless": {"clusterIP": "None"},
    "probe-node-port": {"type": "NodePort"},
}
"""What is asked of the service proxy: a cluster address, a headless service, a port of every node."""


def service_object(name: str, port: int, more: Mapping[str, Any]) -> dict[str, Any]:
    """A service of the pod plane's agents; *more* is one of :data:`SERVICES`."""
    ports = [{"name": "agent", "port": port, "targetPort": port, "protocol": "TCP", "appProtocol": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {ASK_LABEL: "true"}},
        "spec": {"selector": _labels(Plane.POD), "ports": ports, **more},
    }
