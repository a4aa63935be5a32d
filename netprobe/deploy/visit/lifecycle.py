"""A visit to a cluster: temporary agents in a namespace of their own; deleting it removes everything.

Rules. Every object of a visit is in one namespace, so deleting it leaves nothing behind; no permissions are
granted in the cluster. Agents of the pod plane run under the restricted profile and use unprivileged ICMP
sockets; those of the host plane have NET_RAW and no other capability. If an agent does not start, the visit
continues without it and reports why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from netprobe.deploy.visit.manifests import (
    CONTAINER,
    SERVICES,
    VISIT_LABEL,
    daemon_set,
    namespace_object,
    service_object,
)
from netprobe.discovery.k8s.access_review import RequiredAccess, check_each, expect_allowed
from netprobe.discovery.k8s.client import ApiError, ApiRefusedError, ClusterApi
from netprobe.discovery.k8s.pod_exec import PodContainer
from netprobe.discovery.k8s.schema import Named, Pod, Workload
from netprobe.errors import SystemRefusedError
from netprobe.model.names import Plane

_POLL_S = 0.5
_HOPELESS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName",
     "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"}
)  # fmt: skip


_NEEDED = (
    RequiredAccess("create", "namespaces"),
    RequiredAccess("get", "namespaces"),
    RequiredAccess("delete", "namespaces"),
    RequiredAccess("create", "daemonsets", "apps"),
    RequiredAccess("list", "daemonsets", "apps"),
    RequiredAccess("list", "pods"),
    RequiredAccess("create", "services"),
    RequiredAccess("get", "pods", subresource="exec"),
    RequiredAccess("create", "pods", subresource="exec"),
)
"""In every namespace, because the visit's does not exist yet.

A program is run over a WebSocket, which begins as a GET: API servers ask for ``get`` on pods/exec. From
Kubernetes 1.35 on they ask for ``create`` as well, so a role that is right for all versions has both.
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """Agents that run in one cluster."""

    api: ClusterApi
    namespace: str
    pods: tuple[Pod, ...]
    missing: tuple[str, ...]
    """Agents that did not start, one line each."""

    def place(self, pod: Pod) -> PodContainer:
        """The container of one of its pods, to run a program in."""
        return PodContainer(self.namespace, pod.metadata.name, CONTAINER)


async def preflight(apis: Sequence[ClusterApi]) -> None:
    """Raise `SystemRefusedError` with a line per cluster that cannot be visited; changes nothing."""
    await check_each(apis, _expect_no_other_visit)


async def _expect_no_other_visit(api: ClusterApi) -> None:
    """Check permissions, and that no other visit uses the agents' ports on the nodes."""
    await expect_allowed(api, _NEEDED)
    others, _ = await api.list("/api/v1/namespaces", Named, f"{VISIT_LABEL}=true")
    if others:
        names = ", ".join(one.metadata.name for one in others)
        why = f"another visit is running, or one that was killed left {names}"
        remedy = f"wait for it to end, or: kubectl delete namespace -l {VISIT_LABEL}"
        raise SystemRefusedError(f"{api.context}: {why}: {remedy}")


async def start_visit(api: ClusterApi, *, namespace: str, image: str, port: int, patience_s: float) -> Visit:
    """Start an agent per node and plane and wait until all run, or *patience_s* are over.

    Raises :class:`SystemRefusedError` if none comes up. The caller ends the visit with
    :func:`delete_visit`, whatever happens here.
    """
    await api.create("/api/v1/namespaces", namespace_object(namespace), Named)
    base = f"/apis/apps/v1/namespaces/{namespace}/daemonsets"
    for plane in Plane:
        await api.create(base, daemon_set(plane, image, port), Workload)
    for name, more in SERVICES.items():
        await api.create(f"/api/v1/namespaces/{namespace}/services", service_object(name, port, more), Named)
    pods, missing = await _wait_until_up(api, namespace, patience_s)
    if not pods:
        why = "; ".join(missing) or f"{api.context}: no node can run one"
        raise SystemRefusedError(f"no agent started: {why}")
    return Visit(api, namespace, pods, missing)


async def delete_visit(api: ClusterApi, *, namespace: str, patience_s: float) -> None:
    """Delete the namespace and wait until it no longer exists; :class:`SystemRefusedError` if it does.

    An unreachable API server is tried again until *patience_s* are over.
    """
    path = f"/api/v1/namespaces/{namespace}"
    last, is_deleted = "still being deleted", False
    try:
        async with asyncio.timeout(patience_s):
            while True:
                try:
                    if not is_deleted:  # a second time would be a conflict
                        await api.delete(path)
                        is_deleted = True
                    await api.get(path, Named)
                except ApiRefusedError as error:
                    if error.code == 404:
                        return
                    if error.code < 500:
                        raise
                    last = str(error)
                except ApiError as error:
                    last = str(error)
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        why = f"namespace {namespace} still exists after {patience_s:g} s: {last}"
        raise SystemRefusedError(f"{api.context}: {why}") from error


async def _wait_until_up(
    api: ClusterApi, namespace: str, patience_s: float
) -> tuple[tuple[Pod, ...], tuple[str, ...]]:
    loop = asyncio.get_running_loop()
    until = loop.time() + patience_s
    while True:
        sets, _ = await api.list(f"/apis/apps/v1/namespaces/{namespace}/daemonsets", Workload)
        pods, _ = await api.list(f"/api/v1/namespaces/{namespace}/pods", Pod)
        wanted = sum(one.status.desired_number_scheduled for one in sets)
        is_seen = all(one.status.observed_generation for one in sets)
        up = tuple(pod for pod in pods if is_up(pod))
        if is_seen and len(up) == wanted:
            return up, ()
        down = [pod for pod in pods if not is_up(pod)]
        hopeless = bool(down) and all(find_failure(pod) for pod in down) and len(pods) == wanted
        if hopeless or loop.time() > until:
            return up, tuple(f"{api.context}: {_describe_missing(pod)}" for pod in down)
        await asyncio.sleep(_POLL_S)


def is_up(pod: Pod) -> bool:
    """Whether every container of *pod* runs and is ready."""
    statuses = pod.status.container_statuses
    return pod.status.phase == "Running" and bool(statuses) and all(one.ready for one in statuses)


def find_failure(pod: Pod) -> str:
    """Why waiting will not bring *pod* up; empty where it may."""
    for one in pod.status.container_statuses:
        if one.state.waiting and one.state.waiting.reason in _HOPELESS:
            return f"{one.state.waiting.reason}: {one.state.waiting.message}".strip(": ")
    return pod.status.message if pod.status.phase == "Failed" else ""


def _find_unscheduled(pod: Pod) -> str:
    """Why no node takes *pod*; empty where one does."""
    conditions = pod.status.conditions
    return next(
        (one.message for one in conditions if (one.type, one.status) == ("PodScheduled", "False")), ""
    )


def _describe_missing(pod: Pod) -> str:
    where = f"the agent on {pod.spec.node_name}" if pod.spec.node_name else pod.metadata.name
    why = find_failure(pod) or _find_unscheduled(pod) or pod.status.phase or "its pod has no status yet"
    return f"{where} does not run: {why}"
