"""State of an installation: workloads, missing objects, obstacles, and what to do about them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar

from netprobe.deploy.install import objects
from netprobe.discovery.k8s.client import ApiRefusedError, ClusterApi
from netprobe.discovery.k8s.schema import ListOf, Named, Pod, Workload
from netprobe.model.names import ClusterName
from netprobe.wire.manifests import Manifest

T = TypeVar("T")
_SELECTOR = "app.kubernetes.io/part-of=netprobe"
_PODS = f"/api/v1/namespaces/{objects.NAMESPACE}/pods"
_PULL = "the image cannot be pulled: name one that nodes can reach (--agent-image, --collector-image)"
_ADVICE = {
    "ErrImagePull": _PULL,
    "ImagePullBackOff": _PULL,
    "ErrImageNeverPull": "the image is not on the node and may not be pulled",
    "InvalidImageName": "the image name is invalid",
    "CrashLoopBackOff": "the container crashes: see kubectl logs --previous",
    "CreateContainerConfigError": "a Secret or ConfigMap is missing: run `netprobe install` again",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How many pods of a workload are ready, of how many."""

    name: str
    ready: int
    wanted: int
    settled: bool
    """Whether the controllers have seen the newest version."""

    @property
    def is_done(self) -> bool:
        """Whether all are there, at least one, and of the newest version."""
        return self.settled and self.ready >= self.wanted > 0


@dataclass(frozen=True, slots=True)
class ClusterInstallation:
    """The installation in one cluster."""

    name: ClusterName
    workloads: tuple[Progress, ...] = ()
    missing: tuple[str, ...] = ()
    """Kind and name of missing objects."""
    blockers: tuple[str, ...] = ()
    """One line per obstacle that waiting does not remove."""

    @property
    def is_absent(self) -> bool:
        """Whether nothing is installed."""
        return not self.workloads

    @property
    def is_done(self) -> bool:
        """Whether everything is there and ready."""
        done = all(workload.is_done for workload in self.workloads)
        return done and not self.missing and not self.blockers and not self.is_absent


async def read_installation(api: ClusterApi, name: ClusterName) -> ClusterInstallation:
    """The installation in one cluster now."""
    wanted = [one for one in objects.everything() if one["kind"] in _KINDS]
    read = await asyncio.gather(*(_read(api, objects.path_of(one), Workload) for one in wanted))
    workloads = tuple(_progress(one) for one in read if one is not None)
    if not workloads:
        return ClusterInstallation(name)
    is_hub = any(one.name == "netprobe-collector" for one in workloads)
    parts = list(objects.reader_objects())
    if is_hub:
        parts += objects.collector_objects(objects.Images(), service="ClusterIP")
    if not is_hub or len(workloads) > 1:  # a hub may have no agents of its own
        parts += [one for one in objects.everything() if _is_agents(one)]
    there = await asyncio.gather(*(_read(api, objects.path_of(one), Named) for one in parts))
    missing = (
        f"{part['kind']} {part['metadata']['name']}"
        for part, found in zip(parts, there, strict=True)
        if found is None
    )
    pods = await api.get(_PODS, ListOf[Pod], {"labelSelector": _SELECTOR})
    blockers = (line for pod in pods.items for line in _find_blockers(pod))
    return ClusterInstallation(name, workloads, tuple(dict.fromkeys(missing)), tuple(dict.fromkeys(blockers)))


_KINDS = ("DaemonSet", "Deployment")


def _is_agents(found: Manifest) -> bool:
    return str(found["metadata"]["name"]).startswith("netprobe-agent")


async def _read(api: ClusterApi, path: str, kind: type[T]) -> T | None:
    """One object; None where there is none."""
    try:
        return await api.get(path, kind)
    except ApiRefusedError as error:
        if error.code != 404:
            raise
        return None


def _progress(found: Workload) -> Progress:
    status = found.status
    settled = status.observed_generation >= found.metadata.generation
    if found.metadata.name.startswith("netprobe-agent"):
        is_new = status.updated_number_scheduled >= status.desired_number_scheduled
        return Progress(
            found.metadata.name, status.number_ready, status.desired_number_scheduled, settled and is_new
        )
    return Progress(
        found.metadata.name, status.ready_replicas, found.spec.replicas,
        settled and status.updated_replicas >= found.spec.replicas,
    )  # fmt: skip


def _find_blockers(pod: Pod) -> list[str]:
    lines = []
    for container in pod.status.container_statuses:
        waiting = container.state.waiting
        if waiting is not None and waiting.reason in _ADVICE:
            # One line for all pods of a kind: their names differ, the remedy does not.
            advice = _ADVICE[waiting.reason]
            lines.append(f"{pod.metadata.name.rpartition('-')[0]}: {container.image}: {advice}")
    return lines
