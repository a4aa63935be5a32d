"""A visit to a cluster: short-lived agents in a namespace of their own, which takes everything away with it.

Rules. Everything of a visit stands in one namespace, so that deleting it leaves nothing behind; no rights are
granted in the cluster. Agents of the pod plane run by the restricted profile and ask with unprivileged ICMP
sockets; those of the host plane may send raw packets and nothing else. Where an agent does not come up, the
visit goes on without it and says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from netprobe.discovery.api import ApiRefusedError, ClusterApi
from netprobe.discovery.execute import Place
from netprobe.discovery.objects import Meta
from netprobe.discovery.services import ASK_LABEL
from netprobe.errors import SurroundingsError
from netprobe.model.names import Plane

CONTAINER = "agent"
LASTS_S = 3_600
"""So long an agent waits to be asked before it starts anew."""
VISIT_LABEL = "netprobe.io/visit"
_POLL_S = 0.5
_HOPELESS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName",
     "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"}
)  # fmt: skip


class _Waiting(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""


class _State(msgspec.Struct, frozen=True):
    waiting: _Waiting | None = None


class _ContainerStatus(msgspec.Struct, frozen=True):
    ready: bool = False
    state: _State = _State()


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    container_statuses: tuple[_ContainerStatus, ...] = ()
    message: str = ""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""


class VisitPod(msgspec.Struct, frozen=True):
    """An agent's pod, as far as a visit looks at it."""

    metadata: Meta
    spec: _Spec = _Spec()
    status: _Status = _Status()

    @property
    def is_up(self) -> bool:
        """Whether its program runs."""
        statuses = self.status.container_statuses
        return self.status.phase == "Running" and bool(statuses) and all(one.ready for one in statuses)

    @property
    def why_not(self) -> str:
        """Why it will not come up by waiting; empty where it may."""
        for one in self.status.container_statuses:
            if one.state.waiting and one.state.waiting.reason in _HOPELESS:
                return f"{one.state.waiting.reason}: {one.state.waiting.message}".strip(": ")
        return self.status.message if self.status.phase == "Failed" else ""


class _DaemonStatus(msgspec.Struct, frozen=True, rename="camel"):
    desired_number_scheduled: int = 0
    observed_generation: int = 0


class _DaemonSet(msgspec.Struct, frozen=True):
    metadata: Meta
    status: _DaemonStatus = _DaemonStatus()


class _Ports(msgspec.Struct, frozen=True, rename="camel"):
    node_port: int = 0


class _ServiceSpec(msgspec.Struct, frozen=True):
    ports: tuple[_Ports, ...] = ()


class _Service(msgspec.Struct, frozen=True):
    metadata: Meta
    spec: _ServiceSpec = _ServiceSpec()


@dataclass(frozen=True, slots=True)
class Visit:
    """Agents that run in one cluster."""

    api: ClusterApi
    namespace: str
    pods: tuple[VisitPod, ...]
    node_port: int
    missing: tuple[str, ...]
    """What did not come up, one line each."""

    def place(self, pod: VisitPod) -> Place:
        """Where to run a program in one of its pods."""
        return Place(self.namespace, pod.metadata.name, CONTAINER)


async def arrive(api: ClusterApi, *, namespace: str, image: str, port: int, patience_s: float) -> Visit:
    """Start an agent per node and plane and wait until all run, or *patience_s* are over.

    Raises :class:`SurroundingsError` where none comes up. The caller ends the visit with :func:`leave`,
    whatever happens here.
    """
    await api.create("/api/v1/namespaces", _namespace(namespace), _DaemonSet)
    base = f"/apis/apps/v1/namespaces/{namespace}/daemonsets"
    for plane in Plane:
        await api.create(base, _daemon_set(plane, image, port), _DaemonSet)
    node_port = 0
    for name, more in _SERVICES.items():
        made = await api.create(
            f"/api/v1/namespaces/{namespace}/services", _service(name, port, more), _Service
        )
        node_port = max((one.node_port for one in made.spec.ports), default=0) or node_port
    pods, missing = await _wait_up(api, namespace, patience_s)
    if not pods:
        why = "; ".join(missing) or f"{api.context}: no node takes one"
        raise SurroundingsError(f"no agent came up: {why}")
    return Visit(api, namespace, pods, node_port, missing)


async def leave(api: ClusterApi, *, namespace: str, patience_s: float) -> None:
    """Delete the namespace and wait until it is gone; :class:`SurroundingsError` where it does not go."""
    path = f"/api/v1/namespaces/{namespace}"
    await api.delete(path)
    try:
        async with asyncio.timeout(patience_s):
            while True:
                await api.get(path, _DaemonSet)
                await asyncio.sleep(_POLL_S)
    except ApiRefusedError as error:
        if error.code != 404:
            raise
    except TimeoutError as error:
        told = f"namespace {namespace} is still being deleted after {patience_s:g} s; look at it again"
        raise SurroundingsError(f"{api.context}: {told}") from error


async def _wait_up(
    api: ClusterApi, namespace: str, patience_s: float
) -> tuple[tuple[VisitPod, ...], tuple[str, ...]]:
    loop = asyncio.get_running_loop()
    until = loop.time() + patience_s
    while True:
        sets, _ = await api.list(f"/apis/apps/v1/namespaces/{namespace}/daemonsets", _DaemonSet)
        pods, _ = await api.list(f"/api/v1/namespaces/{namespace}/pods", VisitPod)
        wanted = sum(one.status.desired_number_scheduled for one in sets)
        is_seen = all(one.status.observed_generation for one in sets)
        up = tuple(pod for pod in pods if pod.is_up)
        if is_seen and len(up) == wanted:
            return up, ()
        down = [pod for pod in pods if not pod.is_up]
        hopeless = bool(down) and all(pod.why_not for pod in down) and len(pods) == wanted
        if hopeless or loop.time() > until:
            return up, tuple(f"{api.context}: {_missing(pod)}" for pod in down)
        await asyncio.sleep(_POLL_S)


def _missing(pod: VisitPod) -> str:
    where = f"the agent on {pod.spec.node_name}" if pod.spec.node_name else pod.metadata.name
    return f"{where} does not run: {pod.why_not or pod.status.phase or 'nothing is known of it'}"


def _namespace(name: str) -> dict[str, Any]:
    labels = {VISIT_LABEL: "true", "pod-security.kubernetes.io/enforce": "privileged"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _labels(plane: Plane) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "netprobe-agent",
        "app.kubernetes.io/part-of": "netprobe",
        "app.kubernetes.io/managed-by": "netprobe-verify",
        "netprobe.io/plane": str(plane),
    }


def _daemon_set(plane: Plane, image: str, port: int) -> dict[str, Any]:
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
        "affinity": _ON_REAL_NODES,
        "securityContext": security,
        "containers": [container],
    }


_ON_REAL_NODES = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {
                    "matchExpressions": [
                        {"key": "liqo.io/type", "operator": "DoesNotExist"},
                        {"key": "type", "operator": "NotIn", "values": ["virtual-kubelet"]},
                    ]
                }
            ]
        }
    }
}
"""A virtual node runs its pods elsewhere: no packet is its own."""

_SERVICES: Mapping[str, Mapping[str, Any]] = {
    "probe": {},
    "probe-headless": {"clusterIP": "None"},
    "probe-node-port": {"type": "NodePort"},
}
"""What is asked of the service proxy: a cluster address, a headless service, a port of every node."""


def _service(name: str, port: int, more: Mapping[str, Any]) -> dict[str, Any]:
    ports = [{"name": "agent", "port": port, "targetPort": port, "protocol": "TCP", "appProtocol": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {ASK_LABEL: "true"}},
        "spec": {"selector": _labels(Plane.POD), "ports": ports, **more},
    }
